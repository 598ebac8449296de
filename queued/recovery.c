/* recovery.c - from the files of the spool to the ledger at the start */
#include "queued/recovery.h"

#include "common/base/clock.h"
#include "common/base/dict.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/ipc/schema.h"
#include "common/os/fault.h"
#include "common/os/fd.h"
#include "common/os/file.h"
#include "queued/sidecar.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct scan {
    struct recovery *r;
    uint32_t number;
    int fd;                  /* owned */
    struct account_row *row; /* borrowed from the account; looked up again after changes */
    struct envelope envelope;
    struct sidecar sidecar;
    struct buf bytes;
    char nonce[RECORD_NONCE_LEN + 1];
    bool damaged;
};

bool origin_notice(struct strv origin, struct entry *e)
{
    struct strv rest = origin, word;

    memset(e, 0, sizeof *e);
    e->kind = ENTRY_NOTICE;
    if (!strv_cut(&rest, '/', &word) || !strv_is(word, "notice") || !rest.p || !strv_cut(&rest, '/', &word) ||
        !id_parse(word, &e->id) || !rest.p || !strv_cut(&rest, '/', &e->list) || !list_valid(e->list) ||
        !rest.p)
        return false;
    if (strv_is(rest, "failure"))
        e->notice = NOTICE_FAILURE;
    else if (strv_is(rest, "double"))
        e->notice = NOTICE_FAILURE;
    else if (strv_is(rest, "success"))
        e->notice = NOTICE_SUCCESS;
    else if (strv_is(rest, "delay"))
        e->notice = NOTICE_DELAY;
    else
        return false;
    return true;
}

bool origin_forward(struct strv origin, struct entry *e)
{
    struct strv rest = origin, word;

    memset(e, 0, sizeof *e);
    e->kind = ENTRY_DELIVERED;
    if (!strv_cut(&rest, '/', &word) || !strv_is(word, "forward") || !rest.p ||
        !strv_cut(&rest, '/', &word) || !id_parse(word, &e->id) || !rest.p || !list_valid(rest))
        return false;
    e->list = rest;
    return true;
}

bool origin_requeue(struct strv origin, struct entry *e)
{
    struct strv rest = origin, word;

    memset(e, 0, sizeof *e);
    e->kind = ENTRY_DROPPED;
    return strv_cut(&rest, '/', &word) && strv_is(word, "requeue") && rest.p && strv_cut(&rest, '/', &word) &&
           id_parse(word, &e->id) && rest.p && strv_cut(&rest, '/', &e->list) && list_valid(e->list) &&
           (!rest.p || strv_is(rest, "given") || strv_is(rest, "notice"));
}

static void on_void(void *arg, const struct entry *e)
{
    struct recovery *r = arg;

    r->voids = mem_resize(r->voids, r->void_n + 1, sizeof *r->voids);
    r->voids[r->void_n++] = (struct place){ (uint32_t)e->segment, (uint32_t)e->offset, 0 };
}

static bool is_void(const struct recovery *r, struct place p)
{
    for (size_t i = 0; i < r->void_n; i++)
        if (r->voids[i].segment == p.segment && r->voids[i].offset == p.offset)
            return true;
    return false;
}

static void damage_found(struct scan *s, const char *what, uint64_t offset, uint64_t bytes)
{
    if (!s->r->look)
        LOG(ERROR, "queue.segment.damaged", KI("segment", s->number), KI("offset", offset),
            KI("bytes", bytes), KS("reason", what));
    s->r->damages++;
    s->damaged = true;
    account_row(s->r->account, s->number)->keep = true;
}

/* One good record. The later one of two with the same id is a copy that compaction made. */
static void record_found(struct scan *s, struct place place, uint64_t id, struct strv envelope)
{
    struct recovery *r = s->r;
    struct err err;
    uint32_t handle;

    r->records++;
    if (is_void(r, place)) {
        r->voided++;
        return;
    }
    if (!envelope_parse(envelope, &s->envelope, &err)) {
        damage_found(s, err.text, place.offset, place.length);
        return;
    }
    handle = ledger_find(r->ledger, id);
    if (handle) {
        struct message *m = ledger_at(r->ledger, handle);

        r->duplicates++;
        account_dead(r->account, m->place);
        m->place = place;
    } else {
        ledger_add(r->ledger, id, &s->envelope, place);
    }
    account_live(r->account, place);
    if (strv_starts(s->envelope.origin, SV_LIT("notice/")) ||
        strv_starts(s->envelope.origin, SV_LIT("forward/")) ||
        strv_starts(s->envelope.origin, SV_LIT("requeue/"))) {
        r->origins = mem_resize(r->origins, r->origin_n + 1, sizeof *r->origins);
        r->origins[r->origin_n++] = strv_dup(s->envelope.origin);
    } else if (s->envelope.origin.n && r->origin) {
        r->origin(r->arg, s->envelope.origin);
    }
}

/* ---- one segment ---- */

static bool on_sidecar(void *arg, uint32_t offset, uint64_t id, const struct record_sizes *sizes,
                       struct strv envelope)
{
    struct scan *s = arg;

    record_found(s, (struct place){ s->number, offset, (uint32_t)record_size(sizes) }, id, envelope);
    return true;
}

static void on_ahead(void *arg, uint64_t id)
{
    struct scan *s = arg;

    ledger_ahead(s->r->ledger, id);
}

static bool scan_sidecar(struct scan *s, uint64_t size)
{
    char name[SEGMENT_NAME];
    struct err err;
    bool ok;
    int fd;

    segment_name(s->number, ".idx", name);
    fd = file_openat(s->r->segment_dir, name, O_RDONLY, 0);
    if (fd < 0)
        return false;
    buf_reset(&s->bytes);
    ok = file_read(fd, &s->bytes, &err) && sidecar_valid(buf_view(&s->bytes), s->nonce, s->number, size);
    fd_close(&fd);
    if (ok && !sidecar_each(buf_view(&s->bytes), s->nonce, on_sidecar, on_ahead, s)) {
        /* Its checksum is right, so what it says is our own mistake: the records themselves decide. */
        LOG(WARN, "queue.sidecar.ignored", KI("segment", s->number));
        return false;
    }
    return ok;
}

/* The whole file; what is behind the last valid record goes. */
static bool scan_records(struct scan *s, struct err *err)
{
    struct record_scan scan = {
        .bytes = buf_view(&s->bytes), .nonce = s->nonce, .segment = s->number, .at = SEGMENT_FIRST
    };
    enum record_scan_step step;
    struct record record;

    while ((step = record_next(&scan, &record)) != RECORD_END) {
        uint32_t offset = (uint32_t)(scan.at - record.len);

        if (step == RECORD_DAMAGE) {
            damage_found(s, "no valid record", scan.damage_at, scan.damage_len);
            continue;
        }
        record_found(s, (struct place){ s->number, offset, (uint32_t)record.len }, record.id,
                     record.envelope);
    }
    account_row(s->r->account, s->number)->used = scan.at;
    if (s->r->look)
        return true;
    if (record_scan_torn(&scan)) {
        LOG(WARN, "queue.segment.torn", KI("segment", s->number), KI("offset", scan.at));
        s->r->torn++;
    }
    if ((errno = FAULT_POINT("queued.recovery.cut")) != 0 || ftruncate(s->fd, (off_t)scan.at) < 0 ||
        os_fsync(s->fd) < 0)
        return err_sys(err, "cut segment %06u", s->number);
    return true;
}

/* The next start reads only this. */
static void sidecar_make(struct scan *s)
{
    struct record_scan scan = {
        .bytes = buf_view(&s->bytes), .nonce = s->nonce, .segment = s->number, .at = SEGMENT_FIRST
    };
    struct record record;

    sidecar_begin(&s->sidecar, s->nonce, s->number);
    while (record_next(&scan, &record) == RECORD_FOUND)
        sidecar_add(&s->sidecar, (uint32_t)(scan.at - record.len),
                    strv_make(record.envelope.p - RECORD_LINE_LEN, RECORD_LINE_LEN + record.envelope.n));
    sidecar_write(&s->sidecar, s->r->segment_dir, s->number, account_row(s->r->account, s->number)->used);
}

static bool is_blank(struct strv bytes)
{
    for (size_t i = 0; i < bytes.n; i++)
        if (bytes.p[i] != '\0')
            return false;
    return true;
}

/* A header that is not there: nothing was ever acknowledged from it when the file is blank (a crash while it
   was made), otherwise it stays for a human. */
static bool scan_headless(struct scan *s, struct err *err)
{
    char name[SEGMENT_NAME];

    if (!is_blank(buf_view(&s->bytes))) {
        damage_found(s, "no valid header", 0, s->bytes.len);
        return true;
    }
    if (s->r->look)
        return true;
    segment_name(s->number, ".seg", name);
    if (unlinkat(s->r->segment_dir, name, 0) < 0)
        return err_sys(err, "unlink %s", name);
    account_remove(s->r->account, s->number);
    return true;
}

static bool scan_open(struct scan *s, struct err *err)
{
    char head[SEGMENT_FIRST], name[SEGMENT_NAME];
    struct stat st;
    ssize_t n;

    segment_name(s->number, ".seg", name);
    s->fd = file_openat(s->r->segment_dir, name, s->r->look ? O_RDONLY : O_RDWR, 0);
    if (s->r->look && s->fd < 0 && errno == ENOENT)
        return true; /* its queued was done with it in the meantime */
    if (s->fd < 0 || fstat(s->fd, &st) < 0)
        return err_sys(err, "open segment %s", name);
    n = fd_pread_full(s->fd, head, sizeof head, 0);
    if (n < 0)
        return err_sys(err, "read segment %s", name);
    if (segment_header(strv_make(head, (size_t)n), s->number, s->nonce)) {
        if (scan_sidecar(s, (uint64_t)st.st_size)) {
            account_row(s->r->account, s->number)->used = (uint64_t)st.st_size;
            s->r->from_index++;
            return true;
        }
    } else {
        s->nonce[0] = '\0';
    }
    buf_reset(&s->bytes);
    if (!file_read(s->fd, &s->bytes, err))
        return err_wrap(err, "segment %s", name);
    s->r->bytes += s->bytes.len;
    if (!s->nonce[0])
        return scan_headless(s, err);
    if (!scan_records(s, err))
        return false;
    if (!s->damaged && !s->r->look)
        sidecar_make(s);
    return true;
}

/* ---- directories ---- */

struct names {
    uint32_t *v; /* owned */
    size_t n;
};

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static DIR *directory(int dir, struct err *err)
{
    int fd = file_openat(dir, ".", O_RDONLY | O_DIRECTORY, 0);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;

    if (!d) {
        fd_close(&fd);
        err_sys(err, "list a directory of the spool");
    }
    return d;
}

static bool segments_list(struct recovery *r, struct names *out, struct err *err)
{
    DIR *d = directory(r->segment_dir, err);
    struct dirent *e;

    if (!d)
        return false;
    while ((e = readdir(d))) {
        uint32_t number;

        if (!segment_name_parse(e->d_name, ".seg", &number))
            continue;
        out->v = mem_resize(out->v, out->n + 1, sizeof *out->v);
        out->v[out->n++] = number;
    }
    closedir(d);
    if (out->n) {
        qsort(out->v, out->n, sizeof *out->v, compare);
        r->segment_max = out->v[out->n - 1];
    }
    return true;
}

static bool segments_scan(struct recovery *r, struct err *err)
{
    struct names names = { NULL, 0 };
    struct scan s = { .r = r, .fd = -1 };
    bool ok = segments_list(r, &names, err);

    envelope_init(&s.envelope);
    sidecar_init(&s.sidecar);
    buf_init(&s.bytes, (size_t)1 << 30);
    for (size_t i = 0; ok && i < names.n; i++) {
        if (r->look && clock_mono_ms() > r->until) {
            ok = err_set(err, ERR_TEMP, "the spool is too large to be read in the time given");
            break;
        }
        s.number = names.v[i];
        s.damaged = false;
        account_row(r->account, s.number)->sealed = true;
        ok = scan_open(&s, err);
        fd_close(&s.fd);
        r->segments++;
    }
    envelope_clear(&s.envelope);
    sidecar_clear(&s.sidecar);
    buf_clear(&s.bytes);
    free(names.v);
    return ok;
}

/* Bodies that no living message has are what a crash left, unless records are missing: then they stay. */
static void big_orphan(struct recovery *r, const char *name)
{
    r->big_orphans++;
    if (r->damages > 0)
        LOG(WARN, "queue.big.orphan", KS("file", name));
    else
        unlinkat(r->big_dir, name, 0);
}

static bool bigs_check(struct recovery *r, struct err *err)
{
    DIR *d = directory(r->big_dir, err);
    uint32_t cursor = 0, handle;
    struct dirent *e;
    uint64_t id;

    if (!d)
        return false;
    while ((handle = ledger_next(r->ledger, &cursor)))
        ledger_at(r->ledger, handle)->flags =
            (uint16_t)(ledger_at(r->ledger, handle)->flags & ~MESSAGE_NAMED);
    while ((e = readdir(d))) {
        if (strv_starts(SV(e->d_name), SV_LIT("tmp.")))
            unlinkat(r->big_dir, e->d_name, 0);
        if (!id_parse(SV(e->d_name), &id))
            continue;
        handle = ledger_find(r->ledger, id);
        if (handle && ledger_at(r->ledger, handle)->flags & MESSAGE_BIG)
            ledger_at(r->ledger, handle)->flags |= MESSAGE_NAMED;
        else
            big_orphan(r, e->d_name);
    }
    closedir(d);
    for (cursor = 0; (handle = ledger_next(r->ledger, &cursor));) {
        struct message *m = ledger_at(r->ledger, handle);
        char text[ID_TEXT_SIZE];

        if (!(m->flags & MESSAGE_BIG) || m->flags & MESSAGE_NAMED)
            continue;
        id_text(m->id, text);
        LOG(ERROR, "queue.big.missing", KS("id", text), KI("segment", m->place.segment),
            KI("offset", m->place.offset));
        m->flags |= MESSAGE_DAMAGED;
        ledger_recount(r->ledger, m);
        r->big_missing++;
    }
    return true;
}

/* ---- all of it ---- */

static void on_entry(void *arg, const struct entry *e)
{
    struct recovery *r = arg;

    if (e->kind != ENTRY_VOID)
        ledger_apply(r->ledger, e);
}

static void on_gone(void *arg, const struct message *m)
{
    struct recovery *r = arg;

    account_dead(r->account, m->place);
    if (r->over)
        r->over(r->arg, m->id);
}

static void on_lost(void *arg, struct strv key, void *value)
{
    struct recovery *r = arg;
    char text[ID_TEXT_SIZE];
    uint64_t id;

    (void)value;
    memcpy(&id, key.p, sizeof id);
    id_text(id, text);
    LOG(ERROR, "queue.message.lost", KS("id", text));
    r->lost++;
}

static bool journal_replay(struct recovery *r, struct err *err)
{
    bool ok;

    r->ledger->gone = on_gone;
    r->ledger->arg = r;
    r->ledger->lost = dict_new();
    ok = journal_read(r->journal, 0, !r->look, on_entry, r, &r->report, err);
    r->ledger->gone = NULL;
    if (ok && !r->look)
        dict_each(r->ledger->lost, on_lost, r);
    dict_free(&r->ledger->lost, NULL);
    /* Segments that an entry names must not come again: what it says of them would be taken for true. */
    if (r->report.segment_max > r->segment_max)
        r->segment_max = r->report.segment_max;
    return ok;
}

bool recovery_run(struct recovery *r, struct err *err)
{
    struct journal_report first;

    if (!journal_read(r->journal, ENTRY_VOID, false, on_void, r, &first, err) || !segments_scan(r, err) ||
        !journal_replay(r, err) || (!r->look && !bigs_check(r, err)))
        return false;
    if (r->look)
        return true;
    if ((r->report.none && r->records > 0) || r->report.damaged) {
        r->paused_now = r->records > 0;
        LOG(ERROR, "queue.journal.damaged",
            KS("reason", r->report.none ? "there are messages, but no journal" : r->report.what));
    }
    return true;
}

void recovery_clear(struct recovery *r)
{
    for (size_t i = 0; i < r->origin_n; i++)
        free(r->origins[i]);
    MEM_FREE(r->origins);
    MEM_FREE(r->voids);
    r->origin_n = r->void_n = 0;
}
