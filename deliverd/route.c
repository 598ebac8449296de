/* route.c - routes and targets */
#include "deliverd/route.h"

#include "common/base/mem.h"
#include "conf/conf.h"
#include "conf/processes.h"
#include "conf/route.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- the rule ---- */

static bool family_allows(enum ipc_family family, const struct netaddr *a)
{
    return family == FAMILY_ANY || (family == FAMILY_IPV4) == (a->family == AF_INET);
}

static bool use_address(struct route *r, struct netaddr addr, struct err *err)
{
    char text[NETADDR_TEXT];

    netaddr_unmap(&addr);
    r->kind = ROUTE_ADDRESS;
    r->addr = addr;
    r->addr.port = r->port;
    if (family_allows(r->family, &addr))
        return true;
    netaddr_ip_text(&addr, text, sizeof text);
    return err_set(err, ERR_CONF, "route %s allows %s only, %s is not", r->conf->head.name,
                   r->family == FAMILY_IPV4 ? "ipv4" : "ipv6", text);
}

static bool choose(struct strv dest, struct route *r, struct err *err)
{
    const struct conf_target *via = &r->conf->via;
    struct netaddr literal;

    if (via->port)
        r->port = via->port;
    if (!via->host || via->addr.family != AF_UNSPEC)
        return use_address(r, via->addr, err);
    if (via->host[0]) {
        r->kind = ROUTE_HOST;
        r->host = SV(via->host);
        return true;
    }
    if (dest.n && dest.p[0] == '[') {
        if (netaddr_parse_literal(dest, &literal) && netaddr_is_host(&literal))
            return use_address(r, literal, err);
        return err_set(err, ERR_PERM, "%.*s is no address that mail can be sent to", (int)dest.n, dest.p);
    }
    r->kind = ROUTE_MX;
    r->host = dest;
    return true;
}

static void make_key(struct route *r)
{
    char text[NETADDR_TEXT], rule[CONF_ROUTE_KEY];

    conf_route_key(r->conf, rule);
    if (r->kind == ROUTE_ADDRESS) {
        netaddr_text(&r->addr, text, sizeof text);
        snprintf(r->key, sizeof r->key, "%s|%s", rule, text);
    } else {
        snprintf(r->key, sizeof r->key, "%s|%s%.*s:%u", rule, r->kind == ROUTE_MX ? "mx " : "",
                 (int)(r->host.n < 300 ? r->host.n : 300), r->host.p, r->port);
    }
}

bool route_find(const struct conf *conf, struct strv dest, struct route *out, struct err *err)
{
    static const enum ipc_family families[] = {
        [CONF_FAMILY_ANY] = FAMILY_ANY,
        [CONF_FAMILY_IPV4] = FAMILY_IPV4,
        [CONF_FAMILY_IPV6] = FAMILY_IPV6,
    };

    *out = (struct route){ .conf = conf_route_for(conf, dest) };
    out->port = (uint16_t)out->conf->port;
    out->family = families[out->conf->family];
    if (!choose(dest, out, err))
        return false;
    make_key(out);
    return true;
}

unsigned route_share(const struct conf *conf, const struct conf_route *route, unsigned index)
{
    unsigned n = conf->processes->deliverd > 0 ? (unsigned)conf->processes->deliverd : 1;
    unsigned max = (unsigned)route->max_connections;

    return max < n ? max : max / n + (index % n < max % n);
}

/* ---- targets ---- */

/* Linux takes a connection to 0.0.0.0 or :: to its loopback address. */
static struct netaddr where_it_leads(const struct netaddr *addr)
{
    struct netaddr a = *addr;

    netaddr_unmap(&a);
    if (a.family == AF_INET && a.ip[0] == 0)
        memcpy(a.ip, (const uint8_t[]){ 127, 0, 0, 1 }, 4);
    else if (netaddr_is_wildcard(&a))
        a.ip[15] = 1;
    return a;
}

bool own_addresses_have(const struct own_addresses *own, const struct netaddr *addr)
{
    struct netaddr a = where_it_leads(addr);
    bool loopback = netaddr_is_loopback(&a);

    for (size_t i = 0; i < own->n; i++) {
        const struct netaddr *o = &own->v[i];

        if (o->port != a.port || o->family != a.family)
            continue;
        /* All of 127/8 is one interface that lists a single address. */
        if (netaddr_eq_ip(o, &a) || (loopback && netaddr_is_wildcard(o)))
            return true;
    }
    return false;
}

static bool host_is_own(const struct dns_host *h, const struct route *r, struct strv hostname,
                        const struct own_addresses *own)
{
    struct netaddr a;

    /* A smart host may carry our name (a relay in front of a shared name); its address then decides. */
    if (r->kind == ROUTE_MX && strv_ieq(h->name, hostname))
        return true;
    for (size_t i = 0; i < h->addr_n; i++) {
        a = h->addrs[i];
        a.port = r->port;
        if (own_addresses_have(own, &a))
            return true;
    }
    return false;
}

static bool is_usable(const struct dns_host *h, const struct route *r, size_t i)
{
    return family_allows(r->family, &h->addrs[i]) && netaddr_is_host(&h->addrs[i]);
}

/* Best preference at which we stand ourselves; beyond every preference when we do not. */
static unsigned own_preference(const struct dns_hosts *hosts, const struct route *r, struct strv hostname,
                               const struct own_addresses *own)
{
    unsigned best = UINT32_MAX;

    for (size_t i = 0; i < hosts->host_n; i++)
        if (hosts->hosts[i].preference < best && host_is_own(&hosts->hosts[i], r, hostname, own))
            best = hosts->hosts[i].preference;
    return best;
}

static void add_host(struct targets *t, const struct dns_host *h, const struct route *r, char **names)
{
    char *name = *names;

    memcpy(name, h->name.p, h->name.n);
    *names += h->name.n + 1; /* the memory is zeroed */
    for (size_t i = 0; i < h->addr_n; i++)
        if (is_usable(h, r, i)) {
            t->v[t->n] = (struct target){ .host = name, .addr = h->addrs[i], .preference = h->preference };
            t->v[t->n++].addr.port = r->port;
        }
}

static enum targets_answer why_none(const struct dns_hosts *hosts, bool loop, bool other_family)
{
    if (loop)
        return TARGETS_LOOP;
    for (size_t i = 0; i < hosts->host_n; i++)
        if (hosts->hosts[i].answer == DNS_TEMPFAIL)
            return TARGETS_NONE_TEMP;
    return other_family ? TARGETS_NONE_FAMILY : TARGETS_NONE;
}

enum targets_answer targets_make(const struct dns_hosts *hosts, const struct route *r, struct strv hostname,
                                 const struct own_addresses *own, struct targets *out)
{
    unsigned limit = own_preference(hosts, r, hostname, own);
    size_t addresses = 0, text = 0;
    char *names;

    *out = (struct targets){ .n = 0 };
    for (size_t i = 0; i < hosts->host_n; i++) {
        addresses += hosts->hosts[i].addr_n;
        text += hosts->hosts[i].name.n + 1;
    }
    out->v = mem_array(addresses + 1, sizeof *out->v);
    out->names = names = mem_new(text + 1);
    for (size_t i = 0; i < hosts->host_n; i++)
        if (hosts->hosts[i].preference < limit)
            add_host(out, &hosts->hosts[i], r, &names);
    if (out->n)
        return TARGETS_OK;
    targets_clear(out);
    return why_none(hosts, limit != UINT32_MAX, r->family != FAMILY_ANY);
}

void targets_make_address(const struct route *r, struct targets *out)
{
    *out = (struct targets){ .n = 1 };
    out->v = mem_new(sizeof *out->v);
    out->names = mem_new(1);
    out->v[0] = (struct target){ .host = out->names, .addr = r->addr };
}

/* The next host in alphabetical order of [from, to) behind `last` (NULL: the first). */
static const char *name_after(const struct targets *t, size_t from, size_t to, const char *last)
{
    const char *best = NULL;

    for (size_t i = from; i < to; i++)
        if ((!last || strcmp(t->v[i].host, last) > 0) && (!best || strcmp(t->v[i].host, best) < 0))
            best = t->v[i].host;
    return best;
}

/* dnsd turns hosts of one preference about: their order says nothing. No host name has a blank or is "|". */
void targets_key(const struct route *r, const struct targets *t, struct buf *out)
{
    char rule[CONF_ROUTE_KEY];

    conf_route_key(r->conf, rule);
    buf_addf(out, "%s|mxs", rule);
    for (size_t from = 0, to; from < t->n; from = to) {
        const char *name = NULL;

        for (to = from + 1; to < t->n && t->v[to].preference == t->v[from].preference; to++)
            ;
        if (from)
            buf_adds(out, " |");
        while ((name = name_after(t, from, to, name)))
            buf_addf(out, " %s", name);
    }
    buf_addf(out, ":%u", r->port);
}

void targets_clear(struct targets *t)
{
    MEM_FREE(t->v);
    MEM_FREE(t->names);
    t->n = 0;
}

/* ---- order ---- */

/* A stable sort of [from, to), bad ones behind. */
static void bad_behind(struct targets *t, size_t from, size_t to, struct target *scratch)
{
    size_t n = 0;

    for (int bad = 0; bad < 2; bad++)
        for (size_t i = from; i < to; i++)
            if (t->v[i].bad == (bad == 1))
                scratch[n++] = t->v[i];
    memcpy(t->v + from, scratch, n * sizeof *scratch);
}

void targets_sort(struct targets *t, bool (*bad)(void *arg, const struct netaddr *addr), void *arg,
                  bool v6_bad)
{
    struct target *scratch = mem_array(t->n + 1, sizeof *scratch);

    for (size_t i = 0; i < t->n; i++)
        t->v[i].bad = (v6_bad && t->v[i].addr.family == AF_INET6) || bad(arg, &t->v[i].addr);
    for (size_t from = 0, to; from < t->n; from = to) {
        for (to = from + 1; to < t->n && t->v[to].preference == t->v[from].preference; to++)
            ;
        bad_behind(t, from, to, scratch);
    }
    free(scratch);
}

struct waiting {
    size_t n, v4, bad;
};

static struct waiting count_pending(const struct targets *t)
{
    struct waiting w = { 0, 0, 0 };

    for (size_t i = 0; i < t->n; i++)
        if (t->v[i].state == TARGET_PENDING) {
            w.n++;
            w.v4 += t->v[i].addr.family == AF_INET;
            w.bad += t->v[i].bad;
        }
    return w;
}

static struct target *first_untried(const struct targets *t, bool v4_only)
{
    for (size_t i = 0; i < t->n; i++)
        if (t->v[i].state == TARGET_UNTRIED && (!v4_only || t->v[i].addr.family == AF_INET))
            return &t->v[i];
    return NULL;
}

struct target *targets_next(const struct targets *t, int64_t *ms)
{
    struct waiting w = count_pending(t);
    struct target *next = first_untried(t, false), *v4 = first_untried(t, true);
    bool same;

    *ms = 0;
    if (!next || w.n == 0)
        return next;
    *ms = w.bad == w.n ? TARGETS_BAD_MS : TARGETS_OTHER_FAMILY_MS;
    if (w.v4 == 0 && v4)
        return v4;
    if (w.n >= TARGETS_PENDING_MAX)
        return NULL;
    same = next->addr.family == AF_INET ? w.v4 > 0 : w.n > w.v4;
    if (same && w.bad < w.n)
        *ms = TARGETS_SAME_FAMILY_MS;
    return next;
}

void target_text(const struct target *t, struct buf *out)
{
    char ip[NETADDR_TEXT];

    netaddr_ip_text(&t->addr, ip, sizeof ip);
    buf_addf(out, "%s[%s]:%u", t->host, ip, t->addr.port);
}
