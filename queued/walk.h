/* walk.h - a look at every message in steps of about a millisecond, between which mail goes on, for one call
 *
 * The queue may change between two steps: a message that comes or goes meanwhile may be seen or not, one that
 * stays is seen once. The walk ends with the call: when all were seen, or when the caller leaves.
 */
#pragma once

#include "queued/ctl.h"

struct walk {
    struct mailq *q;
    struct ctl_call *call;
    struct selection selection;
    void (*each)(struct walk *w, uint32_t message);
    void (*end)(struct walk *w);   /* all were seen: answers the call */
    void (*clear)(struct walk *w); /* frees the walk, which is the first member of something larger */
    bool progress;                 /* a row "progress" each second, so that the caller knows that we live */
    /* the walk's own */
    uint64_t cursor, seen;
    int64_t told; /* mono ms */
    struct loop_timer timer;
};

/* Takes w, which is filled down to `progress`; its first step runs at once. */
void walk_start(struct walk *w);
