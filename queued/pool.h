/* pool.h - many small objects of one size by 32-bit handle: half the pointers' memory, stable addresses */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct pool {
    size_t size;            /* of an object; at least four bytes */
    char **chunks;          /* owned */
    uint32_t chunk_n, used; /* used: handles ever given out, 1..used */
    uint32_t free;          /* first of the free list, 0: none */
    uint32_t live;
};

void pool_init(struct pool *p, size_t size);
void pool_clear(struct pool *p);
uint32_t pool_take(struct pool *p);              /* a zeroed object; never 0 */
void pool_give(struct pool *p, uint32_t handle); /* the handle is used again */

#define POOL_CHUNK 4096u

/* handle: one that was taken and not given back. */
static inline void *pool_at(const struct pool *p, uint32_t handle)
{
    uint32_t i = handle - 1;

    return p->chunks[i / POOL_CHUNK] + (size_t)(i % POOL_CHUNK) * p->size;
}
