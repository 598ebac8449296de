/* pool.c - many small objects of one size by 32-bit handle: half the pointers' memory, stable addresses */
#include "queued/pool.h"

#include "common/base/err.h"
#include "common/base/mem.h"

#include <stdlib.h>
#include <string.h>

void pool_init(struct pool *p, size_t size)
{
    memset(p, 0, sizeof *p);
    p->size = size < sizeof(uint32_t) ? sizeof(uint32_t) : size;
}

void pool_clear(struct pool *p)
{
    for (uint32_t i = 0; i < p->chunk_n; i++)
        free(p->chunks[i]);
    free(p->chunks);
    pool_init(p, p->size);
}

uint32_t pool_take(struct pool *p)
{
    uint32_t handle = p->free;

    if (handle) {
        memcpy(&p->free, pool_at(p, handle), sizeof p->free);
    } else {
        if (p->used == UINT32_MAX)
            die("a pool of %zu-byte objects is full", p->size);
        if (p->used == p->chunk_n * POOL_CHUNK) {
            p->chunks = mem_resize(p->chunks, p->chunk_n + 1, sizeof *p->chunks);
            p->chunks[p->chunk_n++] = mem_array(POOL_CHUNK, p->size);
        }
        handle = ++p->used;
    }
    p->live++;
    memset(pool_at(p, handle), 0, p->size);
    return handle;
}

void pool_give(struct pool *p, uint32_t handle)
{
    void *at = pool_at(p, handle);

    memset(at, 0, p->size);
    memcpy(at, &p->free, sizeof p->free);
    p->free = handle;
    p->live--;
}
