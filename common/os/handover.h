/* handover.h - jobs that the loop hands to a thread of its own, and gets back when they are done
 *
 * For what may wait for a disk. A job belongs to who holds it: handover_add gives it away, handover_take
 * gives it back. A job's struct begins with its struct handover_job; it is in one chain at a time.
 */
#pragma once

#include <stddef.h>

#include "common/base/err.h"

struct handover_job {
    struct handover_job *next;
};

struct handover_chain {
    struct handover_job *first, **end;
};

static inline void handover_chain_init(struct handover_chain *c)
{
    c->first = NULL;
    c->end = &c->first;
}

/* Takes: at the end. */
static inline void handover_chain_add(struct handover_chain *c, struct handover_job *job)
{
    job->next = NULL;
    *c->end = job;
    c->end = &job->next;
}

/* The first, out of the chain; NULL: it is empty. */
static inline struct handover_job *handover_chain_take(struct handover_chain *c)
{
    struct handover_job *job = c->first;

    if (job && !(c->first = job->next))
        c->end = &c->first;
    return job;
}

/* Everything, to the end of another chain. */
static inline void handover_chain_move(struct handover_chain *from, struct handover_chain *to)
{
    if (!from->first)
        return;
    *to->end = from->first;
    to->end = from->end;
    handover_chain_init(from);
}

struct handover_spec {
    const char *name; /* of the thread, <= 15 bytes */
    /* On the thread, without a lock: a batch of one job or more. Each one goes to handover_done, or elsewhere
       for good. */
    void (*work)(void *arg, struct handover_chain *batch);
    /* On the thread, with the lock, when something waits: moves the first of it, or several from the front,
       into the empty batch. NULL: the first alone. Urgent jobs are never asked about: each is a batch. */
    void (*pick)(struct handover_chain *pending, struct handover_chain *batch);
    void (*drop)(struct handover_job *job); /* frees a job that nobody takes back: handover_stop */
};

struct handover;

/* spec and arg are borrowed until handover_stop. Never fails. */
struct handover *handover_new(const struct handover_spec *spec, void *arg);
/* False: there is no thread; what is added waits until handover_stop drops it. */
bool handover_start(struct handover *h, struct err *err) __attribute__((warn_unused_result));
/* Everything that was added is worked off first (work may use *h until then); then drop gets what was not
   taken back, and *h is NULL. Any other thread must have left it alone for good. NULL is fine. */
void handover_stop(struct handover **h);

/* Any thread. Jobs are picked in the order in which they were added, urgent ones before all others. */
void handover_add(struct handover *h, struct handover_job *job);
void handover_add_urgent(struct handover *h, struct handover_job *job);
/* Any thread: all jobs of the chain come back, in this order. The chain is empty then. */
void handover_done(struct handover *h, struct handover_chain *done);

int handover_wake_fd(const struct handover *h); /* readable when something came back */
/* All that came back, the one that was done first first; resets the descriptor. NULL: nothing yet. */
struct handover_job *handover_take(struct handover *h);
/* Runs fn on the thread, before what waits, and waits for its end. One caller at a time. */
void handover_run(struct handover *h, void (*fn)(void *arg), void *arg);
