/* verify.c - every record, body and journal line of a spool looked at by somebody who is not its queued */
#include "queued/verify.h"

#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/os/fd.h"
#include "common/os/file.h"
#include "queued/recovery.h"
#include "queued/segment.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <string.h>
#include <time.h>

#define PIECE      (1u << 20)
#define AGAIN      20 /* looks at what may just be being written */
#define AGAIN_NS   20000000L
#define NAME_SIZE  32u
#define UNTIL_EVER INT64_MAX

struct hole { /* no valid record stands there */
    uint32_t segment;
    uint64_t from, to;
    bool torn; /* and none behind it */
};

struct body { /* a record that names one */
    uint64_t id, size;
    uint32_t crc, segment;
    uint64_t offset;
};

struct verify {
    int spool, seg, big, state; /* owned; big may be -1 */
    struct verify_report *report;
    void (*fn)(void *arg, const struct verify_problem *p);
    void *arg;
    struct buf bytes;
    struct envelope envelope;
    struct hole *holes;  /* owned */
    struct body *bodies; /* owned */
    uint32_t *numbers;   /* owned: of segments */
    size_t hole_n, body_n, number_n;
    uint32_t newest;
    struct ledger ledger;
    struct account account;
};

static const int64_t never[] = { 1 };

static uint64_t below(uint64_t n)
{
    (void)n;
    return 0;
}

static void problem(struct verify *v, const struct verify_problem *p)
{
    v->report->problems += strcmp(p->kind, "torn") != 0;
    v->fn(v->arg, p);
}

static void segment_problem(struct verify *v, const char *kind, uint32_t number, struct hole h, uint64_t id,
                            const char *waits, const char *text)
{
    char name[SEGMENT_NAME], file[NAME_SIZE];

    segment_name(number, ".seg", name);
    snprintf(file, sizeof file, "seg/%s", name);
    problem(v, &(struct verify_problem){ .kind = kind,
                                         .file = file,
                                         .offset = h.from,
                                         .bytes = h.to - h.from,
                                         .id = id,
                                         .waits = waits,
                                         .text = text });
}

/* ---- segments ---- */

static bool segment_read(struct verify *v, uint32_t number, bool *gone, struct err *err)
{
    char name[SEGMENT_NAME];
    bool ok;
    int fd;

    segment_name(number, ".seg", name);
    buf_reset(&v->bytes);
    fd = file_openat(v->seg, name, O_RDONLY, 0);
    *gone = fd < 0 && errno == ENOENT;
    if (fd < 0)
        return *gone || err_sys(err, "open seg/%s", name);
    ok = file_read(fd, &v->bytes, err);
    for (int i = 0; !ok && err->cls == ERR_TEMP && err->sys == 0 && i < AGAIN; i++) {
        buf_reset(&v->bytes); /* it was cut to its length meanwhile */
        ok = file_read(fd, &v->bytes, err);
    }
    fd_close(&fd);
    return ok || err_wrap(err, "seg/%s", name);
}

/* A record may be seen while it is being written; then it is whole a moment later. */
static bool whole_now(struct verify *v, const struct record_scan *scan, uint32_t number)
{
    const struct timespec wait = { .tv_nsec = AGAIN_NS };
    struct buf again;
    char name[SEGMENT_NAME];
    bool whole = false;
    int fd;

    if (!v->report->live)
        return false;
    segment_name(number, ".seg", name);
    fd = file_openat(v->seg, name, O_RDONLY, 0);
    if (fd < 0)
        return errno == ENOENT; /* nobody in it waits any more */
    buf_init(&again, (size_t)1 << 30);
    for (int i = 0; !whole && i < AGAIN; i++) {
        char *to;
        ssize_t n;
        struct record_scan s = { .nonce = scan->nonce, .segment = number };
        struct record record;

        nanosleep(&wait, NULL);
        buf_reset(&again);
        to = buf_reserve(&again, scan->at);
        n = to ? fd_pread_full(fd, to, scan->at, 0) : -1;
        if (n < 0)
            break;
        buf_commit(&again, (size_t)n);
        s.bytes = buf_view(&again);
        for (s.at = scan->damage_at; record_next(&s, &record) == RECORD_FOUND;)
            ;
        whole = s.at == scan->at && s.damage_len == 0;
    }
    buf_clear(&again);
    fd_close(&fd);
    return whole;
}

static void hole_add(struct verify *v, struct hole h)
{
    v->holes = mem_resize(v->holes, v->hole_n + 1, sizeof *v->holes);
    v->holes[v->hole_n++] = h;
}

static void hole_found(struct verify *v, uint32_t number, const struct record_scan *scan)
{
    if (!whole_now(v, scan, number))
        hole_add(v, (struct hole){ number, scan->damage_at, scan->damage_at + scan->damage_len, false });
}

static void record_look(struct verify *v, uint32_t number, uint64_t offset, const struct record *record)
{
    struct err err;

    v->report->records++;
    if (!envelope_parse(record->envelope, &v->envelope, &err)) {
        segment_problem(v, "envelope", number, (struct hole){ number, offset, offset + record->len, false },
                        record->id, "unknown", err.text);
    } else if (v->envelope.big) {
        v->bodies = mem_resize(v->bodies, v->body_n + 1, sizeof *v->bodies);
        v->bodies[v->body_n++] =
            (struct body){ record->id, v->envelope.big_size, v->envelope.big_crc, number, offset };
    }
}

static bool is_blank(struct strv bytes)
{
    return bytes.n == 0 || (bytes.p[0] == '\0' && memcmp(bytes.p, bytes.p + 1, bytes.n - 1) == 0);
}

static void segment_look(struct verify *v, uint32_t number)
{
    char nonce[RECORD_NONCE_LEN + 1];
    struct record_scan scan = { .nonce = nonce, .segment = number, .at = SEGMENT_FIRST };
    enum record_scan_step step;
    struct record record;
    bool gone;
    struct err err = { .cls = ERR_OK };

    if (!segment_read(v, number, &gone, &err)) {
        v->report->segments++;
        segment_problem(v, "unreadable", number, (struct hole){ .segment = number }, 0, "unknown", err.text);
        return;
    }
    if (gone)
        return;
    v->report->segments++;
    v->report->bytes += v->bytes.len;
    scan.bytes = buf_view(&v->bytes);
    if (!segment_header(scan.bytes, number, nonce)) {
        if (!is_blank(scan.bytes) && !(v->report->live && number == v->newest))
            segment_problem(v, "header", number, (struct hole){ number, 0, scan.bytes.n, false }, 0,
                            "unknown", "no valid header: no record can be told from a forged one");
        return;
    }
    while ((step = record_next(&scan, &record)) != RECORD_END) {
        if (step == RECORD_DAMAGE)
            hole_found(v, number, &scan);
        else
            record_look(v, number, scan.at - record.len, &record);
    }
    if (record_scan_torn(&scan) && !(v->report->live && number == v->newest))
        hole_add(v, (struct hole){ number, scan.at, scan.bytes.n, true });
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static bool segments_look(struct verify *v, struct err *err)
{
    int fd = file_openat(v->seg, ".", O_RDONLY | O_DIRECTORY, 0);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *e;

    if (!d) {
        fd_close(&fd);
        return err_sys(err, "list seg");
    }
    while ((e = readdir(d))) {
        uint32_t number;

        if (!segment_name_parse(e->d_name, ".seg", &number))
            continue;
        v->numbers = mem_resize(v->numbers, v->number_n + 1, sizeof *v->numbers);
        v->numbers[v->number_n++] = number;
    }
    closedir(d);
    if (v->number_n) {
        qsort(v->numbers, v->number_n, sizeof *v->numbers, compare);
        v->newest = v->numbers[v->number_n - 1];
    }
    for (size_t i = 0; i < v->number_n; i++)
        segment_look(v, v->numbers[i]);
    return true;
}

/* ---- who waits ---- */

static bool recovery_try(struct verify *v, struct recovery *r, struct err *err)
{
    static const struct sched_conf sched = { .retry = never, .retry_n = 1, .below = below };
    struct journal journal;
    bool ok;

    ledger_clear(&v->ledger);
    account_clear(&v->account);
    ledger_init(&v->ledger, &sched);
    journal_init(&journal, v->state, 0);
    *r = (struct recovery){ .segment_dir = v->seg,
                            .big_dir = -1,
                            .ledger = &v->ledger,
                            .account = &v->account,
                            .journal = &journal,
                            .look = true,
                            .until = UNTIL_EVER };
    ok = recovery_run(r, err);
    recovery_clear(r);
    journal_clear(&journal);
    return ok;
}

/* Files are cut, renewed and removed while a queued works: another look finds them as they are then. */
static bool recovery_look(struct verify *v, struct recovery *r, struct err *err)
{
    const struct timespec wait = { .tv_nsec = AGAIN_NS };
    bool ok = recovery_try(v, r, err);

    for (int i = 0; !ok && v->report->live && i < AGAIN; i++) {
        nanosleep(&wait, NULL);
        ok = recovery_try(v, r, err);
    }
    return ok;
}

/* Which messages stood in a hole: the sidecar tells, when there is one. */
static void hole_tell(struct verify *v, const struct hole *h)
{
    const struct account_row *row = account_find(&v->account, h->segment);
    uint32_t cursor = 0, handle;
    bool any = false;

    while ((handle = ledger_next(&v->ledger, &cursor))) {
        const struct message *m = ledger_at(&v->ledger, handle);
        uint64_t at = m->place.offset;

        if (m->place.segment != h->segment || at < h->from || at >= h->to)
            continue;
        segment_problem(v, "record", h->segment, (struct hole){ h->segment, at, at + m->place.length, false },
                        m->id, "yes", "the record is damaged");
        any = true;
    }
    if (any)
        return;
    if (h->torn)
        segment_problem(v, "torn", h->segment, *h, 0, "no", "no valid record behind the last one");
    else
        segment_problem(v, "record", h->segment, *h, 0, row && !row->keep ? "no" : "unknown",
                        "no valid record, but there is one behind it");
}

static const char *body_read(struct verify *v, const struct body *b)
{
    uint64_t size = 0;
    uint32_t crc = 0;
    char name[ID_TEXT_SIZE];
    const char *wrong = NULL;
    ssize_t n = 1;
    int fd;

    id_text(b->id, name);
    fd = v->big < 0 ? -1 : file_openat(v->big, name, O_RDONLY, 0);
    if (fd < 0)
        return "the body is missing";
    while (!wrong && n > 0) {
        buf_reset(&v->bytes);
        n = fd_pread_full(fd, buf_reserve(&v->bytes, PIECE), PIECE, (off_t)size);
        if (n < 0) {
            wrong = "the body cannot be read";
            break;
        }
        crc = hash_crc32c(crc, v->bytes.data, (size_t)n);
        size += (uint64_t)n;
    }
    fd_close(&fd);
    if (!wrong && size != b->size)
        wrong = "the body has not the length that its record says";
    if (!wrong && crc != b->crc)
        wrong = "the body is damaged";
    return wrong;
}

static bool waits(const struct verify *v, const struct body *b)
{
    uint32_t handle = ledger_find(&v->ledger, b->id);

    return handle && ledger_at(&v->ledger, handle)->flags & MESSAGE_BIG;
}

/* A body that is wrong counts when its message waits, also after another look: it may have left meanwhile. */
static bool bodies_look(struct verify *v, struct err *err)
{
    size_t wrong_n = 0;
    struct recovery r;

    for (size_t i = 0; i < v->body_n; i++) {
        if (!waits(v, &v->bodies[i]))
            continue;
        if (body_read(v, &v->bodies[i]))
            v->bodies[wrong_n++] = v->bodies[i];
        else
            v->report->bodies++;
    }
    if (wrong_n && v->report->live && !recovery_look(v, &r, err))
        return false;
    for (size_t i = 0; i < wrong_n; i++) {
        const struct body *b = &v->bodies[i];
        const char *text = waits(v, b) ? body_read(v, b) : NULL;
        char name[ID_TEXT_SIZE], file[NAME_SIZE];

        id_text(b->id, name);
        snprintf(file, sizeof file, "big/%s", name);
        if (text)
            problem(v, &(struct verify_problem){ .kind = "body",
                                                 .file = file,
                                                 .bytes = b->size,
                                                 .id = b->id,
                                                 .waits = "yes",
                                                 .text = text });
    }
    return true;
}

static void journal_tell(struct verify *v, const struct recovery *r)
{
    v->report->journal_files = r->report.files;
    v->report->journal_entries = r->report.entries;
    v->report->waiting = ledger_count(&v->ledger);
    if (r->report.damaged || (r->report.none && r->records > 0))
        problem(v, &(struct verify_problem){
                       .kind = "journal",
                       .file = "state",
                       .waits = "unknown",
                       .text = r->report.damaged ? r->report.what : "there are messages, but no journal" });
}

/* ---- all of it ---- */

/* Asked by trying for a moment; its queued waits longer than that for a predecessor. */
static bool is_locked(int spool)
{
    int fd = file_openat(spool, "lock", O_RDONLY, 0);
    bool locked = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;

    fd_close(&fd);
    return locked;
}

static bool verify_open(struct verify *v, const char *directory, struct err *err)
{
    v->spool = file_opendirat(AT_FDCWD, directory);
    v->seg = v->spool < 0 ? -1 : file_opendirat(v->spool, "seg");
    v->state = v->seg < 0 ? -1 : file_opendirat(v->spool, "state");
    if (v->state < 0)
        return err_sys(err, "the spool %s", directory);
    v->big = file_opendirat(v->spool, "big");
    v->report->live = is_locked(v->spool);
    return true;
}

bool verify_spool(const char *directory, void (*fn)(void *arg, const struct verify_problem *p), void *arg,
                  struct verify_report *report, struct err *err)
{
    static const struct sched_conf sched = { .retry = never, .retry_n = 1, .below = below };
    struct verify v = {
        .spool = -1, .seg = -1, .big = -1, .state = -1, .report = report, .fn = fn, .arg = arg
    };
    struct recovery r;
    bool ok;

    memset(report, 0, sizeof *report);
    ledger_init(&v.ledger, &sched);
    envelope_init(&v.envelope);
    buf_init(&v.bytes, (size_t)1 << 30);
    /* Records first: what the journal then still has waiting was there when they were read, or came later. */
    ok = verify_open(&v, directory, err) && segments_look(&v, err) && recovery_look(&v, &r, err);
    if (ok)
        journal_tell(&v, &r);
    for (size_t i = 0; ok && i < v.hole_n; i++)
        hole_tell(&v, &v.holes[i]);
    ok = ok && bodies_look(&v, err);
    ledger_clear(&v.ledger);
    account_clear(&v.account);
    envelope_clear(&v.envelope);
    buf_clear(&v.bytes);
    free(v.holes);
    free(v.bodies);
    free(v.numbers);
    fd_close(&v.spool);
    fd_close(&v.seg);
    fd_close(&v.big);
    fd_close(&v.state);
    return ok;
}
