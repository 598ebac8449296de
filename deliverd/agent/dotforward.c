/* dotforward.c - a user's ~/.forward: whether it may be believed, and what it says */
#include "deliverd/agent/dotforward.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/mail/address.h"
#include "common/os/fault.h"
#include "common/os/fd.h"
#include "common/os/file.h"
#include "maps/list.h"

void dotforward_init(struct dotforward *d)
{
    buf_init(&d->text, 2 * DOTFORWARD_SIZE_MAX);
    d->n = 0;
}

void dotforward_clear(struct dotforward *d)
{
    buf_clear(&d->text);
    d->n = 0;
}

struct strv dotforward_target(const struct dotforward *d, size_t i)
{
    size_t from = i ? d->ends[i - 1] : 0;

    return strv_sub(buf_view(&d->text), from, d->ends[i] - from);
}

bool dotforward_has(const struct dotforward *d, struct strv target)
{
    for (size_t i = 0; i < d->n; i++)
        if (strv_eq(dotforward_target(d, i), target))
            return true;
    return false;
}

/* ---- what it says ---- */

static bool is_address(struct strv text)
{
    struct address a;

    if (!address_parse(text, ADDRESS_LOCAL_OK | ADDRESS_UTF8, &a, NULL))
        return false;
    address_clear(&a);
    return true;
}

/* In quotes a backslash makes the next byte itself. */
static void add_text(struct buf *out, const struct list_item *item)
{
    for (size_t i = 0; i < item->text.n; i++) {
        if (item->quoted && item->text.p[i] == '\\' && i + 1 < item->text.n)
            i++;
        buf_addc(out, item->text.p[i]);
    }
}

/* `Name <|x>`: an address by its form that would be taken for something else from here on. */
static bool looks_otherwise(struct strv text)
{
    return text.n && (text.p[0] == '|' || text.p[0] == '\\' || (text.p[0] == '/' && !strv_has(text, '@')));
}

static const char *check(const struct list_item *item)
{
    switch (item->kind) {
    case LIST_ADDRESS:
        if (looks_otherwise(item->text))
            return "is no address";
        return is_address(item->text) ? NULL : "is no address";
    case LIST_FINAL: return is_address(item->text) ? NULL : "is no address";
    case LIST_INCLUDE: return ":include: is not served";
    case LIST_COMMAND: return item->text.n ? NULL : "is an empty command";
    case LIST_BAD: return "has an unclosed quote or bracket";
    case LIST_FILE:
    case LIST_DISCARD: break;
    }
    return NULL;
}

static const char *add_item(struct dotforward *d, const struct list_item *item)
{
    const char *why = check(item);
    size_t before = d->text.len;

    if (why)
        return why;
    if (d->n == DOTFORWARD_TARGETS_MAX)
        return "is one target too many";
    if (item->kind == LIST_COMMAND)
        buf_addc(&d->text, '|');
    else if (item->kind == LIST_FINAL)
        buf_addc(&d->text, '\\');
    add_text(&d->text, item);
    if (!buf_ok(&d->text) || d->text.len - before > DOTFORWARD_TARGET_MAX)
        return "is too long";
    d->ends[d->n++] = d->text.len;
    return NULL;
}

static bool has_control(struct strv line)
{
    for (size_t i = 0; i < line.n; i++)
        if (((unsigned char)line.p[i] < ' ' && line.p[i] != '\t') || line.p[i] == 127)
            return true;
    return false;
}

static const char *take_line(struct dotforward *d, struct strv line)
{
    struct list_item item;
    const char *why = NULL;

    line = strv_trim(line);
    if (line.n == 0 || line.p[0] == '#')
        return NULL;
    if (has_control(line))
        return "holds a control byte";
    while (!why && list_next(&line, 0, &item))
        why = add_item(d, &item);
    return why;
}

bool dotforward_parse(struct strv content, struct dotforward *d, struct err *err)
{
    struct strv rest = content, line;
    unsigned number = 0;

    buf_reset(&d->text);
    d->n = 0;
    while (strv_cut(&rest, '\n', &line)) {
        const char *why;

        number++;
        if (line.n && line.p[line.n - 1] == '\r')
            line.n--;
        why = take_line(d, line);
        if (why)
            return err_set(err, ERR_CONF, "line %u: a target %s", number, why);
    }
    return true;
}

/* ---- whether it may be believed ---- */

static enum dotforward_answer ignored(struct err *err, const char *why)
{
    err_set(err, ERR_PERM, "%s", why);
    return DOTFORWARD_IGNORED;
}

static enum dotforward_answer failed(struct err *err, const char *what)
{
    int sys = errno;

    err_set(err, ERR_TEMP, "%s: %s", what, strerror(sys));
    err->sys = sys;
    return DOTFORWARD_FAILED;
}

static enum dotforward_answer home_check(int home_fd, uid_t uid, struct err *err)
{
    struct stat st;

    if (fstat(home_fd, &st) < 0)
        return failed(err, "stat the home directory");
    if (st.st_uid != uid)
        return DOTFORWARD_NONE;
    if (st.st_mode & (S_IWGRP | S_IWOTH))
        return ignored(err, "the home directory can be written by others");
    return DOTFORWARD_FOUND;
}

static enum dotforward_answer file_check(const struct stat *st, uid_t uid, struct err *err)
{
    if (!S_ISREG(st->st_mode))
        return ignored(err, "it is no regular file");
    if (st->st_uid != uid && st->st_uid != 0)
        return ignored(err, "it belongs to somebody else");
    if (st->st_mode & (S_IWGRP | S_IWOTH))
        return ignored(err, "others may write it");
    if (st->st_nlink != 1)
        return ignored(err, "it has several names");
    if (st->st_size > (off_t)DOTFORWARD_SIZE_MAX)
        return ignored(err, "it is larger than 16384 bytes");
    return DOTFORWARD_FOUND;
}

static enum dotforward_answer file_open(int home_fd, int *fd, struct err *err)
{
    errno = FAULT_POINT("agent.forward.open");
    *fd = errno ? -1 : file_openat(home_fd, DOTFORWARD_NAME, O_RDONLY, 0);
    if (*fd >= 0)
        return DOTFORWARD_FOUND;
    switch (errno) {
    case ENOENT:
    case ENOTDIR: return DOTFORWARD_NONE;
    case ELOOP: return ignored(err, "it is a symbolic link");
    case ENXIO:
    case ENODEV: return ignored(err, "it is no regular file");
    case EACCES:
    case EPERM: return ignored(err, "its owner may not read it");
    default: return failed(err, "open it");
    }
}

static enum dotforward_answer content_take(int fd, const struct stat *st, struct dotforward *d,
                                           struct err *err)
{
    static char content[DOTFORWARD_SIZE_MAX];
    ssize_t n = fd_pread_full(fd, content, (size_t)st->st_size, 0);

    if (n < 0)
        return failed(err, "read it");
    if (!dotforward_parse(strv_make(content, (size_t)n), d, err))
        return DOTFORWARD_IGNORED;
    return d->n ? DOTFORWARD_FOUND : DOTFORWARD_NONE;
}

enum dotforward_answer dotforward_read(int home_fd, uid_t uid, struct dotforward *d, struct err *err)
{
    enum dotforward_answer answer;
    struct stat st;
    int fd;

    /* Most users have none: one call. */
    answer = file_open(home_fd, &fd, err);
    if (answer == DOTFORWARD_FOUND || answer == DOTFORWARD_IGNORED) {
        enum dotforward_answer home = home_check(home_fd, uid, err);

        answer = home == DOTFORWARD_FOUND ? answer : home;
    }
    if (answer == DOTFORWARD_FOUND)
        answer = fstat(fd, &st) < 0 ? failed(err, "stat it") : file_check(&st, uid, err);
    if (answer == DOTFORWARD_FOUND)
        answer = content_take(fd, &st, d, err);
    fd_close(&fd);
    return answer;
}
