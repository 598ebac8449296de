/* clients.c - how many sessions each client address has open in this process */
#include "smtpd/clients.h"

#include "common/base/dict.h"

void clients_init(struct clients *c)
{
    c->counts = dict_new();
}

void clients_clear(struct clients *c)
{
    dict_free(&c->counts, NULL);
}

static struct strv client_key(const struct netaddr *addr)
{
    return strv_make((const char *)addr->ip, addr->family == AF_INET6 ? 8 : 4);
}

/* The count itself is the value: an entry costs no second allocation. */
unsigned clients_add(struct clients *c, const struct netaddr *addr)
{
    uintptr_t n = (uintptr_t)dict_get(c->counts, client_key(addr)) + 1;

    dict_set(c->counts, client_key(addr), (void *)n);
    return (unsigned)n;
}

void clients_remove(struct clients *c, const struct netaddr *addr)
{
    uintptr_t n = (uintptr_t)dict_get(c->counts, client_key(addr));

    if (n > 1)
        dict_set(c->counts, client_key(addr), (void *)(n - 1));
    else if (n == 1)
        dict_pop(c->counts, client_key(addr));
}
