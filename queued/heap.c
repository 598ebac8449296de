/* heap.c - binary heap of handles by time; each object knows its place (pure) */
#include "queued/heap.h"

#include "common/base/mem.h"

#include <stdlib.h>

void heap_clear(struct heap *h)
{
    MEM_FREE(h->items);
    h->count = h->cap = 0;
}

static void heap_put(struct heap *h, size_t at, struct heap_item item)
{
    h->items[at] = item;
    h->moved(h->arg, item.handle, (uint32_t)at + 1);
}

static void heap_up(struct heap *h, size_t at, struct heap_item item)
{
    while (at > 0 && h->items[(at - 1) / 2].key > item.key) {
        heap_put(h, at, h->items[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_put(h, at, item);
}

static void heap_down(struct heap *h, size_t at, struct heap_item item)
{
    for (;;) {
        size_t child = at * 2 + 1;

        if (child + 1 < h->count && h->items[child + 1].key < h->items[child].key)
            child++;
        if (child >= h->count || h->items[child].key >= item.key)
            break;
        heap_put(h, at, h->items[child]);
        at = child;
    }
    heap_put(h, at, item);
}

void heap_add(struct heap *h, uint32_t key, uint32_t handle)
{
    if (h->count == h->cap) {
        h->cap = h->cap ? h->cap * 2 : 64;
        h->items = mem_resize(h->items, h->cap, sizeof *h->items);
    }
    h->count++;
    heap_up(h, h->count - 1, (struct heap_item){ key, handle });
}

void heap_remove(struct heap *h, uint32_t place)
{
    size_t at = place - 1;
    struct heap_item last = h->items[--h->count];

    h->moved(h->arg, h->items[at].handle, 0);
    if (at == h->count)
        return;
    if (at > 0 && h->items[(at - 1) / 2].key > last.key)
        heap_up(h, at, last);
    else
        heap_down(h, at, last);
}
