/* lookup.c - cache, coalescing and CNAME chains around the resolver */
#include "dnsd/lookup.h"

#include "common/base/dict.h"
#include "common/base/mem.h"
#include "dnsd/cache.h"
#include "dnsd/resolver.h"

#include <stdlib.h>

struct flight {
    struct lookup *l;
    struct resolver_query *query; /* NULL between questions */
    struct lookup_ask *waiters;   /* borrowed, a list */
    unsigned hops;                /* CNAMEs followed so far */
    uint32_t ttl;                 /* smallest on the way */
    bool authentic;               /* every link of the chain was */
    uint16_t type;
    char name[DNS_NAME_MAX + 1]; /* as asked */
    char at[DNS_NAME_MAX + 1];   /* where the chain stands */
};

struct lookup {
    struct loop *loop;
    struct resolver *resolver; /* borrowed */
    struct cache *cache;
    struct dict *flights; /* by type and name */
};

static struct strv flight_key(char dst[DNS_NAME_MAX + 3], const char *name, uint16_t type)
{
    size_t n = strlen(name);

    dst[0] = (char)(type >> 8);
    dst[1] = (char)(type & 0xff);
    memcpy(dst + 2, name, n);
    return strv_make(dst, n + 2);
}

static void waiter_remove(struct lookup_ask *ask)
{
    if (ask->prev)
        ask->prev->next = ask->next;
    else if (ask->flight)
        ask->flight->waiters = ask->next;
    if (ask->next)
        ask->next->prev = ask->prev;
    ask->next = ask->prev = NULL;
    ask->flight = NULL;
}

/* ---- answers at hand ---- */

static void tell(void *arg)
{
    struct lookup_ask *ask = arg;
    struct dns_answer *a = ask->answer;

    ask->answer = NULL;
    ask->done(ask->arg, a); /* last use of ask */
    dns_answer_unref(&a);
}

/* Takes the reference. */
static void tell_later(struct lookup_ask *ask, struct dns_answer *a)
{
    ask->answer = a;
    ask->task = (struct loop_task){ .fn = tell, .arg = ask };
    loop_later(ask->l->loop, &ask->task);
}

/* ---- flights ---- */

static void flight_end(struct flight *f, struct dns_answer *a)
{
    char key[DNS_NAME_MAX + 3];
    struct lookup_ask *ask;

    dict_pop(f->l->flights, flight_key(key, f->name, f->type));
    cache_put(f->l->cache, SV(f->name), f->type, a, loop_now(f->l->loop));
    while ((ask = f->waiters) != NULL) {
        waiter_remove(ask);
        tell_later(ask, dns_answer_ref(a));
    }
    free(f);
}

static void on_answer(void *arg, struct dns_answer *a);

/* The chain goes on at f->at. */
static void flight_ask(struct flight *f)
{
    f->query = resolver_ask(f->l->resolver, SV(f->at), f->type, on_answer, f);
}

/* What the whole chain is worth: the answer behind it with the smallest TTL, authentic when each link was. */
static void flight_conclude(struct flight *f, struct dns_answer *a)
{
    dns_answer_ref(a);
    if (f->hops) {
        if (f->ttl < a->ttl)
            a->ttl = f->ttl;
        a->authentic = a->authentic && f->authentic;
    }
    flight_end(f, a);
    dns_answer_unref(&a);
}

static void on_answer(void *arg, struct dns_answer *a)
{
    struct flight *f = arg;

    f->query = NULL;
    if (a->status != DNS_NODATA || a->chain.n == 0) {
        flight_conclude(f, a);
        return;
    }
    f->hops += a->hops;
    f->ttl = a->ttl < f->ttl ? a->ttl : f->ttl;
    f->authentic = f->authentic && a->authentic;
    if (f->hops > DNS_CHAIN_MAX) {
        struct dns_answer *loop = dns_answer_temp("too many CNAMEs, or a loop of them");

        flight_conclude(f, loop);
        dns_answer_unref(&loop);
        return;
    }
    strv_cstr(a->chain, f->at, sizeof f->at);
    flight_ask(f);
}

static struct flight *flight_new(struct lookup *l, const char *name, uint16_t type)
{
    char key[DNS_NAME_MAX + 3];
    struct flight *f = mem_new(sizeof *f);

    f->l = l;
    f->type = type;
    f->ttl = UINT32_MAX;
    f->authentic = true;
    memcpy(f->name, name, strlen(name) + 1);
    memcpy(f->at, name, strlen(name) + 1);
    dict_set(l->flights, flight_key(key, f->name, type), f);
    flight_ask(f);
    return f;
}

void lookup_start(struct lookup *l, struct lookup_ask *ask, struct strv name, uint16_t type,
                  void (*done)(void *arg, struct dns_answer *answer), void *arg)
{
    char text[DNS_NAME_MAX + 1], key[DNS_NAME_MAX + 3];
    struct dns_answer *a;
    struct flight *f;

    *ask = (struct lookup_ask){ .l = l, .done = done, .arg = arg };
    if (!dns_name_normal(name, text)) {
        tell_later(ask, dns_answer_status(DNS_NXDOMAIN, 60));
        return;
    }
    a = cache_get(l->cache, SV(text), type, loop_now(l->loop));
    if (a) {
        tell_later(ask, a);
        return;
    }
    f = dict_get(l->flights, flight_key(key, text, type));
    if (!f && dict_count(l->flights) >= LOOKUP_FLIGHTS_MAX) {
        tell_later(ask, dns_answer_temp("too many questions on their way"));
        return;
    }
    if (!f)
        f = flight_new(l, text, type);
    ask->flight = f;
    ask->next = f->waiters;
    if (ask->next)
        ask->next->prev = ask;
    f->waiters = ask;
}

/* A flight without waiters goes on: its answer is worth a place in the cache. */
void lookup_cancel(struct lookup_ask *ask)
{
    if (!ask->l)
        return;
    if (ask->flight)
        waiter_remove(ask);
    if (ask->answer) {
        loop_later_cancel(ask->l->loop, &ask->task);
        dns_answer_unref(&ask->answer);
    }
}

/* ---- life ---- */

struct lookup *lookup_new(struct loop *loop, struct resolver *resolver)
{
    struct lookup *l = mem_new(sizeof *l);

    l->loop = loop;
    l->resolver = resolver;
    l->cache = cache_new(LOOKUP_CACHE_MAX);
    l->flights = dict_new();
    return l;
}

static void flight_free(void *value)
{
    struct flight *f = value;

    resolver_cancel(f->query);
    while (f->waiters)
        waiter_remove(f->waiters);
    free(f);
}

void lookup_free(struct lookup **l)
{
    if (!*l)
        return;
    dict_free(&(*l)->flights, flight_free);
    cache_free(&(*l)->cache);
    MEM_FREE(*l);
}
