/* journal_read.c - replay of the journal: what is whole counts, torn is told apart from missing */
#include "queued/journal.h"

#include "common/base/mem.h"
#include "common/os/fault.h"
#include "common/os/fd.h"
#include "common/os/file.h"
#include "queued/segment.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_MAX 100000u

static bool header_parse(struct journal_parse *p, const char *bytes, size_t n, char *nonce)
{
    const size_t at = sizeof "MANSIO-JOURNAL1 " - 1;
    char line[JOURNAL_HEADER + 1];
    uint8_t raw[ENTRY_NONCE_LEN / 2];

    if (n < JOURNAL_HEADER || !strv_hex(strv_make(bytes + at, ENTRY_NONCE_LEN), raw, sizeof raw))
        return false;
    memcpy(nonce, bytes + at, ENTRY_NONCE_LEN);
    nonce[ENTRY_NONCE_LEN] = '\0';
    for (int first = 0; first < 2; first++) {
        journal_header(line, nonce, p->number, first);
        if (memcmp(line, bytes, JOURNAL_HEADER) == 0) {
            p->first = first;
            return true;
        }
    }
    return false;
}

struct progress {
    size_t synced, first_bad;
    bool whole; /* no line is missing since the snapshot began */
};

static void bad_line(struct journal_parse *p, size_t at, size_t n, struct progress *g)
{
    if (at < g->first_bad)
        g->first_bad = at;
    g->whole = false;
    p->torn++;
    if (p->bad)
        p->bad(p->arg, at, n);
}

static void good_line(struct journal_parse *p, const struct entry *e, struct progress *g)
{
    p->entries++;
    if (e->kind == ENTRY_SYNCED && e->offset > g->synced)
        g->synced = (size_t)e->offset;
    if (e->kind == ENTRY_BEGIN)
        g->whole = true;
    if (e->kind == ENTRY_END) {
        /* The end of a snapshot declares done what it did not name: never when a name may have been lost. */
        if (!g->whole)
            return;
        p->complete = true;
    }
    if (e->segment > p->segment_max && e->segment < UINT32_MAX)
        p->segment_max = (uint32_t)e->segment;
    if (!p->only || p->only == (int)e->kind)
        p->fn(p->arg, e);
}

bool journal_parse(struct journal_parse *p, char *bytes, size_t n)
{
    char nonce[ENTRY_NONCE_LEN + 1];
    struct progress g = { .first_bad = SIZE_MAX };
    size_t at = JOURNAL_HEADER;

    if (!header_parse(p, bytes, n, nonce))
        return false;
    while (n > at && bytes[n - 1] == '\0')
        n--;
    p->end = n;
    while (at < n) {
        char *lf = memchr(bytes + at, '\n', n - at);
        size_t len = lf ? (size_t)(lf - bytes) - at : n - at;
        struct entry e;

        /* An empty line is one that an earlier start blanked. */
        if (len > 0) {
            if (lf && entry_parse(bytes + at, len, nonce, &e))
                good_line(p, &e, &g);
            else
                bad_line(p, at, len, &g);
        }
        at += len + 1;
    }
    if (g.first_bad != SIZE_MAX && (!p->last || g.first_bad < g.synced)) {
        p->damaged = true;
        p->damage_at = g.first_bad;
    }
    return true;
}

/* ---- files ---- */

struct numbers {
    uint32_t *v; /* owned */
    size_t n;
};

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static bool numbers_list(int dir, struct numbers *out, struct err *err)
{
    int fd = file_openat(dir, ".", O_RDONLY | O_DIRECTORY, 0);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *e;

    if (!d) {
        fd_close(&fd);
        return err_sys(err, "list the journal");
    }
    while ((e = readdir(d)) && out->n < FILES_MAX) {
        uint32_t number;

        if (!segment_name_parse(e->d_name, ".jnl", &number))
            continue;
        out->v = mem_resize(out->v, out->n + 1, sizeof *out->v);
        out->v[out->n++] = number;
    }
    closedir(d);
    if (out->n)
        qsort(out->v, out->n, sizeof *out->v, compare);
    return true;
}

struct patch {
    void (*fn)(void *arg, const struct entry *e);
    void *arg;
    int fd; /* borrowed; -1: do not repair */
    bool done;
};

static void on_entry(void *arg, const struct entry *e)
{
    struct patch *p = arg;

    p->fn(p->arg, e);
}

static void on_bad(void *arg, size_t at, size_t n)
{
    struct patch *p = arg;
    char blank[4096];

    if (p->fd < 0)
        return;
    memset(blank, '\n', sizeof blank);
    p->done = true;
    while (n > 0) {
        size_t part = n < sizeof blank ? n : sizeof blank;

        if (!fd_pwrite_full(p->fd, blank, part, (off_t)at))
            return;
        at += part;
        n -= part;
    }
}

static void damage(struct journal_report *r, const char *how, uint32_t number)
{
    if (!r->damaged)
        snprintf(r->what, sizeof r->what, "journal file %06u %s", number, how);
    r->damaged = true;
}

static bool read_one(struct journal *j, uint32_t number, struct journal_parse *parse, bool repair,
                     struct journal_report *r, struct err *err)
{
    struct patch *patch = parse->arg;
    struct buf bytes;
    char name[SEGMENT_NAME];
    bool ok;
    int fd;

    segment_name(number, ".jnl", name);
    fd = file_openat(j->dir, name, repair ? O_RDWR : O_RDONLY, 0);
    if (fd < 0)
        return err_sys(err, "open journal file %s", name);
    buf_init(&bytes, (size_t)1 << 30);
    ok = file_read(fd, &bytes, err);
    patch->fd = repair ? fd : -1;
    if (ok && !(bytes.data && journal_parse(parse, bytes.data, bytes.len))) {
        damage(r, "has no header", number);
        parse->end = bytes.len;
    } else if (ok && parse->damaged) {
        damage(r, "is damaged", number);
    } else if (ok && parse->complete) {
        /* A whole snapshot replaces all that was before it. */
        r->damaged = false;
    }
    /* What we go on from must not vanish: a killed predecessor may have left it in the page cache only. */
    if (ok && repair && (patch->done || parse->end < bytes.len || parse->last) &&
        (ftruncate(fd, (off_t)parse->end) < 0 || os_fsync(fd) < 0))
        ok = err_sys(err, "repair journal file %s", name);
    buf_clear(&bytes);
    fd_close(&fd);
    return ok;
}

bool journal_read(struct journal *j, int only, bool repair, void (*fn)(void *arg, const struct entry *e),
                  void *arg, struct journal_report *report, struct err *err)
{
    struct numbers files = { NULL, 0 };
    bool based = false, ok = numbers_list(j->dir, &files, err);

    memset(report, 0, sizeof *report);
    report->none = files.n == 0;
    for (size_t i = 0; ok && i < files.n; i++) {
        struct patch patch = { .fn = fn, .arg = arg };
        struct journal_parse parse = { .number = files.v[i],
                                       .last = i + 1 == files.n,
                                       .only = only,
                                       .fn = on_entry,
                                       .bad = on_bad,
                                       .arg = &patch };

        if (i > 0 && files.v[i] != files.v[i - 1] + 1) {
            damage(report, "is missing", files.v[i - 1] + 1);
            based = false;
        }
        ok = read_one(j, files.v[i], &parse, repair, report, err);
        based = based || parse.first || parse.complete;
        report->files++;
        report->entries += parse.entries;
        report->torn += parse.torn;
        report->bytes += parse.end;
        if (parse.segment_max > report->segment_max)
            report->segment_max = parse.segment_max;
    }
    if (ok && files.n && !based)
        damage(report, "is the oldest, and what came before it is missing", files.v[0]);
    if (files.n) {
        j->oldest = files.v[0];
        j->number = files.v[files.n - 1];
    }
    free(files.v);
    return ok;
}
