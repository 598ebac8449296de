/* question_client.c - DNS_CLIENT: a PTR name counts only when it leads back to the address */
#include "dnsd/question.h"

#include "common/base/mem.h"
#include "common/base/metric.h"

#include <stdlib.h>

#define NAMES_MAX 5 /* PTR records looked at; who has more has none that means anything */

struct client {
    struct question q;
    struct netaddr addr;
    unsigned pending;
    bool temp; /* some look-up could not tell */
    size_t n;
    struct lookup_ask ptr_ask;
    struct name_slot {
        struct client *owner;
        struct lookup_ask ask;
        char name[DNS_NAME_MAX + 1];
    } names[NAMES_MAX];
};

/* name is NULL when there is none. */
static void answer(struct client *c, enum ipc_dns status, const char *name)
{
    ipc_begin(c->q.out, IPC_DNS_CLIENT_ANSWER, c->q.txn);
    ipc_put_u64(c->q.out, TAG_ANSWER, status);
    metric_add(METRIC_DNS, status, 1);
    if (name)
        ipc_put_text(c->q.out, TAG_NAME, SV(name));
    c->q.ops->answer(c->q.arg, &c->q, c->q.out);
}

static uint16_t address_type(const struct client *c)
{
    return c->addr.family == AF_INET ? DNS_TYPE_A : DNS_TYPE_AAAA;
}

static bool leads_back(const struct client *c, const struct dns_answer *a)
{
    struct netaddr addr;

    if (a->status != DNS_OK)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (dns_record_addr(&a->records[i], address_type(c), &addr) && netaddr_eq_ip(&addr, &c->addr))
            return true;
    return false;
}

static void on_address(void *arg, struct dns_answer *a)
{
    struct name_slot *s = arg;
    struct client *c = s->owner;

    if (leads_back(c, a)) {
        answer(c, DNS_OK, s->name);
        return;
    }
    c->temp = c->temp || a->status == DNS_TEMPFAIL;
    if (--c->pending == 0)
        answer(c, c->temp ? DNS_TEMPFAIL : DNS_NXDOMAIN, NULL);
}

static void on_ptr(void *arg, struct dns_answer *a)
{
    struct client *c = arg;

    for (size_t i = 0; a->status == DNS_OK && i < a->count && c->n < NAMES_MAX; i++) {
        struct strv name = a->records[i].data;

        /* Not a host name: whatever it is, it goes into no log, header or policy (INCIDENTS: octal names). */
        if (!a->records[i].odd && dns_name_is_host(name) && dns_name_normal(name, c->names[c->n].name))
            c->names[c->n++].owner = c;
    }
    if (c->n == 0) {
        answer(c, a->status == DNS_OK ? DNS_NXDOMAIN : a->status, NULL);
        return;
    }
    c->pending = (unsigned)c->n;
    for (size_t i = 0; i < c->n; i++)
        lookup_start(c->q.lookup, &c->names[i].ask, SV(c->names[i].name), address_type(c), on_address,
                     &c->names[i]);
}

static void client_free(struct question *q)
{
    struct client *c = (struct client *)(void *)q;

    lookup_cancel(&c->ptr_ask);
    for (size_t i = 0; i < c->n; i++)
        lookup_cancel(&c->names[i].ask);
    free(c);
}

struct question *question_client(const struct question *base, const struct netaddr *addr)
{
    struct client *c = mem_new(sizeof *c);
    char name[80];

    c->q = *base;
    c->q.free = client_free;
    c->addr = *addr;
    netaddr_ptr_name(addr, name, sizeof name);
    lookup_start(c->q.lookup, &c->ptr_ask, SV(name), DNS_TYPE_PTR, on_ptr, c);
    return &c->q;
}
