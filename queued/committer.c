/* committer.c - the thread that makes records durable: takes all that waits, writes once, syncs once */
#include "queued/committer.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/metric.h"
#include "common/os/fault.h"
#include "common/os/fd.h"
#include "queued/segment.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define BATCH_MAX 1024 /* IOV_MAX: one system call */

struct committer {
    int segment_dir; /* borrowed */
    uint64_t segment_size;
    struct handover *hand; /* owned */

    struct segment current; /* the thread's own from here on */
    uint32_t number;        /* of the next segment */
    struct iovec *iov;
};

static struct commit *commit_of(struct handover_job *link)
{
    return (struct commit *)link;
}

struct commit *commit_new(uint64_t id, enum commit_kind kind)
{
    struct commit *c = mem_new(sizeof *c);

    c->id = id;
    c->kind = kind;
    c->big_fd = -1;
    return c;
}

void commit_free(struct commit **cp)
{
    struct commit *c = *cp;

    *cp = NULL;
    if (!c)
        return;
    fd_close(&c->big_fd);
    free(c->record);
    free(c->origin);
    free(c->message_id);
    free(c);
}

size_t commit_max(uint64_t segment_size)
{
    return (size_t)(segment_size - SEGMENT_FIRST);
}

/* ---- the thread ---- */

/* Takes from the batch what fits into the current segment and one system call. */
static int batch_fill(struct committer *c, struct handover_chain *batch, uint64_t *total)
{
    int count = 0;

    *total = 0;
    for (struct handover_job *link = batch->first; link && count < BATCH_MAX; link = link->next) {
        struct commit *m = commit_of(link);
        uint64_t at = c->current.at + *total;

        if (m->length > c->segment_size - at)
            break;
        m->place = (struct place){ c->current.number, (uint32_t)at, (uint32_t)m->length };
        record_seal(m->record, m->length, c->current.nonce, c->current.number, at);
        c->iov[count++] = (struct iovec){ m->record, m->length };
        *total += m->length;
    }
    return count;
}

static bool segment_next(struct committer *c, struct err *err)
{
    segment_seal(&c->current);
    if (!segment_create(c->segment_dir, c->number, c->segment_size, &c->current, err)) {
        /* The number may be burnt: a file that could not be made may still be there. */
        c->number++;
        return false;
    }
    c->number++;
    return true;
}

/* Gives the first n of the batch (all when n < 0) their answer. */
static void batch_answer(struct handover_chain *batch, struct handover_chain *done, int n,
                         const struct err *err, bool maybe)
{
    while (batch->first && n != 0) {
        struct commit *m = commit_of(handover_chain_take(batch));

        m->ok = err == NULL;
        m->maybe = maybe;
        if (err)
            m->err = *err;
        handover_chain_add(done, &m->link);
        n -= n > 0;
    }
}

static void on_work(void *arg, struct handover_chain *batch)
{
    struct committer *c = arg;
    struct handover_chain done;

    handover_chain_init(&done);
    while (batch->first) {
        struct err err = { .cls = ERR_OK };
        struct commit *first = commit_of(batch->first);
        uint64_t total;
        int64_t began_ms = clock_mono_ms();
        int n = c->current.fd >= 0 ? batch_fill(c, batch, &total) : 0;

        if (n == 0 && c->current.fd >= 0 && c->current.at == SEGMENT_FIRST) {
            /* commit_max was not asked: an empty segment is all there can be. */
            err_set(&err, ERR_PERM, "record of %zu bytes is larger than a segment", first->length);
            batch_answer(batch, &done, 1, &err, false);
        } else if (n == 0) {
            if (!segment_next(c, &err))
                batch_answer(batch, &done, -1, &err, false);
        } else if (segment_append(&c->current, c->iov, n, total, &err)) {
            first->synced = (unsigned)n;
            first->synced_ms = (unsigned)(clock_mono_ms() - began_ms);
            batch_answer(batch, &done, n, NULL, false);
        } else if (err.cls == ERR_LIMIT) {
            batch_answer(batch, &done, -1, &err, false);
        } else {
            segment_abandon(&c->current);
            batch_answer(batch, &done, n, &err, true);
        }
        handover_done(c->hand, &done);
    }
}

/* ---- the other threads ---- */

/* All that came while the last sync ran is the next batch. */
static void on_pick(struct handover_chain *pending, struct handover_chain *batch)
{
    handover_chain_move(pending, batch);
}

static void on_drop(struct handover_job *link)
{
    struct commit *c = commit_of(link);

    commit_free(&c);
}

struct committer *committer_new(int segment_dir, uint64_t segment_size, uint32_t first)
{
    static const struct handover_spec spec = {
        .name = "committer", .work = on_work, .pick = on_pick, .drop = on_drop
    };
    struct committer *c = mem_new(sizeof *c);

    c->segment_dir = segment_dir;
    c->segment_size = segment_size;
    c->number = first;
    c->current.fd = -1;
    c->iov = mem_array(BATCH_MAX, sizeof *c->iov);
    c->hand = handover_new(&spec, c);
    return c;
}

/* The thread looks at it when it has something to write, and handing that over makes it seen. */
void committer_first(struct committer *c, uint32_t first)
{
    c->number = first;
}

bool committer_start(struct committer *c, struct err *err)
{
    return handover_start(c->hand, err);
}

void committer_stop(struct committer **cp)
{
    struct committer *c = *cp;

    *cp = NULL;
    if (!c)
        return;
    handover_stop(&c->hand);
    segment_seal(&c->current);
    free(c->iov);
    free(c);
}

void committer_add(struct committer *c, struct commit *commit)
{
    handover_add(c->hand, &commit->link);
}

void committer_fail(struct committer *c, struct commit *commit)
{
    struct handover_chain done;

    handover_chain_init(&done);
    commit->ok = false;
    handover_chain_add(&done, &commit->link);
    handover_done(c->hand, &done);
}

int committer_wake_fd(const struct committer *c)
{
    return handover_wake_fd(c->hand);
}

struct commit *committer_take(struct committer *c)
{
    struct handover_job *first = handover_take(c->hand);

    for (struct handover_job *link = first; link; link = link->next) {
        const struct commit *m = commit_of(link);

        if (!m->synced)
            continue;
        metric_observe(METRIC_SYNC_BATCH, m->synced);
        metric_observe(METRIC_SYNC_TIME, m->synced_ms);
        metric_add(METRIC_QUEUE_STORED, 0, m->synced);
    }
    return commit_of(first);
}

struct commit *commit_next(const struct commit *c)
{
    return commit_of(c->link.next);
}

void committer_run(struct committer *c, void (*fn)(void *arg), void *arg)
{
    handover_run(c->hand, fn, arg);
}
