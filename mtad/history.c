/* history.c - the last configurations that were accepted, as canonical text in mtad's own directory */
#include "mtad/history.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/ipc/ctl.h"
#include "common/os/fd.h"
#include "common/os/file.h"
#include "conf/auth.h"
#include "conf/conf.h"
#include "conf/map.h"
#include "conf/processes.h"

#define TEXT_MAX (16u << 20)
#define HEAD     "# mansio "
#define MASKED   "# without secrets\n"

static int dir_open(const struct host *h)
{
    int state = open(h->history_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), dir;

    dir = state < 0 ? -1 : file_mkdirat(state, "history", 0700);
    fd_close(&state);
    return dir;
}

/* Numbers that are there, ascending. */
static size_t numbers(int dir, unsigned list[HISTORY_MAX * 2])
{
    int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = copy < 0 ? NULL : fdopendir(copy);
    const struct dirent *e;
    size_t n = 0;

    while (d && n < HISTORY_MAX * 2 && (e = readdir(d))) {
        struct strv name = SV(e->d_name);
        uint64_t number;
        size_t i;

        if (!strv_ends(name, SV_LIT(".conf")) ||
            !strv_u64(strv_sub(name, 0, name.n - 5), UINT32_MAX, &number) || number == 0)
            continue;
        for (i = n++; i > 0 && list[i - 1] > number; i--)
            list[i] = list[i - 1];
        list[i] = (unsigned)number;
    }
    if (d)
        closedir(d);
    else
        fd_close(&copy);
    return n;
}

static bool read_one(int dir, unsigned number, struct buf *out, struct err *err)
{
    char name[32];
    int fd;
    bool ok;

    snprintf(name, sizeof name, "%u.conf", number);
    fd = file_openat(dir, name, O_RDONLY, 0);
    if (fd < 0)
        return errno == ENOENT
                   ? err_set(err, ERR_CONF, "there is no configuration %u; see mtactl config history", number)
                   : err_sys(err, "history/%s", name);
    ok = file_read(fd, out, err);
    fd_close(&fd);
    return ok;
}

static struct strv body_of(struct strv text)
{
    struct strv line;

    strv_cut(&text, '\n', &line);
    return text;
}

/* ---- writing ---- */

/* Entries of the configuration itself that are secrets are emptied; true when there were any. */
static bool secrets_hide(struct conf *conf, struct conf_strings *kept)
{
    const struct conf_map *found =
        conf->auth && conf->auth->users[0] ? conf_map_find(conf, SV(conf->auth->users)) : NULL;

    for (size_t i = 0; found && i < conf->map_n; i++) {
        if (conf->maps[i] != found || conf->maps[i]->entries.n == 0)
            continue;
        *kept = conf->maps[i]->entries;
        conf->maps[i]->entries = (struct conf_strings){ 0 };
        return true;
    }
    return false;
}

static void secrets_show(struct conf *conf, struct conf_strings kept)
{
    const struct conf_map *found = conf_map_find(conf, SV(conf->auth->users));

    for (size_t i = 0; i < conf->map_n; i++) {
        if (conf->maps[i] == found)
            conf->maps[i]->entries = kept;
    }
}

static void text_make(struct conf *conf, struct buf *out)
{
    struct conf_strings kept;
    bool hidden = secrets_hide(conf, &kept);

    if (hidden)
        buf_adds(out, MASKED);
    conf_write(conf, ROLE_MTAD, out);
    if (hidden)
        secrets_show(conf, kept);
}

static bool write_one(int dir, unsigned number, struct strv head, struct strv text, struct err *err)
{
    char name[32], tmp[40];
    int fd;
    bool ok;

    snprintf(name, sizeof name, "%u.conf", number);
    snprintf(tmp, sizeof tmp, "%s.new", name);
    unlinkat(dir, tmp, 0);
    fd = file_openat(dir, tmp, O_WRONLY | O_CREAT | O_EXCL, 0600);
    ok = fd >= 0 && fd_write_full(fd, head.p, head.n) && fd_write_full(fd, text.p, text.n) &&
         fsync(fd) == 0 && renameat(dir, tmp, dir, name) == 0;
    if (!ok)
        err_sys(err, "history/%s", name);
    fd_close(&fd);
    return ok;
}

static void old_remove(int dir, const unsigned *list, size_t n)
{
    for (size_t i = 0; i + HISTORY_MAX < n; i++) {
        char name[32];

        snprintf(name, sizeof name, "%u.conf", list[i]);
        unlinkat(dir, name, 0);
    }
}

/* The newest one says the same. */
static bool is_known(int dir, unsigned number, struct strv text)
{
    struct err err = { 0 };
    struct buf old;
    bool same;

    buf_init(&old, TEXT_MAX);
    same = read_one(dir, number, &old, &err) && strv_eq(body_of(buf_view(&old)), text);
    buf_clear(&old);
    return same;
}

static void keep(struct host *h, int dir, struct strv text, const char *how, const char *by)
{
    unsigned list[HISTORY_MAX * 2 + 1];
    size_t n = numbers(dir, list);
    char head[256];
    struct err err = { 0 };

    if (n > 0 && is_known(dir, list[n - 1], text)) {
        h->history_number = list[n - 1];
        return;
    }
    list[n] = n > 0 ? list[n - 1] + 1 : 1;
    snprintf(head, sizeof head, HEAD "%lld %s %s\n", (long long)(clock_wall_ms() / 1000), how, by);
    if (!write_one(dir, list[n], SV(head), text, &err)) {
        LOG(WARN, "mtad.history.failed", KS("why", err.text));
        return;
    }
    h->history_number = list[n];
    old_remove(dir, list, n + 1);
}

void history_begin(struct host *h)
{
    h->history_dir = mem_str(h->conf->processes->state);
}

void history_accept(struct host *h, const char *how, const char *by)
{
    int dir = dir_open(h);
    struct buf text;

    if (dir < 0) {
        LOG(WARN, "mtad.history.failed", KS("why", strerror(errno)));
        return;
    }
    buf_init(&text, TEXT_MAX);
    text_make(h->conf, &text);
    keep(h, dir, buf_view(&text), how, by);
    buf_clear(&text);
    fd_close(&dir);
}

/* ---- reading ---- */

static void row(struct host *h, struct ctl_call *call, int dir, unsigned number)
{
    struct strv text, head, word[3] = { SV_LIT(""), SV_LIT(""), SV_LIT("") };
    struct err err = { 0 };
    uint64_t when = 0;
    struct buf buf;

    buf_init(&buf, TEXT_MAX);
    if (read_one(dir, number, &buf, &err)) {
        text = buf_view(&buf);
        strv_cut(&text, '\n', &head);
        if (strv_starts(head, SV_LIT(HEAD)))
            head = strv_from(head, strlen(HEAD));
        for (unsigned i = 0; i < 3 && strv_word(&head, &word[i]); i++)
            continue;
        strv_u64(word[0], INT64_MAX, &when);
    }
    ctl_row(call, "configuration");
    ctl_put_u64(call, "number", number);
    ctl_put_u64(call, "accepted", when);
    ctl_put(call, "how", word[1]);
    ctl_put(call, "by", word[2]);
    ctl_put(call, "running", number == h->history_number ? SV_LIT("yes") : SV_LIT("no"));
    ctl_row_end(call);
    buf_clear(&buf);
}

void history_rows(struct host *h, struct ctl_call *call)
{
    unsigned list[HISTORY_MAX * 2 + 1];
    int dir = dir_open(h);
    size_t n = dir < 0 ? 0 : numbers(dir, list);

    while (n-- > 0)
        row(h, call, dir, list[n]);
    fd_close(&dir);
}

bool history_text(struct host *h, unsigned number, struct buf *out, struct err *err)
{
    struct buf whole;
    bool ok;
    int dir;

    if (number == 0) {
        text_make(h->conf, out);
        return true;
    }
    dir = dir_open(h);
    if (dir < 0)
        return err_sys(err, "history");
    buf_init(&whole, TEXT_MAX);
    ok = read_one(dir, number, &whole, err);
    if (ok)
        buf_addv(out, body_of(buf_view(&whole)));
    buf_clear(&whole);
    fd_close(&dir);
    return ok;
}

bool history_previous(struct host *h, unsigned *number, struct buf *out, struct err *err)
{
    unsigned list[HISTORY_MAX * 2 + 1];
    int dir = dir_open(h);
    size_t n = dir < 0 ? 0 : numbers(dir, list);

    fd_close(&dir);
    while (n > 0 && (h->history_number == 0 || list[n - 1] >= h->history_number))
        n--;
    if (n == 0)
        return err_set(err, ERR_CONF, "there is no configuration before the one that runs");
    *number = list[n - 1];
    if (!history_text(h, *number, out, err))
        return false;
    return !strv_starts(buf_view(out), SV_LIT(MASKED)) ||
           err_set(err, ERR_CONF,
                   "configuration %u held secrets, which are not kept: it cannot be gone back to", *number);
}
