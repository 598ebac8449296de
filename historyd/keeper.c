/* keeper.c - the thread that writes and reads the history */
#include "historyd/keeper.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/os/fd.h"
#include "common/os/thread.h"
#include "historyd/keys.h"

#define BLOCK_LINES (BLOCK_SIZE / 20u) /* as many as there can be: a line has a head and `event=` */

struct chain {
    struct keeper_job *first, **end;
};

struct keeper {
    int wake; /* owned eventfd */
    pthread_t thread;
    bool started;
    struct store_limits limits; /* the thread's, like store */
    struct store *store;        /* owned; NULL: not open */
    uint64_t open;              /* block of it that is being filled */

    pthread_mutex_t lock;
    pthread_cond_t cond;
    struct chain pending, finished; /* under lock */
    size_t waiting;
    bool stop;
    void (*run)(void *arg);
    void *run_arg;
};

static void chain_init(struct chain *c)
{
    c->first = NULL;
    c->end = &c->first;
}

static void chain_add(struct chain *c, struct keeper_job *job)
{
    job->next = NULL;
    *c->end = job;
    c->end = &job->next;
}

static struct keeper_job *chain_take(struct chain *c)
{
    struct keeper_job *job = c->first;

    if (job && !(c->first = job->next))
        c->end = &c->first;
    return job;
}

struct keeper *keeper_new(const struct store_limits *limits)
{
    struct keeper *k = mem_new(sizeof *k);

    k->limits = *limits;
    k->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (k->wake < 0)
        die("eventfd failed with error %d", errno);
    pthread_mutex_init(&k->lock, NULL);
    pthread_cond_init(&k->cond, NULL);
    chain_init(&k->pending);
    chain_init(&k->finished);
    return k;
}

void keeper_job_free(struct keeper_job *job)
{
    free(job->bytes);
    free(job->form_bytes);
    buf_clear(&job->lines);
    free(job);
}

/* ---- the thread ---- */

/* A store that failed is closed: the next job opens it again, and looks at it as at the start. */
static bool store_ready(struct keeper *k, struct keeper_job *job)
{
    if (k->store)
        return true;
    k->store = store_open(&k->limits, &job->damaged, &job->err);
    if (k->store)
        store_resume(k->store, k->open);
    return k->store != NULL;
}

/* Full: make room of our own. It may fail as well; then the next lines try. */
static void make_room(struct keeper *k, struct keeper_job *job)
{
    struct err err = { 0 };
    bool damaged, more;

    store_close(&k->store);
    if (job->err.cls != ERR_LIMIT)
        return;
    k->store = store_open(&k->limits, &damaged, &err);
    if (k->store)
        store_resume(k->store, k->open);
    if (k->store && !store_trim(k->store, clock_wall_ms(), STORE_BATCH, &more, &err))
        store_close(&k->store);
}

static void trim(struct keeper *k, struct keeper_job *job)
{
    bool more = true;

    for (unsigned i = 0; more && i < 4; i++) {
        if (!store_trim(k->store, clock_wall_ms(), 0, &more, &job->err)) {
            job->ok = false;
            store_close(&k->store);
            return;
        }
    }
}

static void do_blocks(struct keeper *k, struct keeper_job **jobs, size_t n)
{
    const char *blocks[STORE_BATCH];
    struct keeper_job *last = jobs[n - 1];
    bool ok;

    for (size_t i = 0; i < n; i++)
        blocks[i] = jobs[i]->bytes;
    ok = store_ready(k, last);
    if (ok && !store_put(k->store, blocks, n, last->open, &last->err)) {
        make_room(k, last);
        ok = false;
    }
    for (size_t i = 0; i < n; i++) {
        jobs[i]->ok = ok;
        jobs[i]->err = last->err;
    }
    if (!ok)
        return;
    k->open = store_open_block(k->store);
    trim(k, last);
    if (k->store && !store_look(k->store, &last->state, &last->err))
        store_close(&k->store);
}

/* The newest line first, as the blocks come: who asks stops when he has enough. */
static bool on_block(void *arg, uint64_t number, const struct block_view *v)
{
    struct keeper_job *job = arg;
    struct strv hits[BLOCK_LINES], lines = v->lines, at = lines;
    struct line line;
    size_t n = 0;

    (void)number;
    while (n < BLOCK_LINES && block_next(&lines, &line)) {
        struct strv whole = strv_sub(at, 0, at.n - lines.n);

        at = lines;
        if (line.ms >= job->since_ms && keys_match(line.text, job->forms, job->form_n))
            hits[n++] = whole;
    }
    job->found += n;
    while (n > 0)
        buf_addv(&job->lines, hits[--n]);
    return job->found < KEEPER_LINES;
}

struct finding {
    struct keeper_job *job;
    uint64_t last;
    bool full;
};

static bool on_found(void *arg, uint64_t number, const struct block_view *v)
{
    struct finding *f = arg;

    f->last = number;
    f->full = !on_block(f->job, number, v);
    return !f->full;
}

static void do_find(struct keeper *k, struct keeper_job *job)
{
    uint32_t keys[KEEPER_KEYS];
    struct store_query q = {
        .keys = keys, .key_n = job->form_n, .since_ms = job->since_ms, .from = job->from, .max = KEEPER_BLOCKS
    };
    struct finding f = { .job = job };

    for (size_t i = 0; i < job->form_n; i++)
        keys[i] = key_hash(job->forms[i]);
    job->ok = store_ready(k, job) && store_find(k->store, &q, on_found, &f, &job->next_block, &job->err);
    if (!job->ok)
        store_close(&k->store);
    else if (f.full)
        job->next_block = f.last - 1; /* 0: that was the first of all */
    if (job->ok && !store_look(k->store, &job->state, &job->err))
        store_close(&k->store);
}

static void do_other(struct keeper *k, struct keeper_job *job)
{
    switch (job->kind) {
    case KEEPER_FIND: do_find(k, job); return;
    case KEEPER_LIMIT:
        k->limits = job->limits;
        if (k->store)
            store_limit(k->store, &k->limits);
        job->ok = true;
        return;
    case KEEPER_LOOK:
        job->ok = store_ready(k, job);
        if (job->ok)
            trim(k, job);
        job->ok = job->ok && k->store && store_look(k->store, &job->state, &job->err);
        return;
    case KEEPER_BLOCK: return;
    }
}

/* Blocks that wait one behind the other, up to the first open one: one transaction. Called with the lock. */
static size_t batch_take(struct keeper *k, struct keeper_job **jobs)
{
    size_t n = 0;

    while (n < STORE_BATCH && k->pending.first && (n == 0 || k->pending.first->kind == KEEPER_BLOCK)) {
        jobs[n++] = chain_take(&k->pending);
        if (jobs[n - 1]->kind != KEEPER_BLOCK || jobs[n - 1]->open)
            break;
    }
    return n;
}

static void batch_finish(struct keeper *k, struct keeper_job **jobs, size_t n)
{
    uint64_t one = 1;
    ssize_t written;

    pthread_mutex_lock(&k->lock);
    for (size_t i = 0; i < n; i++) {
        k->waiting -= jobs[i]->kind == KEEPER_BLOCK;
        chain_add(&k->finished, jobs[i]);
    }
    pthread_mutex_unlock(&k->lock);
    do {
        written = write(k->wake, &one, sizeof one);
    } while (written < 0 && errno == EINTR);
}

static void *keeper_main(void *arg)
{
    struct keeper *k = arg;

    pthread_mutex_lock(&k->lock);
    for (;;) {
        struct keeper_job *jobs[STORE_BATCH];
        size_t n;

        if (k->run) {
            k->run(k->run_arg);
            k->run = NULL;
            pthread_cond_broadcast(&k->cond);
            continue;
        }
        n = batch_take(k, jobs);
        if (n == 0 && k->stop)
            break;
        if (n == 0) {
            pthread_cond_wait(&k->cond, &k->lock);
            continue;
        }
        pthread_mutex_unlock(&k->lock);
        if (jobs[0]->kind == KEEPER_BLOCK)
            do_blocks(k, jobs, n);
        else
            do_other(k, jobs[0]);
        batch_finish(k, jobs, n);
        pthread_mutex_lock(&k->lock);
    }
    pthread_mutex_unlock(&k->lock);
    store_close(&k->store);
    return NULL;
}

bool keeper_start(struct keeper *k, struct err *err)
{
    k->started = thread_start(&k->thread, "keeper", keeper_main, k, err);
    return k->started;
}

/* ---- the loop ---- */

void keeper_add(struct keeper *k, struct keeper_job *job)
{
    pthread_mutex_lock(&k->lock);
    k->waiting += job->kind == KEEPER_BLOCK;
    chain_add(&k->pending, job);
    pthread_cond_broadcast(&k->cond);
    pthread_mutex_unlock(&k->lock);
}

size_t keeper_waiting(struct keeper *k)
{
    size_t n;

    pthread_mutex_lock(&k->lock);
    n = k->waiting;
    pthread_mutex_unlock(&k->lock);
    return n;
}

int keeper_wake_fd(const struct keeper *k)
{
    return k->wake;
}

struct keeper_job *keeper_take(struct keeper *k)
{
    struct keeper_job *first;
    uint64_t count;
    ssize_t n;

    do {
        n = read(k->wake, &count, sizeof count);
    } while (n < 0 && errno == EINTR);
    pthread_mutex_lock(&k->lock);
    first = k->finished.first;
    chain_init(&k->finished);
    pthread_mutex_unlock(&k->lock);
    return first;
}

void keeper_stop(struct keeper **kp)
{
    struct keeper *k = *kp;

    *kp = NULL;
    if (!k)
        return;
    if (k->started) {
        pthread_mutex_lock(&k->lock);
        k->stop = true;
        pthread_cond_broadcast(&k->cond);
        pthread_mutex_unlock(&k->lock);
        pthread_join(k->thread, NULL);
    }
    for (struct keeper_job *job = keeper_take(k), *next; job; job = next) {
        next = job->next;
        keeper_job_free(job);
    }
    fd_close(&k->wake);
    pthread_mutex_destroy(&k->lock);
    pthread_cond_destroy(&k->cond);
    free(k);
}

void keeper_run(struct keeper *k, void (*fn)(void *arg), void *arg)
{
    pthread_mutex_lock(&k->lock);
    k->run = fn;
    k->run_arg = arg;
    pthread_cond_broadcast(&k->cond);
    while (k->run)
        pthread_cond_wait(&k->cond, &k->lock);
    pthread_mutex_unlock(&k->lock);
}
