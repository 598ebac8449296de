/* question_hosts.c - DNS_MX and DNS_HOST: hosts of a domain with all their addresses, in the order to try */
#include "dnsd/question.h"

#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/base/metric.h"
#include "dnsd/mx.h"

#include <stdlib.h>

#define HOST_ADDRESSES_MAX 20 /* of one host: the first host must not use up the room of the others */

struct hosts;

struct host_slot {
    struct hosts *owner;
    struct lookup_ask ask6, ask4;
    struct dns_answer *v6, *v4; /* refs; NULL until there, or not asked */
};

struct hosts {
    struct question q;
    enum ipc_family family;
    bool mx_wanted;
    bool implicit;
    bool authentic;
    uint32_t ttl;
    unsigned pending; /* look-ups on their way */
    struct lookup_ask mx_ask;
    struct mx_list list;
    struct host_slot slots[DNS_HOSTS_MAX];
    char domain[DNS_NAME_MAX + 1];
};

/* ---- the answer ---- */

static void put_host(struct hosts *h, size_t i, size_t *room)
{
    struct netaddr addrs[HOST_ADDRESSES_MAX];
    size_t max = *room < HOST_ADDRESSES_MAX ? *room : HOST_ADDRESSES_MAX, n;
    enum ipc_dns status;
    char text[NETADDR_TEXT];

    n = mx_addresses(h->slots[i].v6, h->slots[i].v4, rand_below, max, addrs, &status);
    *room -= n;
    ipc_group_begin(h->q.out, TAG_HOST);
    ipc_put_text(h->q.out, TAG_NAME, SV(h->list.hosts[i].name));
    ipc_put_u64(h->q.out, TAG_PREFERENCE, h->list.hosts[i].preference);
    for (size_t k = 0; k < n; k++) {
        netaddr_ip_text(&addrs[k], text, sizeof text);
        ipc_put_text(h->q.out, TAG_ADDR, SV(text));
    }
    ipc_put_u64(h->q.out, TAG_ANSWER, status);
    ipc_group_end(h->q.out);
}

static void answer(struct hosts *h, enum ipc_dns status, const char *text)
{
    struct ipc_out *o = h->q.out;
    size_t room = DNS_ADDRESSES_MAX;

    ipc_begin(o, IPC_DNS_HOSTS, h->q.txn);
    ipc_put_u64(o, TAG_ANSWER, status);
    metric_add(METRIC_DNS, status, 1);
    if (status == DNS_OK)
        for (size_t i = 0; i < h->list.n; i++)
            put_host(h, i, &room);
    ipc_put_u64(o, TAG_AD, h->authentic && h->q.trust_ad);
    ipc_put_u64(o, TAG_TTL, h->ttl);
    if (*text)
        ipc_put_clean(o, TAG_TEXT, SV(text));
    if (h->implicit)
        ipc_put_u64(o, TAG_COUNT, 1);
    h->q.ops->answer(h->q.arg, &h->q, o);
}

/* Of a single name (implicit MX, smart host) the status of its addresses is the answer. */
static void answer_single(struct hosts *h)
{
    const struct dns_answer *six = h->slots[0].v6, *four = h->slots[0].v4;
    struct netaddr addr;
    enum ipc_dns status;
    const char *why = "";

    if (mx_addresses(six, four, rand_below, 1, &addr, &status)) {
        answer(h, DNS_OK, "");
        return;
    }
    if (status == DNS_TEMPFAIL)
        why = six && six->status == DNS_TEMPFAIL ? six->why : four->why;
    /* NXDOMAIN for one type is NXDOMAIN for the name; but the domain did answer for its MX. */
    if (h->implicit && status == DNS_NXDOMAIN)
        status = DNS_NODATA;
    answer(h, status, why);
}

static void conclude(struct hosts *h)
{
    if (h->implicit || !h->mx_wanted)
        answer_single(h);
    else
        answer(h, DNS_OK, h->list.n ? "" : "no MX record names a usable host");
}

/* ---- look-ups ---- */

static void weigh(struct hosts *h, const struct dns_answer *a)
{
    if (a->ttl < h->ttl)
        h->ttl = a->ttl;
    h->authentic = h->authentic && a->authentic;
}

static void on_address(struct hosts *h, struct dns_answer **slot, struct dns_answer *a)
{
    *slot = dns_answer_ref(a);
    if (a->status == DNS_OK)
        weigh(h, a);
    if (--h->pending == 0)
        conclude(h);
}

static void on_v6(void *arg, struct dns_answer *a)
{
    struct host_slot *s = arg;

    on_address(s->owner, &s->v6, a);
}

static void on_v4(void *arg, struct dns_answer *a)
{
    struct host_slot *s = arg;

    on_address(s->owner, &s->v4, a);
}

/* From the loop when no host is left, else nothing is answered before this returns. */
static void ask_addresses(struct hosts *h)
{
    for (size_t i = 0; i < h->list.n; i++) {
        struct host_slot *s = &h->slots[i];
        struct strv name = SV(h->list.hosts[i].name);

        s->owner = h;
        if (h->family != FAMILY_IPV4) {
            h->pending++;
            lookup_start(h->q.lookup, &s->ask6, name, DNS_TYPE_AAAA, on_v6, s);
        }
        if (h->family != FAMILY_IPV6) {
            h->pending++;
            lookup_start(h->q.lookup, &s->ask4, name, DNS_TYPE_A, on_v4, s);
        }
    }
    if (h->pending == 0)
        conclude(h);
}

static void use_name_itself(struct hosts *h)
{
    h->list.n = 1;
    h->list.hosts[0].preference = 0;
    memcpy(h->list.hosts[0].name, h->domain, sizeof h->domain);
    ask_addresses(h);
}

static void on_mx(void *arg, struct dns_answer *a)
{
    struct hosts *h = arg;

    weigh(h, a);
    mx_select(a, rand_below, &h->list);
    switch (h->list.answer) {
    case DNS_OK: ask_addresses(h); return;
    case DNS_NODATA:
        h->implicit = true;
        use_name_itself(h);
        return;
    case DNS_NXDOMAIN:
    case DNS_NULLMX:
    case DNS_TEMPFAIL: answer(h, h->list.answer, a->why); return;
    }
}

/* ---- life ---- */

static void hosts_free(struct question *q)
{
    struct hosts *h = (struct hosts *)(void *)q;

    lookup_cancel(&h->mx_ask);
    for (size_t i = 0; i < DNS_HOSTS_MAX; i++) {
        lookup_cancel(&h->slots[i].ask6);
        lookup_cancel(&h->slots[i].ask4);
        dns_answer_unref(&h->slots[i].v6);
        dns_answer_unref(&h->slots[i].v4);
    }
    free(h);
}

static struct hosts *hosts_new(const struct question *base, struct strv name, enum ipc_family family)
{
    struct hosts *h = mem_new(sizeof *h);

    h->q = *base;
    h->q.free = hosts_free;
    h->family = family;
    h->ttl = 3600;
    h->authentic = true;
    /* What cannot be a name is asked for all the same: the look-up says NXDOMAIN. */
    if (!dns_name_normal(name, h->domain))
        memcpy(h->domain, "..", 3);
    return h;
}

struct question *question_mx(const struct question *base, struct strv domain, enum ipc_family family)
{
    struct hosts *h = hosts_new(base, domain, family);

    h->mx_wanted = true;
    lookup_start(h->q.lookup, &h->mx_ask, SV(h->domain), DNS_TYPE_MX, on_mx, h);
    return &h->q;
}

struct question *question_host(const struct question *base, struct strv host, enum ipc_family family)
{
    struct hosts *h = hosts_new(base, host, family);

    use_name_itself(h);
    return &h->q;
}
