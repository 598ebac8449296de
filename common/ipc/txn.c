/* txn.c - numbers of transactions, and a table that finds what belongs to one */
#include "common/ipc/txn.h"

#include "common/base/hash.h"
#include "common/base/mem.h"

#include <stdlib.h>

#define FIRST_SIZE 64u

uint64_t txn_number(void)
{
    static uint64_t last;

    /* A peer may still work on what our predecessor asked: a random beginning keeps its numbers apart from
     * ours. */
    if (!last)
        last = rand_u64() >> 2;
    return ++last;
}

void txn_table_init(struct txn_table *t)
{
    *t = (struct txn_table){ .key = rand_u64() | 1 };
}

void txn_table_clear(struct txn_table *t)
{
    MEM_FREE(t->buckets);
    t->size = t->count = 0;
}

/* Multiplying by a secret odd number and taking the high bits spreads consecutive numbers, and hides the
 * bucket. */
static size_t bucket_of(const struct txn_table *t, uint64_t txn)
{
    uint64_t h = (txn ^ (txn >> 32)) * t->key;

    return (size_t)((h ^ (h >> 29)) >> 17) & (t->size - 1);
}

struct txn_node *txn_table_find(const struct txn_table *t, uint64_t txn)
{
    struct txn_node *n;

    if (!t->count)
        return NULL;
    for (n = t->buckets[bucket_of(t, txn)]; n && n->txn != txn; n = n->next)
        continue;
    return n;
}

static void put(struct txn_table *t, struct txn_node *n)
{
    struct txn_node **at = &t->buckets[bucket_of(t, n->txn)];

    n->next = *at;
    *at = n;
}

static void grow(struct txn_table *t)
{
    struct txn_node **old = t->buckets;
    size_t old_size = t->size;

    t->size = old_size ? old_size * 2 : FIRST_SIZE;
    t->buckets = mem_array(t->size, sizeof *t->buckets);
    for (size_t i = 0; i < old_size; i++) {
        struct txn_node *n = old[i], *next;

        for (; n; n = next) {
            next = n->next;
            put(t, n);
        }
    }
    free(old);
}

void txn_table_add(struct txn_table *t, struct txn_node *n)
{
    if (t->count == t->size)
        grow(t);
    put(t, n);
    t->count++;
}

void txn_table_remove(struct txn_table *t, struct txn_node *n)
{
    struct txn_node **at = &t->buckets[bucket_of(t, n->txn)];

    while (*at != n)
        at = &(*at)->next;
    *at = n->next;
    n->next = NULL;
    t->count--;
}

void txn_table_each(struct txn_table *t, void (*fn)(void *arg, struct txn_node *n), void *arg)
{
    for (size_t i = 0; i < t->size; i++) {
        struct txn_node *n = t->buckets[i], *next;

        for (; n; n = next) {
            next = n->next;
            fn(arg, n);
        }
    }
}
