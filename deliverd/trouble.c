/* trouble.c - memory of what did not answer */
#include "deliverd/trouble.h"

#include "common/base/dict.h"
#include "common/base/mem.h"

#include <stdlib.h>

struct trouble {
    struct dict *addresses; /* address and port -> int64_t: until */
    int64_t v6_until;
};

static struct strv key_of(const struct netaddr *a, char dst[20])
{
    size_t n = a->family == AF_INET ? 4 : 16;

    memcpy(dst, a->ip, n);
    dst[n] = (char)(a->port >> 8);
    dst[n + 1] = (char)(a->port & 0xff);
    return strv_make(dst, n + 2);
}

static void drop_old(void *arg, struct strv key, void *value)
{
    struct {
        struct trouble *t;
        int64_t now;
    } *a = arg;

    if (*(int64_t *)value <= a->now)
        free(dict_pop(a->t->addresses, key));
}

void trouble_address(struct trouble *t, const struct netaddr *addr, int64_t now)
{
    char key[20];
    int64_t *until = dict_get(t->addresses, key_of(addr, key));

    if (!until) {
        struct {
            struct trouble *t;
            int64_t now;
        } a = { t, now };

        if (dict_count(t->addresses) >= TROUBLE_MAX)
            dict_each(t->addresses, drop_old, &a);
        if (dict_count(t->addresses) >= TROUBLE_MAX)
            return;
        until = mem_new(sizeof *until);
        dict_set(t->addresses, key_of(addr, key), until);
    }
    *until = now + TROUBLE_ADDRESS_MS;
}

void trouble_address_over(struct trouble *t, const struct netaddr *addr)
{
    char key[20];

    if (dict_count(t->addresses))
        free(dict_pop(t->addresses, key_of(addr, key)));
}

bool trouble_has_address(struct trouble *t, const struct netaddr *addr, int64_t now)
{
    char key[20];
    int64_t *until = dict_count(t->addresses) ? dict_get(t->addresses, key_of(addr, key)) : NULL;

    if (until && *until <= now) {
        trouble_address_over(t, addr);
        return false;
    }
    return until;
}

void trouble_v6(struct trouble *t, int64_t now)
{
    t->v6_until = now + TROUBLE_FAMILY_MS;
}

void trouble_v6_over(struct trouble *t)
{
    t->v6_until = 0;
}

bool trouble_has_v6(const struct trouble *t, int64_t now)
{
    return t->v6_until > now;
}

struct trouble *trouble_new(void)
{
    struct trouble *t = mem_new(sizeof *t);

    t->addresses = dict_new();
    return t;
}

void trouble_free(struct trouble **t)
{
    if (!*t)
        return;
    dict_free(&(*t)->addresses, free);
    MEM_FREE(*t);
}
