/* schedule.h - what is delivered next, and when again (pure: the caller brings the time and the dice)
 *
 * A part is a message's recipients at one destination. Parts that may go now wait in their destination, in
 * lanes by sender; parts that must wait lie in a heap by time. Destinations with the same hosts and the same
 * policy are a group, a destination of which that is not known is one by itself. A group has a concurrency
 * window: it grows with success and shrinks when its hosts fail (not one recipient); after some failures in a
 * row the group rests, so that a dead host with ten thousand messages costs one attempt at a time and not ten
 * thousand. A destination whose hosts cannot even be found rests alone. Groups take turns, inside one
 * destinations do, and inside those senders. Groups of the three sides (other hosts, mailboxes, LMTP servers)
 * never wait for each other. Of groups, and of the destinations of one, those go first that hold a part of a
 * sender who had few others ready (in tiers, each of which is four times the one before; bulk is in the last
 * one), but each eighth turn is that of the tiers behind: of a mailing to many domains behind one smart host,
 * not many more parts go before the n-th letter of another sender than that one has ready himself.
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

/* Of parts by the number of others that their sender had ready: 0, 1..3, 4..15, ..., 65536 and more. */
#define SCHED_TIERS 10u

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
    uint8_t tier;  /* while ready: by how many others of its sender were when it became so */
};

struct sched_conf {
    const int64_t *retry;               /* seconds; the last repeats; borrowed */
    size_t retry_n;                     /* >= 1 */
    uint64_t (*below)(uint64_t n);      /* uniform in [0, n) */
    void (*drop)(void *arg, void *why); /* what sched_set_why gave is not needed any more; may be NULL */
    void *arg;
};

enum sched_side { SIDE_REMOTE, SIDE_LOCAL, SIDE_LMTP, SCHED_SIDES };
enum {
    SCHED_REMOTE = 1 << SIDE_REMOTE,
    SCHED_LOCAL = 1 << SIDE_LOCAL,
    SCHED_LMTP = 1 << SIDE_LMTP,
    SCHED_ANY = SCHED_REMOTE | SCHED_LOCAL | SCHED_LMTP,
};

/* What a remote destination may have; its group has it together. */
struct sched_limits {
    uint32_t max_jobs; /* at once; 0: as many as the window allows */
    uint32_t rate;     /* begun in a minute; 0: as many as there are */
    struct strv group; /* its group's key when that is known beforehand; n 0: it is not */
    struct strv label; /* every key of a group that it may be in begins with this and "|"; n 0: any */
};

struct sched;

struct sched *sched_new(const struct sched_conf *conf);
/* Another table of pauses; counts from the next attempt of each part. Borrowed. */
void sched_set_retry(struct sched *s, const int64_t *retry, size_t n);
/* How limits are found, which are zeroed before; asked for each remote destination now and when it comes. */
void sched_on_limits(struct sched *s, void (*fn)(void *arg, struct strv domain, struct sched_limits *l),
                     void *arg);
void sched_free(struct sched **s);

/* A new idle part of the destination (which is made when missing); domain is copied, lower-cased by the
 * caller. */
uint32_t sched_part_new(struct sched *s, struct strv domain, bool local, uint32_t sender);
void sched_part_free(struct sched *s, uint32_t part); /* leaves wherever it was */
struct part *sched_part(const struct sched *s, uint32_t part);

void sched_ready(struct sched *s, uint32_t part);
void sched_wait(struct sched *s, uint32_t part, uint32_t due_s);
void sched_idle(struct sched *s, uint32_t part);

/* The part whose turn it is among the sides that may go (which take turns), now idle, its destination
 * counting one more running job; 0: nothing may go now. */
uint32_t sched_pick(struct sched *s, unsigned sides);
/* For jobs that were not picked (an inventory of earlier ones). */
void sched_started(struct sched *s, uint32_t part);

enum sched_end {
    SCHED_SUCCESS,     /* the destination answered and took or judged the message */
    SCHED_NEUTRAL,     /* says nothing about the destination */
    SCHED_UNREACHABLE, /* its hosts could not be spoken to */
    SCHED_UNRESOLVED,  /* it could not be found out which hosts it has */
    SCHED_HOSTS,       /* after sched_asks: that is all it did; sched_join was told, if they have a key */
};
/* The destination's hosts and policy have this key, as all destinations of its group have. */
void sched_join(struct sched *s, uint32_t part, struct strv key);
/* An LMTP server was asked, or a mailbox, for a part that is not remote: its destination's side is known. */
void sched_asked_lmtp(struct sched *s, uint32_t part, bool lmtp);
/* Of a part that was picked: its route has a rate, which is one of its hosts, and these are not known yet.
 * The job should do no more than ask which they are, and end with SCHED_HOSTS; it does not count for the
 * rate, and there is only one. */
bool sched_asks(const struct sched *s, uint32_t part);
/* Before sched_ended: the look-up of the destination's hosts took long in that job, or it did not (or there
 * was none). After a slow one the destination has one job at a time, until some in a row were not. */
void sched_looked_up(struct sched *s, uint32_t part, bool slow);
/* A running job of the part ended. True when the destination, or its group, begins to rest. */
bool sched_ended(struct sched *s, uint32_t part, enum sched_end end, uint32_t now_s);

/* Moves parts that are due to ready, wakes what has rested, lets on what was too fast; the number moved.
   There may be more after SCHED_TICK_MAX: sched_next says so. */
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
struct strv sched_group(const struct sched *s, uint32_t part); /* its key; "": not known */
/* A number that stays the same for its group, also while that gets a key: who has its connections. */
uint64_t sched_home(const struct sched *s, uint32_t part);
/* Its key when it rests; "": it does not, or has none. */
struct strv sched_resting_group(const struct sched *s, uint32_t part);
enum sched_side sched_side(const struct sched *s, uint32_t part);
bool sched_is_local(const struct sched *s, uint32_t part);       /* not SIDE_REMOTE */
void sched_wake(struct sched *s, uint32_t part);                 /* its destination rests no more */
uint32_t sched_rest_until(const struct sched *s, uint32_t part); /* 0: neither it nor its group rests */
uint32_t sched_paced_until(const struct sched *s, uint32_t part); /* 0: its rate allows a job now */
/* Ready parts of the destination of `like`, or of its whole group when that rests; fn may make the one it is
 * given idle, waiting or free, nothing else. */
void sched_each_ready(struct sched *s, uint32_t like, void (*fn)(void *arg, uint32_t part), void *arg);
/* Why the destination or its group (SCHED_UNREACHABLE) rests or last failed: the caller's, handed back to
 * conf.drop. NULL: nothing known. */
void sched_set_why(struct sched *s, uint32_t part, enum sched_end end, void *why);
void *sched_why(const struct sched *s, uint32_t part);
unsigned sched_window(const struct sched *s, uint32_t part);
uint32_t sched_running(const struct sched *s, uint32_t part); /* jobs of its group */
bool sched_are_one(const struct sched *s, uint32_t a, uint32_t b); /* their destinations are of one group */
size_t sched_dest_count(const struct sched *s);
/* Mask of the sides that have had destinations; other hosts and mailboxes always count. */
unsigned sched_sides(const struct sched *s);
/* fn for each destination, with the number of its parts. */
void sched_each_dest(const struct sched *s, void (*fn)(void *arg, struct strv domain, uint32_t parts),
                     void *arg);
/* Forgets destinations without parts. For the sweep; they keep their windows until then. */
void sched_trim(struct sched *s);
