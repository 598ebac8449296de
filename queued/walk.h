/* walk.h - a look at every message in steps of a few milliseconds, between which mail goes on, for one call
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
    /* NULL, or what is to be done when all were seen, before the end, and may take long. True: there is more
       than could be done until then; it is called again soon. */
    bool (*tell)(struct walk *w, int64_t until_mono_ms);
    /* All were seen (cursor 0), or the portion is over: answers the call. */
    void (*end)(struct walk *w);
    void (*clear)(struct walk *w); /* frees the walk, which is the first member of something larger */
    bool progress;                 /* a row "progress" each second, so that the caller knows that we live */
    bool portions;                 /* it ends when the call has CTL_PORTION rows; cursor is given then */
    uint64_t cursor;
    /* the walk's own */
    uint64_t seen;
    bool over; /* all were seen */
    int64_t told; /* mono ms */
    struct loop_timer timer;
};

/* Takes w, which is filled down to `cursor`; its first step runs at once. */
void walk_start(struct walk *w);
