/* names.c - client names that dnsd told a moment ago, for who connects again and again */
#include "dnsd/names.h"

#include "common/base/hash.h"
#include "common/base/mem.h"

#include <stdlib.h>

struct known {
    struct netaddr addr; /* without a port */
    enum ipc_dns answer;
    int64_t until;
    char *name; /* owned; NULL: none */
};

struct names {
    struct known *places[NAMES_MAX]; /* owned; NULL: never used */
};

struct names *names_new(void)
{
    return mem_new(sizeof(struct names));
}

void names_forget(struct names *n)
{
    for (size_t i = 0; i < NAMES_MAX; i++) {
        if (n->places[i])
            free(n->places[i]->name);
        MEM_FREE(n->places[i]);
    }
}

void names_free(struct names **n)
{
    if (!*n)
        return;
    names_forget(*n);
    MEM_FREE(*n);
}

/* Keyed, so that no stranger can choose whose place he takes. */
static size_t place_of(const struct netaddr *addr)
{
    size_t n = addr->family == AF_INET6 ? 16 : 4;

    return (size_t)hash_sip(strv_make((const char *)addr->ip, n)) & (NAMES_MAX - 1);
}

bool names_get(const struct names *n, const struct netaddr *addr, int64_t now, enum ipc_dns *answer,
               struct strv *name)
{
    const struct known *k = n->places[place_of(addr)];

    if (!k || now >= k->until || !netaddr_eq_ip(&k->addr, addr))
        return false;
    *answer = k->answer;
    *name = k->name ? SV(k->name) : SV("");
    return true;
}

void names_put(struct names *n, const struct netaddr *addr, int64_t now, enum ipc_dns answer,
               struct strv name)
{
    struct known **at = &n->places[place_of(addr)], *k = *at;

    if (answer == DNS_TEMPFAIL || (addr->family != AF_INET && addr->family != AF_INET6))
        return;
    if (!k)
        k = *at = mem_new(sizeof *k);
    MEM_FREE(k->name);
    k->addr = *addr;
    k->answer = answer;
    k->until = now + NAMES_KEEP_MS;
    k->name = answer == DNS_OK ? strv_dup(name) : NULL;
}
