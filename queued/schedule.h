/* schedule.h - what is delivered next, and when again (pure: the caller brings the time and the dice)
 *
 * A part is a message's recipients at one destination. Parts that may go now wait in their destination, in
 * lanes by sender; parts that must wait lie in a heap by time. A destination has a concurrency window: it
 * grows with success and shrinks when the destination itself fails (not one recipient); after some failures
 * in a row the destination rests, so that a dead host with ten thousand messages costs one attempt at a time
 * and not ten thousand. Destinations take turns, and inside one senders do.
 */
#pragma once

#include "common/base/strv.h"
#include "queued/heap.h"
#include "queued/pool.h"

enum part_state {
    PART_IDLE, /* the caller has it: nothing to do, on hold, or all of it is running */
    PART_READY,
    PART_WAITING,
};

/* Highest first. A new part is normal. */
enum sched_class { SCHED_URGENT, SCHED_NORMAL, SCHED_BULK, SCHED_CLASSES };

struct part {
    uint32_t message; /* the caller's */
    uint32_t sibling; /* the caller's: next part of the message */
    uint32_t dest;
    uint32_t prev, next; /* neighbours in a lane */
    uint32_t place;      /* in the heap; while ready: its lane */
    uint32_t due;        /* seconds; of the last sched_wait */
    uint32_t sender;     /* hash: the lane */
    uint32_t tried;      /* the caller's: seconds, the last attempt */
    uint16_t attempts;   /* the caller's */
    uint16_t running;    /* the caller's: jobs */
    uint8_t state;
    uint8_t class; /* enum sched_class; the caller sets it while the part is idle */
    uint8_t lost;  /* the caller's: jobs that ended with their deliverd */
};

struct sched_conf {
    const int64_t *retry;               /* seconds; the last repeats; borrowed */
    size_t retry_n;                     /* >= 1 */
    uint64_t (*below)(uint64_t n);      /* uniform in [0, n) */
    void (*drop)(void *arg, void *why); /* what sched_set_why gave is not needed any more; may be NULL */
    void *arg;
};

struct sched;

struct sched *sched_new(const struct sched_conf *conf);
/* Another table of pauses; counts from the next attempt of each part. Borrowed. */
void sched_set_retry(struct sched *s, const int64_t *retry, size_t n);
void sched_free(struct sched **s);

/* A new idle part of the destination (which is made when missing); domain is copied, lower-cased by the
 * caller. */
uint32_t sched_part_new(struct sched *s, struct strv domain, bool local, uint32_t sender);
void sched_part_free(struct sched *s, uint32_t part); /* leaves wherever it was */
struct part *sched_part(const struct sched *s, uint32_t part);

void sched_ready(struct sched *s, uint32_t part);
void sched_wait(struct sched *s, uint32_t part, uint32_t due_s);
void sched_idle(struct sched *s, uint32_t part);

enum { SCHED_REMOTE = 1, SCHED_LOCAL = 2, SCHED_ANY = SCHED_REMOTE | SCHED_LOCAL };

/* The part whose turn it is among the sides that may go (other hosts and our own mailboxes, which take
 * turns), now idle, its destination counting one more running job; 0: nothing may go now. */
uint32_t sched_pick(struct sched *s, unsigned sides);
/* No more jobs than that at once at its destination, whatever its window is; 0: no such limit. */
void sched_limit(struct sched *s, uint32_t part, uint32_t jobs);
/* For jobs that were not picked (an inventory of earlier ones). */
void sched_started(struct sched *s, uint32_t part);

enum sched_end {
    SCHED_SUCCESS,     /* the destination answered and took or judged the message */
    SCHED_NEUTRAL,     /* says nothing about the destination */
    SCHED_UNREACHABLE, /* the destination could not be spoken to */
};
/* A running job of the part ended. True when the destination begins to rest. */
bool sched_ended(struct sched *s, uint32_t part, enum sched_end end, uint32_t now_s);

/* Moves parts that are due to ready and wakes rested destinations; the number moved. There may be more after
   SCHED_TICK_MAX: sched_next says so. */
#define SCHED_TICK_MAX 10000u
size_t sched_tick(struct sched *s, uint32_t now_s);
/* When sched_tick has something to do next; 0: never. */
uint32_t sched_next(const struct sched *s);

/* The clock was set: everything that waits or rests does so as long as before. */
void sched_shift(struct sched *s, int64_t seconds);

/* When to try again after the attempt with this number (from 1): the list, and up to an eighth more. */
uint32_t sched_retry_at(const struct sched *s, unsigned attempts, uint32_t now_s);
/* The longest that the list and jitter can make it: what an older configuration promised is cut to this. */
uint32_t sched_retry_limit(const struct sched *s, unsigned attempts, uint32_t now_s);

struct strv sched_domain(const struct sched *s, uint32_t part);
bool sched_is_local(const struct sched *s, uint32_t part);
void sched_wake(struct sched *s, uint32_t part);                 /* its destination rests no more */
uint32_t sched_rest_until(const struct sched *s, uint32_t part); /* 0: not resting */
/* Ready parts of the destination of `like`; fn may make the one it is given idle, waiting or free, nothing
 * else. */
void sched_each_ready(struct sched *s, uint32_t like, void (*fn)(void *arg, uint32_t part), void *arg);
/* Why the destination rests or last failed: the caller's, handed back to conf.drop. NULL: nothing known. */
void sched_set_why(struct sched *s, uint32_t part, void *why);
void *sched_why(const struct sched *s, uint32_t part);
unsigned sched_window(const struct sched *s, uint32_t part);
uint32_t sched_running(const struct sched *s, uint32_t part); /* jobs of its destination */
size_t sched_dest_count(const struct sched *s);
/* fn for each destination, with the number of its parts. */
void sched_each_dest(const struct sched *s, void (*fn)(void *arg, struct strv domain, uint32_t parts),
                     void *arg);
/* Forgets destinations without parts. For the sweep; they keep their windows until then. */
void sched_trim(struct sched *s);
