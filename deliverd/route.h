/* route.h - where mail for a domain goes: the route's rule, then targets in the order to try (pure) */
#pragma once

#include "common/base/buf.h"
#include "common/base/err.h"
#include "dnsd/client.h"

struct conf;
struct conf_route;

#define ROUTE_KEY_MAX 800

enum route_kind {
    ROUTE_MX,      /* MX of a domain */
    ROUTE_HOST,    /* addresses of a smart host */
    ROUTE_ADDRESS, /* an address that was written down: smart host or address literal */
};

struct route {
    const struct conf_route *conf; /* borrowed */
    enum route_kind kind;
    struct strv host;    /* MX: the domain; HOST: the name; borrowed from dest or conf */
    struct netaddr addr; /* ADDRESS: with port */
    uint16_t port;
    enum ipc_family family;
    char key[ROUTE_KEY_MAX]; /* equal keys share connections */
};

/* How many of max_connections are this process's: they add up over all of them. With fewer connections than
   processes queued sends such a route's mail to one of them alone. */
unsigned route_share(const struct conf *conf, const struct conf_route *route, unsigned index);

/* Decides. dest is a domain or a literal "[192.0.2.1]". ERR_PERM: such a destination can never be; ERR_CONF:
   the route forbids it for now. */
bool route_find(const struct conf *conf, struct strv dest, struct route *out, struct err *err)
    __attribute__((warn_unused_result));

/* ---- targets ---- */

struct target {
    const char *host;    /* name; owned by the list */
    struct netaddr addr; /* with port */
    uint16_t preference;
    bool bad;   /* was silent or refused lately */
    bool plain; /* its TLS does not work: in the clear, then */
    enum { TARGET_UNTRIED, TARGET_PENDING, TARGET_TRIED } state;
};

struct targets {
    struct target *v; /* owned */
    size_t n;
    char *names; /* owned */
};

/* Where we ourselves can be reached. */
struct own_addresses {
    struct netaddr *v; /* owned; with ports; a wildcard stands for the whole loopback network */
    size_t n;
};

/* Also by another name of this host: 0.0.0.0, ::, mapped addresses. */
bool own_addresses_have(const struct own_addresses *own, const struct netaddr *addr);

/* What a list of hosts came to. */
enum targets_answer {
    TARGETS_OK,
    TARGETS_LOOP,        /* only we are left: RFC 5321 5.1 */
    TARGETS_NONE,        /* no host has an address */
    TARGETS_NONE_TEMP,   /* no host has one, and some look-up could not tell */
    TARGETS_NONE_FAMILY, /* no host has one of the family that the route allows */
};

/* Targets of the answer to a DNS question, best first. Hosts at or behind our own preference are left out, so
   that a backup MX never sends to itself or to a worse one. names are copied. */
enum targets_answer targets_make(const struct dns_hosts *hosts, const struct route *r, struct strv hostname,
                                 const struct own_addresses *own, struct targets *out);
/* What mail to these targets (as targets_make left them) shares: all domains of the route that have the same
   hosts in the same order have the same key, and no two others. Whatever differs between connections (TLS and
   whom it must name, login, EHLO name, port, family) is the route's, whose label is in it, with the addresses
   that it leaves from. At most TARGETS_KEY_MAX bytes. */
#define TARGETS_KEY_MAX 8192
void targets_key(const struct route *r, const struct targets *t, struct buf *out);
/* The single target of ROUTE_ADDRESS. */
void targets_make_address(const struct route *r, struct targets *out);
void targets_clear(struct targets *t);

/* Marks targets for which bad() is true (with v6_bad, all IPv6 ones), and puts them behind the others of the
   same preference: a better host that was down a minute ago is still asked first, but not waited for. */
void targets_sort(struct targets *t, bool (*bad)(void *arg, const struct netaddr *addr), void *arg,
                  bool v6_bad);

/* While one target is silent, the next is started beside it: after 1 s when it is of the other family (the
 * first SYN and its answer took less than that on any working path), after 5 s within a family (preference of
 * MX means something; 5 s see two retransmissions), sooner when all that are waited for were bad before. When
 * only IPv6 is silent, the next IPv4 address starts whatever its place and however many are waited for: a
 * black hole costs one second, not one per host. */
#define TARGETS_PENDING_MAX     3u /* and one of IPv4 */
#define TARGETS_OTHER_FAMILY_MS 1000
#define TARGETS_SAME_FAMILY_MS  5000
#define TARGETS_BAD_MS          300

/* What to start next, and how long after the last start (0: nothing is pending). NULL: nothing for now. */
struct target *targets_next(const struct targets *t, int64_t *ms);

/* "host[ip]:port", as in logs and results; "[ip]:port" when the host has no name. */
void target_text(const struct target *t, struct buf *out);
