/* timer.h - the timers of a loop as a heap ordered by time (inner part of loop.c) */
#pragma once

#include "common/net/loop.h"

#include <stddef.h>

struct timer_heap {
    struct loop_timer **slots; /* owned array of borrowed timers */
    size_t count, cap;
};

void timer_heap_clear(struct timer_heap *h);
void timer_heap_add(struct timer_heap *h, struct loop_timer *t); /* at t->queued */
void timer_heap_remove(struct timer_heap *h, struct loop_timer *t);
void timer_heap_moved(struct timer_heap *h, struct loop_timer *t); /* t->queued has changed */
/* The timer that is queued first, or NULL. */
static inline struct loop_timer *timer_heap_first(const struct timer_heap *h)
{
    return h->count ? h->slots[0] : NULL;
}
