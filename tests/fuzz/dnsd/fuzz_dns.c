/* fuzz_dns.c - any bytes as an answer: no crash, and whatever becomes a name is harmless text */
#include "dnsd/mx.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t last(uint64_t n)
{
    return n - 1;
}

static void check_name(struct strv name)
{
    char again[DNS_NAME_MAX + 1];

    /* What we let through as a name is one that we would ask for, unchanged. */
    if (name.n && (!dns_name_normal(name, again) || !strv_is(name, again)))
        abort();
}

static void check(struct strv message, const char *name, uint16_t type)
{
    struct dns_answer *a = dns_message_parse(message, SV(name), type);
    struct netaddr addrs[100];
    enum ipc_dns status;
    struct mx_list l;

    if (a->status == DNS_NULLMX || (a->status == DNS_TEMPFAIL) != (*a->why != '\0'))
        abort();
    if ((a->status == DNS_OK) != (a->count > 0) || a->count > DNS_RECORDS_MAX || a->hops > DNS_CHAIN_MAX)
        abort();
    check_name(a->chain);
    for (size_t i = 0; i < a->count; i++) {
        const struct dns_record *r = &a->records[i];

        if (r->odd && r->data.n)
            abort();
        if (type == DNS_TYPE_MX || type == DNS_TYPE_PTR || type == DNS_TYPE_CNAME)
            check_name(r->data);
    }
    if (type == DNS_TYPE_MX) {
        mx_select(a, last, &l);
        for (size_t i = 0; i < l.n; i++)
            if (!dns_name_is_host(SV(l.hosts[i].name)) ||
                (i && l.hosts[i].preference < l.hosts[i - 1].preference))
                abort();
    }
    if (type == DNS_TYPE_A && mx_addresses(NULL, a, last, 100, addrs, &status) > a->count)
        abort();
    dns_answer_unref(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint16_t types[] = { DNS_TYPE_MX,    DNS_TYPE_A,   DNS_TYPE_AAAA, DNS_TYPE_PTR,
                                      DNS_TYPE_CNAME, DNS_TYPE_TXT, DNS_TYPE_SRV,  DNS_TYPE_TLSA };
    struct strv message = { (const char *)data, size };
    uint16_t type = 0;

    /* The question's type decides how the bytes are read: take it from the message where it names one we
     * know. */
    if (size > 24)
        type = (uint16_t)(data[20] << 8 | data[21]);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (type == types[i] || size <= 24)
            check(message, "x.test", types[i]);
    return 0;
}
