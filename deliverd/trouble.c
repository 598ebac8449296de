/* trouble.c - memory of what did not answer */
#include "deliverd/trouble.h"

#include "common/base/dict.h"
#include "common/base/mem.h"

#include <stdlib.h>

struct trouble {
    struct dict *addresses; /* address, port, ours -> int64_t: until */
    struct dict *v6;        /* ours -> int64_t: until; as many as are configured */
};

#define KEY_MAX 34

static size_t put_ip(const struct netaddr *a, char *dst)
{
    size_t n = !a ? 0 : a->family == AF_INET ? 4 : 16;

    if (n)
        memcpy(dst, a->ip, n);
    return n;
}

/* Both addresses are of one family. */
static struct strv key_of(const struct netaddr *a, const struct netaddr *from, char dst[KEY_MAX])
{
    size_t n = put_ip(a, dst);

    dst[n++] = (char)(a->port >> 8);
    dst[n++] = (char)(a->port & 0xff);
    n += put_ip(from, dst + n);
    return strv_make(dst, n);
}

static struct strv key_of_source(const struct netaddr *from, char dst[KEY_MAX])
{
    return strv_make(dst, put_ip(from, dst));
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

void trouble_address(struct trouble *t, const struct netaddr *addr, const struct netaddr *from, int64_t now)
{
    char key[KEY_MAX];
    int64_t *until = dict_get(t->addresses, key_of(addr, from, key));

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
        dict_set(t->addresses, key_of(addr, from, key), until);
    }
    *until = now + TROUBLE_ADDRESS_MS;
}

void trouble_address_over(struct trouble *t, const struct netaddr *addr, const struct netaddr *from)
{
    char key[KEY_MAX];

    if (dict_count(t->addresses))
        free(dict_pop(t->addresses, key_of(addr, from, key)));
}

bool trouble_has_address(struct trouble *t, const struct netaddr *addr, const struct netaddr *from,
                         int64_t now)
{
    char key[KEY_MAX];
    int64_t *until = dict_count(t->addresses) ? dict_get(t->addresses, key_of(addr, from, key)) : NULL;

    if (until && *until <= now) {
        trouble_address_over(t, addr, from);
        return false;
    }
    return until;
}

void trouble_v6(struct trouble *t, const struct netaddr *from, int64_t now)
{
    int64_t *until = mem_new(sizeof *until);
    char key[KEY_MAX];

    *until = now + TROUBLE_FAMILY_MS;
    free(dict_set(t->v6, key_of_source(from, key), until));
}

void trouble_v6_over(struct trouble *t, const struct netaddr *from)
{
    char key[KEY_MAX];

    if (dict_count(t->v6))
        free(dict_pop(t->v6, key_of_source(from, key)));
}

bool trouble_has_v6(const struct trouble *t, const struct netaddr *from, int64_t now)
{
    char key[KEY_MAX];
    const int64_t *until = dict_count(t->v6) ? dict_get(t->v6, key_of_source(from, key)) : NULL;

    return until && *until > now;
}

struct trouble *trouble_new(void)
{
    struct trouble *t = mem_new(sizeof *t);

    t->addresses = dict_new();
    t->v6 = dict_new();
    return t;
}

void trouble_free(struct trouble **t)
{
    if (!*t)
        return;
    dict_free(&(*t)->addresses, free);
    dict_free(&(*t)->v6, free);
    MEM_FREE(*t);
}
