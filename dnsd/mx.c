/* mx.c - order of the hosts and addresses of a mail domain */
#include "dnsd/mx.h"

#define FAMILY_MAX 32 /* addresses looked at per host and family */

static void sort_by_preference(struct mx_list *l)
{
    for (size_t i = 1; i < l->n; i++) {
        struct mx_host h = l->hosts[i];
        size_t j = i;

        for (; j > 0 && l->hosts[j - 1].preference > h.preference; j--)
            l->hosts[j] = l->hosts[j - 1];
        l->hosts[j] = h;
    }
}

static void shuffle_equals(struct mx_list *l, mx_random *random)
{
    for (size_t from = 0, to; from < l->n; from = to) {
        for (to = from + 1; to < l->n && l->hosts[to].preference == l->hosts[from].preference; to++)
            ;
        for (size_t left = to - from; left > 1; left--) {
            size_t a = from + left - 1, b = from + (size_t)random(left);
            struct mx_host h = l->hosts[a];

            l->hosts[a] = l->hosts[b];
            l->hosts[b] = h;
        }
    }
}

/* Keeps the best of all hosts seen so far; a full list gives up its worst. */
static void offer(struct mx_list *l, const struct dns_record *r)
{
    size_t worst = 0;

    for (size_t i = 0; i < l->n; i++) {
        if (strv_is(r->data, l->hosts[i].name)) {
            if (r->preference < l->hosts[i].preference)
                l->hosts[i].preference = r->preference;
            return;
        }
        if (l->hosts[i].preference >= l->hosts[worst].preference)
            worst = i;
    }
    if (l->n < DNS_HOSTS_MAX)
        worst = l->n++;
    else if (r->preference >= l->hosts[worst].preference)
        return;
    strv_cstr(r->data, l->hosts[worst].name, sizeof l->hosts[worst].name);
    l->hosts[worst].preference = r->preference;
}

void mx_select(const struct dns_answer *mx, mx_random *random, struct mx_list *out)
{
    *out = (struct mx_list){ .answer = mx->status };
    if (mx->status != DNS_OK)
        return;
    /* RFC 7505 3: a single "." says that the domain takes no mail; beside other records it means nothing. */
    if (mx->count == 1 && !mx->records[0].odd && mx->records[0].data.n == 0) {
        out->answer = DNS_NULLMX;
        return;
    }
    for (size_t i = 0; i < mx->count; i++) {
        const struct dns_record *r = &mx->records[i];

        if (r->odd || !dns_name_is_host(r->data))
            out->unusable++;
        else
            offer(out, r);
    }
    sort_by_preference(out);
    shuffle_equals(out, random);
}

static size_t family(const struct dns_answer *a, uint16_t type, mx_random *random, struct netaddr *out)
{
    size_t n = 0;

    if (!a || a->status != DNS_OK)
        return 0;
    for (size_t i = 0; i < a->count && n < FAMILY_MAX; i++)
        if (dns_record_addr(&a->records[i], type, &out[n]))
            n++;
    for (size_t left = n; left > 1; left--) {
        size_t pick = (size_t)random(left);
        struct netaddr t = out[left - 1];

        out[left - 1] = out[pick];
        out[pick] = t;
    }
    return n;
}

static enum ipc_dns worse(enum ipc_dns sum, const struct dns_answer *a)
{
    if (!a || sum == DNS_TEMPFAIL)
        return sum;
    if (a->status == DNS_TEMPFAIL || a->status == DNS_NXDOMAIN)
        return a->status;
    return sum;
}

size_t mx_addresses(const struct dns_answer *v6, const struct dns_answer *v4, mx_random *random, size_t max,
                    struct netaddr *out, enum ipc_dns *status)
{
    struct netaddr six[FAMILY_MAX], four[FAMILY_MAX];
    size_t n6 = family(v6, DNS_TYPE_AAAA, random, six), n4 = family(v4, DNS_TYPE_A, random, four), n = 0;

    for (size_t i = 0; (i < n6 || i < n4) && n < max; i++) {
        if (i < n6)
            out[n++] = six[i];
        if (i < n4 && n < max)
            out[n++] = four[i];
    }
    *status = n ? DNS_OK : worse(worse(DNS_NODATA, v6), v4);
    return n;
}
