/* message.h - DNS messages (RFC 1035): the question that we send, the answer that anybody may have written
 * (pure) */
#pragma once

#include "common/base/netaddr.h"
#include "common/ipc/schema.h"

#define DNS_NAME_MAX    255  /* text, without the root's dot */
#define DNS_RECORDS_MAX 512  /* answer records looked at; a larger set is cut: nobody has so many hosts */
#define DNS_CHAIN_MAX   8    /* CNAMEs followed for one question */
#define DNS_UDP_SIZE    1232 /* announced by EDNS: no fragments on any path (DNS flag day 2020) */

enum dns_type {
    DNS_TYPE_A = 1,
    DNS_TYPE_NS = 2,
    DNS_TYPE_CNAME = 5,
    DNS_TYPE_SOA = 6,
    DNS_TYPE_PTR = 12,
    DNS_TYPE_MX = 15,
    DNS_TYPE_TXT = 16,
    DNS_TYPE_AAAA = 28,
    DNS_TYPE_SRV = 33,
    DNS_TYPE_OPT = 41,
    DNS_TYPE_TLSA = 52,
};

/* One record of the asked type. data by type: A 4 and AAAA 16 bytes; MX, PTR, CNAME, NS the name as
   lower-case text
   ("" is the root); TXT its strings joined; SRV port and target as text "priority weight port target"; others
   RDATA as it is. */
struct dns_record {
    uint16_t preference; /* MX */
    bool odd;            /* the name holds bytes that no host name has: it is no name, data is empty */
    struct strv data;    /* points into the answer's own memory */
};

/* An answer to one question. One allocation, counted references. */
struct dns_answer {
    unsigned refs;
    enum ipc_dns status; /* DNS_OK, DNS_NODATA, DNS_NXDOMAIN, DNS_TEMPFAIL; never DNS_NULLMX */
    bool authentic;      /* the AD bit; worth something from a trusted resolver only */
    bool other_server;   /* DNS_TEMPFAIL that another server may know better (SERVFAIL, REFUSED, ...) */
    uint32_t ttl;        /* seconds, as the records (or the SOA of a denial) say; not clamped */
    const char *why;     /* static text for DNS_TEMPFAIL; "" else */
    struct strv chain;   /* DNS_NODATA at the end of CNAMEs and nothing known behind: ask for this name */
    unsigned hops;       /* CNAMEs followed within the message */
    size_t count;
    struct dns_record *records;
};

/* Lower-case text of a name that a question may be asked for: 1..255 bytes, labels of 1..63 printable bytes
   without blanks, dots, quotes and backslashes; one trailing dot is removed. False: no such name can exist.
   dst of DNS_NAME_MAX + 1 bytes. */
bool dns_name_normal(struct strv name, char *dst);
/* Letters, digits, hyphens and underscores only: what a host may be called. */
bool dns_name_is_host(struct strv name);

/* Reads what a resolver sent as the answer to (name, type); name as dns_name_normal gives it. Never fails:
   whatever is malformed is DNS_TEMPFAIL with why. Bounded by the message, never trusts a length or a pointer
   in it. The caller owns one reference. */
struct dns_answer *dns_message_parse(struct strv message, struct strv name, uint16_t type);

/* An answer that no server gave. why is static. */
struct dns_answer *dns_answer_temp(const char *why);
struct dns_answer *dns_answer_status(enum ipc_dns status, uint32_t ttl);
struct dns_answer *dns_answer_ref(struct dns_answer *a);
void dns_answer_unref(struct dns_answer **a);

/* The address of an A or AAAA record; false when the length says otherwise. */
bool dns_record_addr(const struct dns_record *r, uint16_t type, struct netaddr *out);
