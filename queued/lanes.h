/* lanes.h - the order of ready parts inside one destination: by class, then senders in turn (pure)
 *
 * Each sender with ready parts has one lane in its class, exactly: no two senders share one. Lanes take turns
 * in rounds. A sender that comes new joins the round that runs, behind those that have not had their turn and
 * before those that had it: what a mailing holds back of a letter is the job that runs, not one more. As many
 * newcomers as a round had lanes (and a few) may do so, the others wait for the next round: a stream of new
 * senders cannot keep an old one out. Higher classes go first, but each eighth turn is the lower ones'.
 *
 * A part's `class`, `sender` and `tier` must not change while it is in. All operations take constant time,
 * and nothing is kept for a destination with one ready part.
 */
#pragma once

#include "queued/schedule.h"

struct lane_list {
    uint32_t head, tail; /* lanes */
};

struct lane_round {
    struct lane_list lists[2]; /* [now]: wait for their turn in this round; the other: for the next one */
    uint32_t ready;            /* parts */
    uint32_t lanes;            /* those that are empty since their turn included: they end at the next one */
    uint32_t newcomers;        /* how many more may join this round */
    uint8_t now;
    uint8_t passed; /* turns taken while a lower class waited */
};

struct lane_rounds {
    struct lane_round class[SCHED_CLASSES];
    uint32_t tiers[SCHED_TIERS]; /* parts in each */
};

/* One destination's. */
struct order {
    struct lane_rounds *rounds; /* owned; NULL while one part at most is ready */
    uint32_t single;            /* the one ready part when rounds is NULL */
    uint32_t ready;
    uint32_t last; /* the sender that had the last turn */
};

/* All destinations' lanes, and how a sender's is found. */
struct lanes {
    const struct pool *parts; /* borrowed; of struct part */
    struct pool pool;
    uint32_t *buckets; /* owned; chains of lanes, grown bucket by bucket (linear hashing) */
    uint32_t bucket_n, cap;
};

void lanes_init(struct lanes *t, const struct pool *parts);
void lanes_clear(struct lanes *t); /* releases all; orders need order_clear besides */

/* dest: the destination's number, the same in each call for this order. The part is in no order. */
void order_add(struct lanes *t, struct order *o, uint32_t dest, uint32_t part);
void order_remove(struct lanes *t, struct order *o, uint32_t part);
/* Takes out the part whose turn it is; ready must not be 0. */
uint32_t order_pick(struct lanes *t, struct order *o);
/* The first tier that has a part; ready must not be 0. */
unsigned order_tier(const struct lanes *t, const struct order *o);
/* fn may remove the one it is given, nothing else. */
void order_each(struct lanes *t, struct order *o, void (*fn)(void *arg, uint32_t part), void *arg);
void order_clear(struct order *o);
