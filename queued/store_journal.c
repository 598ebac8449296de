/* store_journal.c - when the journal is written, synced, begun anew, and what a sync allows to go */
#include "queued/store_private.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/os/fault.h"
#include "common/os/fd.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define RETRY_MS  5000  /* a journal that could not be begun: the disk is full or broken */
#define TIDY_MS   10000 /* compaction, the spare file, what a quiet queue left over */
#define SLICE     500u  /* messages of a snapshot at once: the loop goes on in between */
#define FILES_MAX 16u   /* journal files before a snapshot, as each start begins one */

static void on_tell(void *arg, const struct entry *e)
{
    struct store *s = arg;

    journal_append(&s->journal, e);
}

/* ---- writing and syncing ---- */

bool store_journal_is_down(const struct store *s)
{
    return s->journal_down || s->journal.fd < 0;
}

static void journal_failed(struct store *s, const char *why)
{
    LOG(ERROR, "queue.journal.failed", KS("reason", why));
    s->journal_down = true;
    if (!loop_timer_is_set(&s->retry_timer))
        loop_timer_set(&s->retry_timer, 0);
}

static void sync_soon(struct store *s)
{
    if (!s->syncing && s->journal.written > s->journal.synced && !loop_timer_is_set(&s->sync_timer))
        loop_timer_set(&s->sync_timer, s->sizes.sync_ms);
}

static void snapshot_due(struct store *s)
{
    uint64_t limit = s->snapshot_bytes * 2 > s->sizes.snapshot ? s->snapshot_bytes * 2 : s->sizes.snapshot;

    if (s->snapshotting || s->snapshot_mark || s->syncing || store_journal_is_down(s) ||
        (s->journal_bytes < limit && s->journal.number - s->journal.oldest < FILES_MAX))
        return;
    loop_later(s->loop, &s->snapshot_task);
}

static void on_write(void *arg)
{
    struct store *s = arg;
    uint64_t before = s->journal.at;
    struct err err;

    if (store_journal_is_down(s))
        return;
    if (!journal_write(&s->journal, &err)) {
        journal_failed(s, err.text);
        return;
    }
    s->journal_bytes += s->journal.at - before;
    sync_soon(s);
    snapshot_due(s);
    s->ops->noted(s->arg);
}

static void on_sync_timer(void *arg)
{
    struct store *s = arg;
    struct sync_job *job;

    if (s->syncing || store_journal_is_down(s))
        return;
    job = mem_new(sizeof *job);
    job->kind = SYNC_JOURNAL;
    job->fd = s->journal.fd;
    job->dir = (int)s->journal.number;
    job->mark = s->journal.written;
    snprintf(job->name, sizeof job->name, "%llu", (unsigned long long)s->journal.at);
    s->syncing = true;
    syncer_add(s->syncer, job);
}

void store_journal_synced(struct store *s, const struct sync_job *job)
{
    uint64_t at = 0;

    s->syncing = false;
    if (!job->ok) {
        journal_failed(s, job->err.text);
        return;
    }
    strv_u64(SV(job->name), INT64_MAX, &at);
    journal_was_synced(&s->journal, (uint32_t)job->dir, job->mark, at);
    if (s->snapshot_mark && s->journal.synced >= s->snapshot_mark) {
        s->snapshot_mark = 0;
        journal_forget(&s->journal);
    }
    sync_soon(s);
    snapshot_due(s);
    store_release(s);
    if (s->ops->synced)
        s->ops->synced(s->arg);
}

enum ledger_result store_note(struct store *s, const struct entry *e)
{
    if (!store_journal_is_down(s))
        journal_append(&s->journal, e);
    loop_later(s->loop, &s->write_task);
    return ledger_apply(s->ledger, e);
}

bool store_noted(const struct store *s)
{
    return s->journal.buf.len == 0 && !s->journal_down && s->journal.fd >= 0;
}

uint64_t store_mark(const struct store *s)
{
    return journal_mark(&s->journal);
}

/* What was noted while the journal could not be written is in the snapshot of the next one. */
bool store_durable(const struct store *s, uint64_t mark)
{
    return !s->journal_down && s->journal.fd >= 0 && s->journal.synced >= mark;
}

/* ---- snapshots ---- */

static void on_frozen(void *arg, struct strv sender)
{
    struct store *s = arg;
    struct entry e = { .kind = ENTRY_FREEZE, .flags = 1, .text = sender };

    journal_append(&s->journal, &e);
}

static void snapshot_open(struct store *s)
{
    struct entry e = { .kind = ENTRY_BEGIN };

    s->snapshotting = true;
    s->snapshot_cursor = 0;
    s->snapshot_start = s->journal.at;
    s->snapshot_seen = mem_resize(s->snapshot_seen, s->account.n + 1, sizeof *s->snapshot_seen);
    s->snapshot_seen_n = 0;
    for (size_t i = 0; i < s->account.n; i++)
        s->snapshot_seen[s->snapshot_seen_n++] =
            (struct ledger_seen){ s->account.rows[i].number, (uint32_t)s->account.rows[i].used };
    e.segment = s->account.n ? s->account.rows[s->account.n - 1].number : 0;
    journal_append(&s->journal, &e);
    e = (struct entry){ .kind = ENTRY_PAUSE, .flags = ledger_pauses(s->ledger) };
    journal_append(&s->journal, &e);
    ledger_each_frozen(s->ledger, on_frozen, s);
    for (size_t i = 0; i < s->void_n; i++) {
        e = (struct entry){ .kind = ENTRY_VOID,
                            .segment = s->voids[i].segment,
                            .offset = s->voids[i].offset };
        journal_append(&s->journal, &e);
    }
}

static bool snapshot_slice(struct store *s)
{
    uint32_t handle = 1;

    for (unsigned i = 0; i < SLICE && (handle = ledger_next(s->ledger, &s->snapshot_cursor)); i++)
        ledger_tell(s->ledger, handle, &s->scratch, on_tell, s);
    return handle != 0;
}

static void snapshot_finish(struct store *s)
{
    for (size_t i = 0; i < s->snapshot_seen_n; i++) {
        struct entry e = { .kind = ENTRY_SEGMENT,
                           .segment = s->snapshot_seen[i].segment,
                           .offset = s->snapshot_seen[i].offset };

        journal_append(&s->journal, &e);
    }
    journal_complete(&s->journal);
    s->snapshotting = false;
    s->snapshot_mark = journal_mark(&s->journal);
    s->snapshot_bytes = s->journal.at + s->journal.buf.len - s->snapshot_start;
    s->journal_bytes = s->journal.at - s->snapshot_start; /* what is not written yet counts when it is */
}

/* A new file with everything in it, at once and durable: at the start, and when the old one cannot be
 * trusted. */
static bool journal_renew(struct store *s, bool first, struct err *err)
{
    if (!journal_begin(&s->journal, first, err))
        return false;
    loop_later_cancel(s->loop, &s->snapshot_task);
    snapshot_open(s);
    while (snapshot_slice(s))
        if (!journal_write(&s->journal, err))
            return false;
    snapshot_finish(s);
    if (!journal_write(&s->journal, err))
        return false;
    if (os_fdatasync(s->journal.fd) < 0)
        return err_sys(err, "sync the journal");
    journal_was_synced(&s->journal, s->journal.number, s->journal.written, s->journal.at);
    s->snapshot_mark = 0;
    journal_forget(&s->journal);
    return true;
}

static void on_snapshot(void *arg)
{
    struct store *s = arg;
    struct err err;

    if (store_journal_is_down(s) || s->closing)
        return;
    if (!s->snapshotting) {
        if (s->syncing || s->snapshot_mark)
            return;
        if (!journal_begin(&s->journal, false, &err) || s->journal.incomplete) {
            journal_failed(s, s->journal.fd < 0 ? err.text : "the old file could not be completed");
            return;
        }
        snapshot_open(s);
    }
    if (!snapshot_slice(s))
        snapshot_finish(s);
    else
        loop_later(s->loop, &s->snapshot_task);
    on_write(s);
}

static void on_retry(void *arg)
{
    struct store *s = arg;
    struct err err;

    if (s->syncing) {
        loop_timer_set(&s->retry_timer, RETRY_MS);
        return;
    }
    s->snapshotting = false;
    fd_close(&s->journal.fd);
    if (!journal_renew(s, false, &err)) {
        fd_close(&s->journal.fd);
        LOG(ERROR, "queue.journal.failed", KS("reason", err.text));
        loop_timer_set(&s->retry_timer, RETRY_MS);
        return;
    }
    s->journal_down = false;
    LOG0(WARN, "queue.journal.renewed");
    s->ops->noted(s->arg);
    store_release(s);
    if (s->ops->synced)
        s->ops->synced(s->arg);
}

/* ---- what a sync allows ---- */

static void unlink_later(struct store *s, int dir, const char *name)
{
    struct sync_job *job = mem_new(sizeof *job);

    job->kind = SYNC_UNLINK;
    job->dir = dir;
    snprintf(job->name, sizeof job->name, "%s", name);
    syncer_add(s->syncer, job);
}

static void segment_unlink(struct store *s, uint32_t number)
{
    char name[SEGMENT_NAME];

    for (size_t i = 0; i < STORE_READERS; i++) {
        if (s->readers[i].number == number) {
            fd_close(&s->readers[i].fd);
            s->readers[i].number = 0;
        }
    }
    segment_name(number, ".idx", name);
    unlink_later(s, s->segment_dir, name);
    segment_name(number, ".seg", name);
    unlink_later(s, s->segment_dir, name);
    account_remove(&s->account, number);
}

void store_release(struct store *s)
{
    struct account_row *row;
    size_t kept = 0;

    account_empty(&s->account, journal_mark(&s->journal));
    while ((row = account_gone(&s->account, s->journal.synced)) &&
           (!s->ops->unlinking || s->ops->unlinking(s->arg)))
        segment_unlink(s, row->number);
    for (size_t i = 0; i < s->doomed_n; i++) {
        char name[ID_TEXT_SIZE];

        if (s->doomed[i].mark > s->journal.synced) {
            s->doomed[kept++] = s->doomed[i];
            continue;
        }
        id_text(s->doomed[i].id, name);
        unlink_later(s, s->big_dir, name);
    }
    s->doomed_n = kept;
}

void store_message_gone(struct store *s, const struct message *m)
{
    account_dead(&s->account, m->place);
    if (!(m->flags & MESSAGE_BIG))
        return;
    s->doomed = mem_resize(s->doomed, s->doomed_n + 1, sizeof *s->doomed);
    s->doomed[s->doomed_n++] = (struct doomed){ m->id, journal_mark(&s->journal) };
}

void store_void(struct store *s, struct place place)
{
    struct entry e = { .kind = ENTRY_VOID, .segment = place.segment, .offset = place.offset };
    size_t kept = 0;

    /* Forget those whose segment a former start has removed. */
    for (size_t i = 0; i < s->void_n; i++)
        if (s->voids[i].segment >= (s->account.n ? s->account.rows[0].number : 0))
            s->voids[kept++] = s->voids[i];
    s->void_n = kept;
    s->voids = mem_resize(s->voids, s->void_n + 1, sizeof *s->voids);
    s->voids[s->void_n++] = place;
    store_note(s, &e);
}

static void on_tidy(void *arg)
{
    struct store *s = arg;
    struct err err;

    loop_timer_set(&s->tidy_timer, TIDY_MS);
    store_release(s);
    if (!store_journal_is_down(s) && !journal_spare(&s->journal, &err))
        LOG(WARN, "queue.journal.spare", KS("reason", err.text));
    compact_step(s);
}

/* ---- start and end ---- */

static void origins_note(struct store *s, const struct recovery *r)
{
    for (size_t i = 0; i < r->origin_n; i++) {
        struct entry e;

        /* Their records may be unlinked once delivered: from then on only the journal knows. */
        if ((origin_notice(SV(r->origins[i]), &e) || origin_forward(SV(r->origins[i]), &e) ||
             origin_requeue(SV(r->origins[i]), &e)) &&
            ledger_find(s->ledger, e.id))
            store_note(s, &e);
    }
}

bool store_journal_start(struct store *s, const struct recovery *r, struct err *err)
{
    bool anew = r->report.none || r->report.damaged;

    s->write_task = (struct loop_task){ .fn = on_write, .arg = s };
    s->snapshot_task = (struct loop_task){ .fn = on_snapshot, .arg = s };
    loop_timer_init(&s->sync_timer, s->loop, on_sync_timer, s);
    loop_timer_init(&s->retry_timer, s->loop, on_retry, s);
    loop_timer_init(&s->tidy_timer, s->loop, on_tidy, s);
    s->journal_bytes = r->report.bytes;
    for (size_t i = 0; i < r->void_n; i++) {
        s->voids = mem_resize(s->voids, s->void_n + 1, sizeof *s->voids);
        s->voids[s->void_n++] = r->voids[i];
    }
    if (r->paused_now)
        s->ledger->paused = true;
    if (anew ? !journal_renew(s, true, err) : !journal_begin(&s->journal, false, err))
        return false;
    s->journal.incomplete = false;
    if (!journal_spare(&s->journal, err))
        LOG(WARN, "queue.journal.spare", KS("reason", err->text));
    origins_note(s, r);
    loop_timer_set(&s->tidy_timer, TIDY_MS);
    store_release(s);
    snapshot_due(s);
    return true;
}

void store_journal_close(struct store *s)
{
    struct err err;

    loop_timer_stop(&s->sync_timer);
    loop_timer_stop(&s->retry_timer);
    loop_timer_stop(&s->tidy_timer);
    loop_later_cancel(s->loop, &s->write_task);
    loop_later_cancel(s->loop, &s->snapshot_task);
    if (store_journal_is_down(s))
        return;
    if (!journal_write(&s->journal, &err) || os_fdatasync(s->journal.fd) < 0)
        LOG(ERROR, "queue.journal.failed", KS("reason", "the last results could not be written"));
}
