/* route.h - where mail for a domain goes: the route's rule, then targets in the order to try (pure) */
#pragma once

#include "common/base/buf.h"
#include "common/base/err.h"
#include "dnsd/client.h"

struct conf;
struct conf_route;

#define ROUTE_KEY_MAX 700

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

/* Decides. dest is a domain or a literal "[192.0.2.1]". ERR_PERM: such a destination can never be; ERR_CONF:
   the route forbids it for now. */
bool route_find(const struct conf *conf, struct strv dest, struct route *out, struct err *err)
    __attribute__((warn_unused_result));

/* ---- targets ---- */

struct target {
    const char *host;    /* name; owned by the list */
    struct netaddr addr; /* with port */
    uint16_t preference;
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
/* The single target of ROUTE_ADDRESS. */
void targets_make_address(const struct route *r, struct targets *out);
void targets_clear(struct targets *t);

/* Puts targets for which bad() is true behind the others, order kept on both sides. With v4_first, IPv4
   addresses of a host come before its IPv6 ones. */
void targets_sort(struct targets *t, bool (*bad)(void *arg, const struct netaddr *addr), void *arg,
                  bool v4_first);

/* "host[ip]:port", as in logs and results; "[ip]:port" when the host has no name. */
void target_text(const struct target *t, struct buf *out);
