/* heap.h - binary heap of handles by time; each object knows its place (pure) */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct heap_item {
    uint32_t key;
    uint32_t handle;
};

struct heap {
    struct heap_item *items; /* owned; items[0] is the smallest */
    size_t count, cap;
    void (*moved)(void *arg, uint32_t handle, uint32_t place); /* place: index + 1; 0: gone */
    void *arg;
};

void heap_clear(struct heap *h); /* releases; tells nobody */
void heap_add(struct heap *h, uint32_t key, uint32_t handle);
void heap_remove(struct heap *h, uint32_t place); /* as told by moved */
