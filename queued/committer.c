/* committer.c - the thread that makes records durable: takes all that waits, writes once, syncs once */
#include "queued/committer.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/metric.h"
#include "common/os/fault.h"
#include "common/os/fd.h"
#include "common/os/thread.h"
#include "queued/segment.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define BATCH_MAX  1024 /* IOV_MAX: one system call */
#define SYNCED_MAX 64u

struct chain {
    struct commit *first, **end;
};

struct committer {
    int segment_dir; /* borrowed */
    int wake;        /* owned eventfd */
    uint64_t segment_size;
    pthread_t thread;
    bool started;

    pthread_mutex_t lock;
    pthread_cond_t cond;
    struct chain pending, finished; /* under lock */
    bool stop;
    void (*run)(void *arg); /* under lock: a call for the thread */
    void *run_arg;
    struct synced {
        unsigned messages;
        uint64_t ms;
    } synced[SYNCED_MAX]; /* under lock: for metrics, until somebody takes what is finished */
    unsigned synced_n;

    struct segment current; /* the thread's own from here on */
    uint32_t number;        /* of the next segment */
    struct iovec *iov;
};

static void chain_init(struct chain *c)
{
    c->first = NULL;
    c->end = &c->first;
}

static void chain_add(struct chain *c, struct commit *commit)
{
    commit->next = NULL;
    *c->end = commit;
    c->end = &commit->next;
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

struct committer *committer_new(int segment_dir, uint64_t segment_size, uint32_t first)
{
    struct committer *c = mem_new(sizeof *c);

    c->segment_dir = segment_dir;
    c->segment_size = segment_size;
    c->number = first;
    c->current.fd = -1;
    c->iov = mem_array(BATCH_MAX, sizeof *c->iov);
    c->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (c->wake < 0)
        die("eventfd failed with error %d", errno);
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->cond, NULL);
    chain_init(&c->pending);
    chain_init(&c->finished);
    return c;
}

void committer_first(struct committer *c, uint32_t first)
{
    pthread_mutex_lock(&c->lock);
    c->number = first;
    pthread_mutex_unlock(&c->lock);
}

static void committer_wake(struct committer *c)
{
    uint64_t one = 1;
    ssize_t n;

    do {
        n = write(c->wake, &one, sizeof one);
    } while (n < 0 && errno == EINTR);
}

static void committer_finish(struct committer *c, struct chain *done)
{
    if (!done->first)
        return;
    pthread_mutex_lock(&c->lock);
    *c->finished.end = done->first;
    c->finished.end = done->end;
    pthread_mutex_unlock(&c->lock);
    chain_init(done);
    committer_wake(c);
}

/* ---- the thread ---- */

/* Takes from the batch what fits into the current segment and one system call. */
static int batch_fill(struct committer *c, struct commit *first, uint64_t *total)
{
    int count = 0;

    *total = 0;
    for (struct commit *m = first; m && count < BATCH_MAX; m = m->next) {
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

/* Metrics are the loop's thread's alone. */
static void synced_note(struct committer *c, int n, int64_t began_ms)
{
    pthread_mutex_lock(&c->lock);
    if (c->synced_n < SYNCED_MAX)
        c->synced[c->synced_n++] = (struct synced){ (unsigned)n, (uint64_t)(clock_mono_ms() - began_ms) };
    pthread_mutex_unlock(&c->lock);
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
static void batch_answer(struct chain *batch, struct chain *done, int n, const struct err *err, bool maybe)
{
    while (batch->first && n != 0) {
        struct commit *m = batch->first;

        batch->first = m->next;
        m->ok = err == NULL;
        m->maybe = maybe;
        if (err)
            m->err = *err;
        chain_add(done, m);
        n -= n > 0;
    }
}

static void batch_commit(struct committer *c, struct chain *batch)
{
    struct chain done;

    chain_init(&done);
    while (batch->first) {
        struct err err = { .cls = ERR_OK };
        uint64_t total;
        int64_t began_ms = clock_mono_ms();
        int n = c->current.fd >= 0 ? batch_fill(c, batch->first, &total) : 0;

        if (n == 0 && c->current.fd >= 0 && c->current.at == SEGMENT_FIRST) {
            /* commit_max was not asked: an empty segment is all there can be. */
            err_set(&err, ERR_PERM, "record of %zu bytes is larger than a segment", batch->first->length);
            batch_answer(batch, &done, 1, &err, false);
        } else if (n == 0) {
            if (!segment_next(c, &err))
                batch_answer(batch, &done, -1, &err, false);
        } else if (segment_append(&c->current, c->iov, n, total, &err)) {
            synced_note(c, n, began_ms);
            batch_answer(batch, &done, n, NULL, false);
        } else if (err.cls == ERR_LIMIT) {
            batch_answer(batch, &done, -1, &err, false);
        } else {
            segment_abandon(&c->current);
            batch_answer(batch, &done, n, &err, true);
        }
        committer_finish(c, &done);
    }
    committer_finish(c, &done);
}

static void *committer_main(void *arg)
{
    struct committer *c = arg;

    pthread_mutex_lock(&c->lock);
    for (;;) {
        struct chain batch;

        while (!c->pending.first && !c->stop && !c->run)
            pthread_cond_wait(&c->cond, &c->lock);
        if (c->run) {
            c->run(c->run_arg);
            c->run = NULL;
            pthread_cond_broadcast(&c->cond);
            continue;
        }
        if (!c->pending.first)
            break;
        batch.first = c->pending.first;
        batch.end = c->pending.end;
        chain_init(&c->pending);
        pthread_mutex_unlock(&c->lock);
        batch_commit(c, &batch);
        pthread_mutex_lock(&c->lock);
    }
    pthread_mutex_unlock(&c->lock);
    segment_seal(&c->current);
    return NULL;
}

bool committer_start(struct committer *c, struct err *err)
{
    c->started = thread_start(&c->thread, "committer", committer_main, c, err);
    return c->started;
}

void committer_stop(struct committer **cp)
{
    struct committer *c = *cp;

    *cp = NULL;
    if (!c)
        return;
    if (c->started) {
        pthread_mutex_lock(&c->lock);
        c->stop = true;
        pthread_cond_broadcast(&c->cond);
        pthread_mutex_unlock(&c->lock);
        pthread_join(c->thread, NULL);
    }
    for (struct commit *m = committer_take(c), *next; m; m = next) {
        next = m->next;
        commit_free(&m);
    }
    fd_close(&c->wake);
    pthread_mutex_destroy(&c->lock);
    pthread_cond_destroy(&c->cond);
    free(c->iov);
    free(c);
}

/* ---- the other threads ---- */

void committer_add(struct committer *c, struct commit *commit)
{
    bool first;

    pthread_mutex_lock(&c->lock);
    first = c->pending.first == NULL;
    chain_add(&c->pending, commit);
    pthread_mutex_unlock(&c->lock);
    if (first)
        pthread_cond_broadcast(&c->cond);
}

void committer_fail(struct committer *c, struct commit *commit)
{
    struct chain done;

    chain_init(&done);
    commit->ok = false;
    chain_add(&done, commit);
    committer_finish(c, &done);
}

int committer_wake_fd(const struct committer *c)
{
    return c->wake;
}

struct commit *committer_take(struct committer *c)
{
    struct commit *first;
    uint64_t count;
    ssize_t n;

    do {
        n = read(c->wake, &count, sizeof count);
    } while (n < 0 && errno == EINTR);
    pthread_mutex_lock(&c->lock);
    first = c->finished.first;
    chain_init(&c->finished);
    for (unsigned i = 0; i < c->synced_n; i++) {
        metric_observe(METRIC_SYNC_BATCH, c->synced[i].messages);
        metric_observe(METRIC_SYNC_TIME, c->synced[i].ms);
        metric_add(METRIC_QUEUE_STORED, 0, c->synced[i].messages);
    }
    c->synced_n = 0;
    pthread_mutex_unlock(&c->lock);
    return first;
}

void committer_run(struct committer *c, void (*fn)(void *arg), void *arg)
{
    pthread_mutex_lock(&c->lock);
    c->run = fn;
    c->run_arg = arg;
    pthread_cond_broadcast(&c->cond);
    while (c->run)
        pthread_cond_wait(&c->cond, &c->lock);
    pthread_mutex_unlock(&c->lock);
}
