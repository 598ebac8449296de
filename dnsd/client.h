/* client.h - questions to dnsd: one object per process holds the channel and the questions that are open */
#pragma once

#include "common/base/netaddr.h"
#include "common/base/role.h"
#include "common/ipc/schema.h"

struct loop;
struct dns_client;

struct dns_client *dns_client_new(struct loop *loop, enum role self);
void dns_client_free(struct dns_client **dc); /* open questions are dropped without an answer */
/* The channel to dnsd is there, or was replaced (open questions on the old one fail). Takes fd. */
void dns_client_edge(struct dns_client *dc, int fd);
bool dns_client_is_up(const struct dns_client *dc);

#define DNS_HOSTS_MAX     20  /* hosts of one answer; more MX records than that are cut, best first */
#define DNS_ADDRESSES_MAX 100 /* addresses of all hosts together */

struct dns_host {
    struct strv name;
    uint16_t preference;
    enum ipc_dns answer;         /* of its address look-ups; DNS_OK when it has addresses */
    const struct netaddr *addrs; /* without ports, in the order to try: v6 v4 v6 v4 */
    size_t addr_n;
};

struct dns_hosts {
    enum ipc_dns answer; /* DNS_OK: hosts follow (perhaps none of them usable); DNS_TEMPFAIL also when
                            there is no dnsd, it was lost, or late */
    const struct dns_host *hosts; /* best first */
    size_t host_n;
    bool implicit;  /* the domain has no MX: its own addresses (RFC 5321 5.1) */
    bool authentic; /* a trusted validating resolver vouches for it */
    uint32_t ttl;
    struct strv text; /* explanation for log and notice; may be empty */
    bool lost; /* DNS_TEMPFAIL because dnsd was not there or late: ask again, it says nothing of the name */
};

/* One question on its way. The caller embeds it (zeroed before the first use) and must not free it before
   done ran or dns_ask_cancel was called. done never runs before the asking function returned, and exactly
   once; it may ask again with the same struct. */
struct dns_ask {
    struct dns_client *client;
    uint64_t handle; /* 0: nothing on its way */
    void (*name_done)(void *arg, enum ipc_dns answer, struct strv name);
    void (*hosts_done)(void *arg, const struct dns_hosts *hosts);
    void *arg;
    struct netaddr addr; /* a name is asked for */
};

/* The name of a client whose PTR name leads back to its address: answer DNS_OK and the name (lower case, host
   name characters only), else why there is none. Views are valid in the callback only. deadline_ms from now.
 */
void dns_client_name(struct dns_ask *q, struct dns_client *dc, const struct netaddr *addr,
                     int64_t deadline_ms, void (*done)(void *arg, enum ipc_dns answer, struct strv name),
                     void *arg);

/* What dnsd said of this client a moment ago (names.h), without asking; false when it must be asked. *name is
   good until the loop goes on. */
bool dns_client_known(const struct dns_client *dc, const struct netaddr *addr, enum ipc_dns *answer,
                      struct strv *name);

/* Where mail for a domain goes: MX, or its addresses when it has none. */
void dns_mx(struct dns_ask *q, struct dns_client *dc, struct strv domain, enum ipc_family family,
            int64_t deadline_ms, void (*done)(void *arg, const struct dns_hosts *hosts), void *arg);

/* Addresses of one host, no MX look-up: answered as one host of preference 0. */
void dns_host(struct dns_ask *q, struct dns_client *dc, struct strv host, enum ipc_family family,
              int64_t deadline_ms, void (*done)(void *arg, const struct dns_hosts *hosts), void *arg);

/* Forgets the question; nothing happens when there is none. */
void dns_ask_cancel(struct dns_ask *q);
