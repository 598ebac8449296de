/* keeper.c - the thread that writes and reads the history */
#include "historyd/keeper.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "historyd/keys.h"

#define BLOCK_LINES (BLOCK_SIZE / 20u) /* as many as there can be: a line has a head and `event=` */

struct keeper {
    struct handover *hand;      /* owned */
    size_t waiting;             /* both threads': blocks that are not done */
    struct store_limits limits; /* the thread's, like store */
    struct store *store;        /* owned; NULL: not open */
    uint64_t open;              /* block of it that is being filled */
};

static struct keeper_job *job_of(struct handover_job *link)
{
    return (struct keeper_job *)link;
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

/* Blocks that wait one behind the other, up to the first open one: one transaction. */
static void on_pick(struct handover_chain *pending, struct handover_chain *batch)
{
    size_t n = 0;

    while (n < STORE_BATCH && pending->first && (n == 0 || job_of(pending->first)->kind == KEEPER_BLOCK)) {
        struct keeper_job *job = job_of(handover_chain_take(pending));

        handover_chain_add(batch, &job->link);
        n++;
        if (job->kind != KEEPER_BLOCK || job->open)
            break;
    }
}

static void on_work(void *arg, struct handover_chain *batch)
{
    struct keeper *k = arg;
    struct keeper_job *jobs[STORE_BATCH] = { job_of(batch->first) };
    size_t n = 1;

    for (struct handover_job *link = batch->first->next; link; link = link->next)
        jobs[n++] = job_of(link);
    if (jobs[0]->kind == KEEPER_BLOCK) {
        do_blocks(k, jobs, n);
        __atomic_sub_fetch(&k->waiting, n, __ATOMIC_RELAXED);
    } else {
        do_other(k, jobs[0]);
    }
    handover_done(k->hand, batch);
}

/* ---- the loop ---- */

static void on_drop(struct handover_job *link)
{
    keeper_job_free(job_of(link));
}

struct keeper *keeper_new(const struct store_limits *limits)
{
    static const struct handover_spec spec = {
        .name = "keeper", .work = on_work, .pick = on_pick, .drop = on_drop
    };
    struct keeper *k = mem_new(sizeof *k);

    k->limits = *limits;
    k->hand = handover_new(&spec, k);
    return k;
}

bool keeper_start(struct keeper *k, struct err *err)
{
    return handover_start(k->hand, err);
}

void keeper_add(struct keeper *k, struct keeper_job *job)
{
    if (job->kind == KEEPER_BLOCK)
        __atomic_add_fetch(&k->waiting, 1, __ATOMIC_RELAXED);
    handover_add(k->hand, &job->link);
}

size_t keeper_waiting(struct keeper *k)
{
    return __atomic_load_n(&k->waiting, __ATOMIC_RELAXED);
}

int keeper_wake_fd(const struct keeper *k)
{
    return handover_wake_fd(k->hand);
}

struct keeper_job *keeper_take(struct keeper *k)
{
    return job_of(handover_take(k->hand));
}

struct keeper_job *keeper_job_next(const struct keeper_job *job)
{
    return job_of(job->link.next);
}

void keeper_stop(struct keeper **kp)
{
    struct keeper *k = *kp;

    *kp = NULL;
    if (!k)
        return;
    handover_stop(&k->hand);
    store_close(&k->store);
    free(k);
}

void keeper_run(struct keeper *k, void (*fn)(void *arg), void *arg)
{
    handover_run(k->hand, fn, arg);
}
