/* dict.c - chained hash table; chains because entries must stay put while dict_each removes them */
#include "common/base/dict.h"

#include "common/base/hash.h"
#include "common/base/mem.h"

#include <stdlib.h>

struct entry {
    struct entry *next;
    uint64_t hash;
    void *value;            /* borrowed */
    size_t key_len;
    char key[];
};

struct dict {
    struct entry **slots;   /* owned, a power of two */
    size_t slot_count, count;
};

#define SLOTS_FIRST 16

struct dict *dict_new(void)
{
    struct dict *d = mem_new(sizeof *d);

    d->slot_count = SLOTS_FIRST;
    d->slots = mem_array(SLOTS_FIRST, sizeof(struct entry *));
    return d;
}

void dict_free(struct dict **dp, void (*free_value)(void *value))
{
    struct dict *d = *dp;

    *dp = NULL;
    if (!d)
        return;
    for (size_t i = 0; i < d->slot_count; i++) {
        struct entry *e = d->slots[i], *next;

        for (; e; e = next) {
            next = e->next;
            if (free_value)
                free_value(e->value);
            free(e);
        }
    }
    free(d->slots);
    free(d);
}

size_t dict_count(const struct dict *d)
{
    return d->count;
}

/* The link that points to the entry of key, or the NULL link at the end of its chain. */
static struct entry **dict_link(const struct dict *d, uint64_t hash, struct strv key)
{
    struct entry **link = &d->slots[hash & (d->slot_count - 1)];

    while (*link && ((*link)->hash != hash || !strv_eq(strv_make((*link)->key, (*link)->key_len), key)))
        link = &(*link)->next;
    return link;
}

static void dict_grow(struct dict *d)
{
    size_t count = d->slot_count * 2;
    struct entry **slots = mem_array(count, sizeof(struct entry *));

    for (size_t i = 0; i < d->slot_count; i++) {
        struct entry *e = d->slots[i], *next;

        for (; e; e = next) {
            struct entry **to = &slots[e->hash & (count - 1)];

            next = e->next;
            e->next = *to;
            *to = e;
        }
    }
    free(d->slots);
    d->slots = slots;
    d->slot_count = count;
}

void *dict_get(const struct dict *d, struct strv key)
{
    struct entry *e = *dict_link(d, hash_sip(key), key);

    return e ? e->value : NULL;
}

void *dict_set(struct dict *d, struct strv key, void *value)
{
    uint64_t hash = hash_sip(key);
    struct entry **link = dict_link(d, hash, key), *e = *link;

    if (e) {
        void *former = e->value;

        e->value = value;
        return former;
    }
    if (d->count >= d->slot_count) {
        dict_grow(d);
        link = dict_link(d, hash, key);
    }
    e = mem_new(sizeof *e + key.n);
    e->hash = hash;
    e->value = value;
    e->key_len = key.n;
    if (key.n)
        memcpy(e->key, key.p, key.n);
    *link = e;
    d->count++;
    return NULL;
}

void *dict_pop(struct dict *d, struct strv key)
{
    struct entry **link = dict_link(d, hash_sip(key), key), *e = *link;
    void *value;

    if (!e)
        return NULL;
    value = e->value;
    *link = e->next;
    free(e);
    d->count--;
    return value;
}

static struct strv u64_key(const uint64_t *key)
{
    return strv_make((const char *)key, sizeof *key);
}

void *dict_get_u64(const struct dict *d, uint64_t key)
{
    return dict_get(d, u64_key(&key));
}

void *dict_set_u64(struct dict *d, uint64_t key, void *value)
{
    return dict_set(d, u64_key(&key), value);
}

void *dict_pop_u64(struct dict *d, uint64_t key)
{
    return dict_pop(d, u64_key(&key));
}

void dict_each(struct dict *d, void (*fn)(void *arg, struct strv key, void *value), void *arg)
{
    for (size_t i = 0; i < d->slot_count; i++) {
        struct entry *e = d->slots[i], *next;

        for (; e; e = next) {
            next = e->next;
            fn(arg, strv_make(e->key, e->key_len), e->value);
        }
    }
}
