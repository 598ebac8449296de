/* cache.c - least recently used answers go first */
#include "dnsd/cache.h"

#include "common/base/dict.h"
#include "common/base/mem.h"

#include <stdlib.h>

#define KEY_MAX (DNS_NAME_MAX + 3)

struct entry {
    struct entry *newer, *older;
    struct dns_answer *answer; /* ref */
    int64_t until;
    size_t key_len;
    char key[]; /* type, name */
};

struct cache {
    struct dict *entries;
    struct entry *newest, *oldest;
    size_t max;
};

static struct strv make_key(char dst[KEY_MAX], struct strv name, uint16_t type)
{
    dst[0] = (char)(type >> 8);
    dst[1] = (char)(type & 0xff);
    if (name.n > DNS_NAME_MAX)
        name.n = DNS_NAME_MAX;
    memcpy(dst + 2, name.p, name.n);
    return strv_make(dst, name.n + 2);
}

static void list_remove(struct cache *c, struct entry *e)
{
    *(e->newer ? &e->newer->older : &c->newest) = e->older;
    *(e->older ? &e->older->newer : &c->oldest) = e->newer;
    e->newer = e->older = NULL;
}

static void list_add(struct cache *c, struct entry *e)
{
    e->older = c->newest;
    *(c->newest ? &c->newest->newer : &c->oldest) = e;
    c->newest = e;
}

static void entry_drop(struct cache *c, struct entry *e)
{
    dict_pop(c->entries, strv_make(e->key, e->key_len));
    list_remove(c, e);
    dns_answer_unref(&e->answer);
    free(e);
}

struct cache *cache_new(size_t max)
{
    struct cache *c = mem_new(sizeof *c);

    c->entries = dict_new();
    c->max = max;
    return c;
}

void cache_free(struct cache **c)
{
    if (!*c)
        return;
    while ((*c)->oldest)
        entry_drop(*c, (*c)->oldest);
    dict_free(&(*c)->entries, NULL);
    MEM_FREE(*c);
}

struct dns_answer *cache_get(struct cache *c, struct strv name, uint16_t type, int64_t now)
{
    char key[KEY_MAX];
    struct entry *e = dict_get(c->entries, make_key(key, name, type));

    if (!e)
        return NULL;
    if (e->until <= now) {
        entry_drop(c, e);
        return NULL;
    }
    list_remove(c, e);
    list_add(c, e);
    return dns_answer_ref(e->answer);
}

static int64_t lifetime_ms(const struct dns_answer *a)
{
    int64_t ms = (int64_t)a->ttl * 1000;

    if (a->status == DNS_TEMPFAIL)
        return CACHE_TEMPFAIL_MS;
    if (a->status != DNS_OK && ms > CACHE_DENIAL_MS * 5)
        ms = CACHE_DENIAL_MS * 5; /* a new domain's first mail must not wait for the hour of a denial */
    if (ms < CACHE_TTL_MIN_MS)
        return CACHE_TTL_MIN_MS;
    return ms > CACHE_TTL_MAX_MS ? CACHE_TTL_MAX_MS : ms;
}

void cache_put(struct cache *c, struct strv name, uint16_t type, struct dns_answer *a, int64_t now)
{
    char key[KEY_MAX];
    struct strv k = make_key(key, name, type);
    struct entry *e = dict_get(c->entries, k);

    if (e)
        entry_drop(c, e);
    else if (dict_count(c->entries) >= c->max && c->oldest)
        entry_drop(c, c->oldest);
    e = mem_new(sizeof *e + k.n);
    e->answer = dns_answer_ref(a);
    e->until = now + lifetime_ms(a);
    e->key_len = k.n;
    memcpy(e->key, k.p, k.n);
    dict_set(c->entries, k, e);
    list_add(c, e);
}

size_t cache_count(const struct cache *c)
{
    return dict_count(c->entries);
}
