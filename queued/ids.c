/* ids.c - a bounded list of message ids, oldest first (pure) */
#include "queued/ids.h"

#include "common/base/mem.h"

#include <stdlib.h>
#include <string.h>

void ids_clear(struct ids *s)
{
    MEM_FREE(s->v);
    s->first = s->n = s->cap = 0;
}

static void ids_grow(struct ids *s)
{
    size_t cap = s->cap ? s->cap * 2 : 64;
    uint64_t *v = mem_array(cap, sizeof *v);

    for (size_t i = 0; i < s->n; i++)
        v[i] = s->v[(s->first + i) % s->cap];
    free(s->v);
    s->v = v;
    s->cap = cap;
    s->first = 0;
}

void ids_push(struct ids *s, uint64_t id)
{
    uint64_t oldest;

    if (s->max && s->n == s->max)
        ids_pop(s, &oldest);
    if (s->n == s->cap)
        ids_grow(s);
    s->v[(s->first + s->n++) % s->cap] = id;
}

bool ids_pop(struct ids *s, uint64_t *id)
{
    if (s->n == 0)
        return false;
    *id = s->v[s->first];
    s->first = (s->first + 1) % s->cap;
    s->n--;
    return true;
}

bool ids_has(const struct ids *s, uint64_t id)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->v[(s->first + i) % s->cap] == id)
            return true;
    return false;
}
