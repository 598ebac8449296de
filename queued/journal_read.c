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
#define PIECE     (1u << 20)
#define KIND_AT   9u /* in a line: behind the checksum and a blank */

bool journal_parse_head(struct journal_parse *p, const char *bytes, size_t n)
{
    const size_t at = sizeof "MANSIO-JOURNAL1 " - 1;
    char line[JOURNAL_HEADER + 1];
    uint8_t raw[ENTRY_NONCE_LEN / 2];

    p->first_bad = SIZE_MAX;
    p->synced = 0;
    p->whole = false;
    if (n < JOURNAL_HEADER || !strv_hex(strv_make(bytes + at, ENTRY_NONCE_LEN), raw, sizeof raw))
        return false;
    memcpy(p->nonce, bytes + at, ENTRY_NONCE_LEN);
    p->nonce[ENTRY_NONCE_LEN] = '\0';
    for (int first = 0; first < 2; first++) {
        journal_header(line, p->nonce, p->number, first);
        if (memcmp(line, bytes, JOURNAL_HEADER) == 0) {
            p->first = first;
            return true;
        }
    }
    return false;
}

static void bad_line(struct journal_parse *p, size_t at, size_t n)
{
    if (at < p->first_bad)
        p->first_bad = at;
    p->whole = false;
    p->torn++;
    if (p->bad)
        p->bad(p->arg, at, n);
}

static void good_line(struct journal_parse *p, const struct entry *e)
{
    p->entries++;
    if (e->kind == ENTRY_SYNCED && e->offset > p->synced)
        p->synced = (size_t)e->offset;
    if (e->kind == ENTRY_BEGIN)
        p->whole = true;
    if (e->kind == ENTRY_END) {
        /* The end of a snapshot declares done what it did not name: never when a name may have been lost. */
        if (!p->whole)
            return;
        p->complete = true;
    }
    if (e->segment > p->segment_max && e->segment < UINT32_MAX)
        p->segment_max = (uint32_t)e->segment;
    p->fn(p->arg, e);
}

size_t journal_parse_lines(struct journal_parse *p, char *bytes, size_t n, size_t at, bool last)
{
    size_t done = 0;

    while (done < n) {
        char *lf = memchr(bytes + done, '\n', n - done);
        size_t len = lf ? (size_t)(lf - bytes) - done : n - done;
        struct entry e;

        if (!lf && !last)
            return done;
        /* An empty line is one that an earlier start blanked. Who looks for one kind hears of nothing else,
           and does not pay for it. */
        if (len > 0 && (!p->only || (len > KIND_AT && bytes[done + KIND_AT] == (char)p->only))) {
            if (lf && entry_parse(bytes + done, len, p->nonce, &e))
                good_line(p, &e);
            else
                bad_line(p, at + done, len);
        }
        done += len + (lf ? 1 : 0);
    }
    return done;
}

void journal_parse_done(struct journal_parse *p)
{
    if (p->first_bad != SIZE_MAX && (!p->last || p->first_bad < p->synced)) {
        p->damaged = true;
        p->damage_at = p->first_bad;
    }
}

bool journal_parse(struct journal_parse *p, char *bytes, size_t n)
{
    if (!journal_parse_head(p, bytes, n))
        return false;
    while (n > JOURNAL_HEADER && bytes[n - 1] == '\0')
        n--;
    p->end = n;
    journal_parse_lines(p, bytes + JOURNAL_HEADER, n - JOURNAL_HEADER, JOURNAL_HEADER, true);
    journal_parse_done(p);
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

/* Where the padding begins: behind the last byte that is not zero. */
static bool end_find(int fd, struct buf *piece, size_t *size, size_t *end, struct err *err)
{
    struct stat st;
    size_t at;

    if (fstat(fd, &st) < 0)
        return err_sys(err, "stat");
    *size = (size_t)st.st_size;
    for (at = *size; at > 0;) {
        size_t part = at < PIECE ? at : PIECE;
        char *to;
        ssize_t n;

        buf_reset(piece);
        to = buf_reserve(piece, part);
        n = to ? fd_pread_full(fd, to, part, (off_t)(at - part)) : -1;
        if (n < 0)
            return err_sys(err, "read");
        /* All zero: equal to itself a byte further on. */
        if (n > 0 && (to[0] != '\0' || memcmp(to, to + 1, (size_t)n - 1) != 0)) {
            while (to[n - 1] == '\0')
                n--;
            *end = at - part + (size_t)n;
            return true;
        }
        at -= part;
    }
    *end = 0;
    return true;
}

/* In pieces: the journal of a large queue is larger than everything else that a start keeps in memory. */
static bool lines_read(int fd, struct journal_parse *parse, struct buf *piece, struct err *err)
{
    size_t at = JOURNAL_HEADER; /* of the first byte of the piece */

    buf_reset(piece);
    while (at + piece->len < parse->end) {
        size_t left = parse->end - at - piece->len, done;
        size_t part = left < PIECE ? left : PIECE;
        char *to = buf_reserve(piece, part);
        ssize_t n = to ? fd_pread_full(fd, to, part, (off_t)(at + piece->len)) : 0;

        if (!to)
            return err_set(err, ERR_LIMIT, "a line of more than %zu bytes", piece->len);
        if (n < 0)
            return err_sys(err, "read");
        if ((size_t)n != part)
            return err_set(err, ERR_TEMP, "the file became shorter while it was read");
        buf_commit(piece, part);
        done = journal_parse_lines(parse, piece->data, piece->len, at, part == left);
        at += done;
        memmove(piece->data, piece->data + done, piece->len - done);
        buf_cut(piece, piece->len - done);
    }
    journal_parse_done(parse);
    return true;
}

static bool header_read(int fd, struct journal_parse *parse, bool *ok, struct err *err)
{
    char line[JOURNAL_HEADER];
    ssize_t n = fd_pread_full(fd, line, sizeof line, 0);

    if (n < 0)
        return err_sys(err, "read");
    *ok = journal_parse_head(parse, line, (size_t)n);
    return true;
}

static bool read_one(struct journal *j, uint32_t number, struct journal_parse *parse, bool repair,
                     struct journal_report *r, struct err *err)
{
    struct patch *patch = parse->arg;
    struct buf piece;
    char name[SEGMENT_NAME];
    bool ok, known = false;
    size_t size = 0;
    int fd;

    segment_name(number, ".jnl", name);
    fd = file_openat(j->dir, name, repair ? O_RDWR : O_RDONLY, 0);
    if (fd < 0)
        return err_sys(err, "open journal file %s", name);
    buf_init(&piece, (size_t)1 << 30);
    patch->fd = repair ? fd : -1;
    ok = end_find(fd, &piece, &size, &parse->end, err) && header_read(fd, parse, &known, err) &&
         (!known || lines_read(fd, parse, &piece, err));
    if (!ok) {
        err_wrap(err, "journal file %s", name);
    } else if (!known) {
        damage(r, "has no header", number);
    } else if (parse->damaged) {
        damage(r, "is damaged", number);
    } else if (parse->complete) {
        /* A whole snapshot replaces all that was before it. */
        r->damaged = false;
    }
    /* What we go on from must not vanish: a killed predecessor may have left it in the page cache only. */
    if (!known)
        parse->end = size;
    if (ok && repair && (patch->done || parse->end < size || parse->last) &&
        (ftruncate(fd, (off_t)parse->end) < 0 || os_fsync(fd) < 0))
        ok = err_sys(err, "repair journal file %s", name);
    buf_clear(&piece);
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
