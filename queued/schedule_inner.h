/* schedule_inner.h - what the parts of the schedule share; nobody else includes it */
#pragma once

#include "queued/lanes.h"
#include "queued/schedule.h"

struct dict;

/* One lost connection says little about a host, and a message that waits because of another's bad luck is a
   mystery; five in a row say enough. From then on each single failure begins the next rest. */
#define REST_AFTER 5u
/* So many look-ups in a row that were not slow: one at a time until then. A domain that names an operator's
   hosts, and whose own name servers answer after a minute, would hold all places that those hosts have. */
#define QUICK_AFTER 5u
#define SLOW_KEPT   3600u /* seconds: not forgotten before that when no mail is left */
/* A domain with mailboxes and an LMTP server counts as the server's: so many results without it say that it
   is none any more. */
#define BOXES_MAX 100u

struct link { /* in a ring; next 0: in none */
    uint32_t prev, next;
    uint8_t tier; /* which ring that is */
};

/* A ring for each tier. */
struct turns {
    uint16_t tiers;              /* mask: are not empty */
    uint8_t behind;              /* the one behind the first that had a turn last */
    uint8_t passed[SCHED_TIERS]; /* turns of each while others behind it waited */
    uint32_t next[SCHED_TIERS];  /* whose turn it is; 0: empty */
};

/* How many parts of each sender are ready, in two tables of which the smaller count holds: senders that share
   a place in one do not in the other. */
#define WEIGHTS 8192u

/* Seconds; a place in a heap while it is not over. */
struct pause {
    uint32_t until, place;
};

struct dest {
    char *name;         /* owned; the dict's key: 'l' or 'r', then the domain */
    void *why;          /* the caller's, through conf.drop */
    struct order order; /* of its ready parts */
    uint32_t running, parts;
    uint32_t group;
    struct link link; /* those of its group that have something to start */
    struct pause rest;
    uint32_t slow_at; /* seconds: the last slow look-up */
    uint8_t failures; /* in a row to find its hosts, counted up to REST_AFTER */
    uint8_t slow;     /* look-ups that have to be quick before it has more than one job */
    bool asking;      /* its one job asks for its hosts, and took nothing of the rate */
    bool asked;       /* that told nothing: not again */
    uint8_t boxes;    /* of SIDE_LMTP: results in a row that came from mailboxes */
};

/* Destinations with the same hosts and policy. */
struct group {
    char *key; /* owned; NULL: nobody knows; then it has one member */
    void *why;
    uint64_t home; /* hash: of the first destination, which had connections before its hosts were known */
    uint32_t members, running;
    struct link link;   /* groups of its side that may start a job now */
    struct pause rest;
    struct pause paced; /* the rate allows no more before that */
    uint32_t max_jobs;  /* 0: no such limit */
    uint32_t rate;      /* jobs a minute; 0: no such limit */
    uint32_t filled;    /* seconds: when tokens were counted */
    float tokens;
    float window;
    uint8_t side;
    uint8_t failures; /* in a row of the hosts, counted up to REST_AFTER */
    struct turns turns; /* of its destinations */
};

struct sched {
    struct sched_conf conf;
    struct pool parts, dests, groups;
    struct lanes lanes;
    struct dict *by_name, *by_key;   /* -> (void *) handle, of destinations and groups */
    struct heap waiting;             /* parts */
    struct heap resting, asleep;     /* destinations; groups */
    struct heap paced;               /* groups */
    struct turns turns[SCHED_SIDES]; /* of groups */
    uint32_t weights[2][WEIGHTS];
    uint32_t now;  /* seconds, as told last */
    uint8_t side;  /* whose turn it is when several may go */
    uint8_t sides; /* mask: had destinations */
    void (*limits)(void *arg, struct strv domain, struct sched_limits *l);
    void *limits_arg;
};

static inline struct dest *dest_at(const struct sched *s, uint32_t d)
{
    return pool_at(&s->dests, d);
}

static inline struct group *group_at(const struct sched *s, uint32_t g)
{
    return pool_at(&s->groups, g);
}

/* ---- turns.c ---- */

/* After any change: into the rings it belongs to, out of the others. */
void dest_update(struct sched *s, uint32_t dest);
void group_update(struct sched *s, uint32_t group);
/* Out of its ring, because its group (or side) changes. */
void dest_stand_down(struct sched *s, uint32_t dest);
void group_stand_down(struct sched *s, uint32_t group);
/* The destination of the side whose turn it is, whose next turn is the last; 0: none may go. */
uint32_t groups_turn(struct sched *s, unsigned side);
/* The rate is one of its hosts, which are not known: N new domains that have the same ones would be N jobs
   beyond it. */
bool dest_asks(const struct sched *s, const struct dest *d);

/* ---- groups.c ---- */

void groups_init(struct sched *s);
void groups_clear(struct sched *s); /* all destinations and groups */

/* The destination, made in a group of its own when missing. */
uint32_t dest_get(struct sched *s, struct strv domain, bool local);
void dest_release(struct sched *s, uint32_t dest);
bool dest_is_idle(const struct sched *s, uint32_t dest); /* nothing would be forgotten with it */

/* A job of it began, now (which takes of what the rate allows) or before we were there; it ended. After that
   one of those that follow, or dest_update. */
void dest_started(struct sched *s, uint32_t dest, bool now);
void dest_ended(struct sched *s, uint32_t dest, enum sched_end end);
void dest_succeeded(struct sched *s, uint32_t dest);
/* True: it, or its group, begins to rest until then. */
bool dest_unresolved(struct sched *s, uint32_t dest, uint32_t until);
bool dest_unreachable(struct sched *s, uint32_t dest, uint32_t until);
void dest_wake(struct sched *s, uint32_t dest); /* also its group */

size_t groups_tick(struct sched *s);
