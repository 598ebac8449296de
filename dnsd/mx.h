/* mx.h - from MX and address records to the ordered list of hosts to try (RFC 5321 5.1, RFC 7505), pure */
#pragma once

#include "dnsd/client.h"
#include "dnsd/message.h"

/* Uniform random number in [0, n). */
typedef uint64_t mx_random(uint64_t n);

struct mx_host {
    char name[DNS_NAME_MAX + 1];
    uint16_t preference;
};

struct mx_list {
    enum ipc_dns answer; /* DNS_OK: hosts (perhaps none usable: n 0); DNS_NODATA: no MX, use the domain
                            itself; DNS_NULLMX, DNS_NXDOMAIN, DNS_TEMPFAIL */
    struct mx_host hosts[DNS_HOSTS_MAX];
    size_t n;
    size_t unusable; /* records whose host is no host name */
};

/* Best preference first, equal ones in random order (RFC 5321 5.1: spread the load), each host once at its
   best preference, cut at DNS_HOSTS_MAX. */
void mx_select(const struct dns_answer *mx, mx_random *random, struct mx_list *out);

/* Addresses of one host in the order to try: each family in random order, then interleaved v6 v4 v6 v4, so
   that a dead family costs one address only. Either answer may be NULL (not asked). Returns how many were
   written, at most max. *status tells why there are none: DNS_TEMPFAIL when any look-up failed so, else
   DNS_NXDOMAIN or DNS_NODATA. */
size_t mx_addresses(const struct dns_answer *v6, const struct dns_answer *v4, mx_random *random, size_t max,
                    struct netaddr *out, enum ipc_dns *status);
