/* timer.c - the timers of a loop: a four-way heap; moving a timer later leaves the heap alone until its old
   time

   libevent's own timers are not used: each change costs a call and a clock reading there, its coarse clock is
   up to 4 ms behind ours, and a test could not advance it. */
#include "common/net/timer.h"

#include "common/base/mem.h"

#include <stdlib.h>

#define WAYS 4u

static void place(struct timer_heap *h, size_t at, struct loop_timer *t)
{
    h->slots[at] = t;
    t->slot = (uint32_t)at + 1;
}

static void sift_up(struct timer_heap *h, size_t at)
{
    struct loop_timer *t = h->slots[at];

    while (at > 0) {
        size_t parent = (at - 1) / WAYS;

        if (h->slots[parent]->queued <= t->queued)
            break;
        place(h, at, h->slots[parent]);
        at = parent;
    }
    place(h, at, t);
}

static void sift_down(struct timer_heap *h, size_t at)
{
    struct loop_timer *t = h->slots[at];

    for (;;) {
        size_t first = at * WAYS + 1, least = first;

        if (first >= h->count)
            break;
        for (size_t i = first + 1; i < first + WAYS && i < h->count; i++)
            if (h->slots[i]->queued < h->slots[least]->queued)
                least = i;
        if (t->queued <= h->slots[least]->queued)
            break;
        place(h, at, h->slots[least]);
        at = least;
    }
    place(h, at, t);
}

void timer_heap_clear(struct timer_heap *h)
{
    for (size_t i = 0; i < h->count; i++)
        h->slots[i]->slot = 0;
    MEM_FREE(h->slots);
    h->count = h->cap = 0;
}

void timer_heap_add(struct timer_heap *h, struct loop_timer *t)
{
    if (h->count == h->cap) {
        h->cap = h->cap ? h->cap * 2 : 64;
        h->slots = mem_resize(h->slots, h->cap, sizeof *h->slots);
    }
    h->slots[h->count++] = t;
    sift_up(h, h->count - 1);
}

void timer_heap_remove(struct timer_heap *h, struct loop_timer *t)
{
    size_t at = t->slot - 1;
    struct loop_timer *last = h->slots[--h->count];

    t->slot = 0;
    if (last == t)
        return;
    place(h, at, last);
    timer_heap_moved(h, last);
}

void timer_heap_moved(struct timer_heap *h, struct loop_timer *t)
{
    sift_up(h, t->slot - 1);
    sift_down(h, t->slot - 1);
}
