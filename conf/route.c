/* route.c - section `route LABEL` */
#include "conf/route.h"

#include "common/base/mem.h"
#include "conf/check.h"
#include "conf/kinds.h"
#include "conf/secret.h"
#include "conf/tls.h"
#include "conf/top.h"
#include "conf/value.h"

#include <stdio.h>
#include <stdlib.h>

static const struct conf_choice family_choices[] = {
    { "any", CONF_FAMILY_ANY },
    { "ipv4", CONF_FAMILY_IPV4 },
    { "ipv6", CONF_FAMILY_IPV6 },
    { NULL, 0 },
};

static const struct conf_choice tls_choices[] = {
    { "none", CONF_TLS_NONE },
    { "offer", CONF_TLS_OFFER },
    { "require", CONF_TLS_REQUIRE },
    { "implicit", CONF_TLS_IMPLICIT },
    { NULL, 0 },
};

#define DELIVERD .roles = ROLE_BIT(ROLE_DELIVERD)

static const struct conf_field fields[] = {
    FIELD(conf_route, via, CT_TARGET, "\"\"", .roles = ROLE_BIT(ROLE_DELIVERD) | ROLE_BIT(ROLE_QUEUED),
          .doc = "The host that takes all mail of this route, `host`, `host:port`, `\"[address]:port\"`. "
                 "\"\": the MX hosts "
                 "of the domain, as the DNS names them."),
    FIELD(conf_route, port, CT_INT, "25", .min = 1, .max = 65535, DELIVERD,
          .doc = "Port, unless `via` has one."),
    FIELD(conf_route, family, CT_ENUM, "any", .choices = family_choices, DELIVERD,
          .doc = "Address family to use; no socket of the other one is opened."),
    FIELD(conf_route, source, CT_ADDRESSES, .roles = ROLE_BIT(ROLE_DELIVERD) | ROLE_BIT(ROLE_QUEUED),
          .doc = "Addresses of this host that connections leave from, one of each family at most, such as "
                 "`[192.0.2.7, 2001:db8::7]`. For a family that has none here the system chooses, as it "
                 "does for `[ ]`; `family` leaves a family out. While the host does not have the address, "
                 "mail that would leave from it waits."),
    FIELD(conf_route, tls, CT_ENUM, "offer", .choices = tls_choices, DELIVERD,
          .doc = "`offer`: TLS when the other side has it, whatever its certificate is, and plain text when "
                 "it has none or its TLS does not work; `require`: STARTTLS with a certificate that is "
                 "good, or the mail waits; `implicit`: the same from the first byte (port 465); "
                 "`none`: never."),
    FIELD(conf_route, tls_name, CT_HOSTNAME, "\"\"", DELIVERD,
          .doc = "Name to ask for, and to find in the certificate. \"\" is the host's name: that of `via`, "
                 "or that in the MX record."),
    FIELD(conf_route, ca, CT_PATH, "\"\"", .exists = true, .computed = "`tls.ca`", DELIVERD,
          .doc = "PEM file with the authorities that vouch for the servers, or a server's own certificate. "
                 "With neither this nor `tls.ca` it is the system's collection."),
    FIELD(conf_route, certificate, CT_PATH, "\"\"", .exists = true, DELIVERD,
          .doc = "PEM file with a certificate of ours, shown to servers that ask for one."),
    FIELD(conf_route, key, CT_PATH, "\"\"", .exists = true, DELIVERD,
          .doc = "PEM file with its key; \"\": it stands in the certificate's file."),
    FIELD(conf_route, auth, CT_STRING, "\"\"", .max = 64, DELIVERD,
          .doc = "Name of the section `secret` with the login to give to the smart host; \"\" for none."),
    FIELD(conf_route, auth_without_tls, CT_BOOL, "no", DELIVERD,
          .doc = "`yes`: the login is given without a verified session, too. A server on this very host "
                 "(127.0.0.1, `localhost`) gets it in any case."),
    FIELD(conf_route, helo, CT_HOSTNAME, "\"\"", .computed = "`hostname`", DELIVERD,
          .doc = "Name to give in EHLO."),
    FIELD(conf_route, connect_timeout, CT_SECONDS, "30s", .min = 1, .max = 600, DELIVERD,
          .doc = "How long to try one address."),
    FIELD(conf_route, timeout, CT_SECONDS, "5m", .min = 1, .max = 3600, DELIVERD,
          .doc = "Time for one reply of the server; the one to the end of a message gets twice as long."),
    FIELD(conf_route, max_connections, CT_INT, "20", .min = 1, .max = 10000,
          .roles = ROLE_BIT(ROLE_DELIVERD) | ROLE_BIT(ROLE_QUEUED),
          .doc = "Connections at once to one destination: all domains whose mail goes to the same hosts by "
                 "this route."),
    FIELD(conf_route, max_messages, CT_INT, "100", .min = 1, .max = 100000, DELIVERD,
          .doc = "Messages over one connection; then it is closed, and a new one made if there are more."),
    FIELD(conf_route, max_recipients, CT_INT, "100", .min = 1, .max = 100, .roles = ROLE_BIT(ROLE_QUEUED),
          .doc = "Recipients of one message at a time; a message that has more of them there is sent several "
                 "times."),
    FIELD(conf_route, rate, CT_INT, "0", .min = 0, .max = 1000000, .roles = ROLE_BIT(ROLE_QUEUED),
          .doc = "Messages a minute to the hosts of a destination, for all domains of the route together "
                 "that have the same ones; what is more waits in the queue for its turn, which is no "
                 "failure. 0: as fast as they take them."),
    FIELD(conf_route, idle, CT_SECONDS, "5s", .min = 0, .max = 300, DELIVERD,
          .doc = "How long a connection is kept for the next message; 0 is not at all."),
    FIELD_END
};

static bool label_ok(struct strv label, const char **why)
{
    *why = "a domain, \".domain\" for its subdomains, or \"default\"";
    const char *reason;
    if (strv_is(label, "default"))
        return true;
    if (strv_starts(label, SV(".")))
        label = strv_from(label, 1);
    return conf_host_ok(label, false, &reason);
}

static bool is_written(const struct conf_route *route, const char *field)
{
    return conf_where(&route->head, "route", field).line > 0;
}

static void check_tls(struct conf_check *check, struct conf_route *route)
{
    if (route->tls == CONF_TLS_IMPLICIT && !is_written(route, "port"))
        route->port = 465; /* RFC 8314 */
    if (route->key[0] != '\0' && route->certificate[0] == '\0')
        conf_check_fail(check, route, "key", 0,
                        "a key needs its certificate; add: certificate = /path/cert.pem");
    for (size_t i = 0; route->ca[0] == '\0' && i < check->conf->tls_n; i++) {
        free(route->ca);
        route->ca = mem_str(check->conf->tls[i]->ca);
    }
}

static bool via_is_here(const struct conf_target *via)
{
    return via->host ? strcmp(via->host, "localhost") == 0 : netaddr_is_loopback(&via->addr);
}

/* A password goes to one server that is known, and to nobody who stands between it and us. */
static void check_auth(struct conf_check *check, struct conf_route *route)
{
    bool verified = route->tls == CONF_TLS_REQUIRE || route->tls == CONF_TLS_IMPLICIT;
    if (!conf_secret_find(check->conf, SV(route->auth)))
        conf_check_fail(check, route, "auth", 0,
                        "there is no section secret %s; add: secret %s { user = \"...\"  file = /path }",
                        route->auth, route->auth);
    else if (route->via.host && route->via.host[0] == '\0')
        conf_check_fail(check, route, "auth", 0, "a login is for one server: say which one with via");
    else if (!verified && !route->auth_without_tls && !via_is_here(&route->via))
        conf_check_fail(check, route, "auth", 0,
                        "a password travels to servers that are verified; add: tls = require (or implicit, "
                        "for port 465)");
}

const struct netaddr *conf_route_source(const struct conf_route *route, sa_family_t family)
{
    for (size_t i = 0; i < route->source.n; i++)
        if (route->source.v[i].family == family)
            return &route->source.v[i];
    return NULL;
}

size_t conf_route_key(const struct conf_route *route, char *dst)
{
    static const sa_family_t families[] = { AF_INET, AF_INET6 };
    const char *before = " from ";
    size_t n = strlen(route->head.name);

    memcpy(dst, route->head.name, n + 1); /* a domain with a dot, at most */
    for (size_t i = 0; route->source.n && i < 2; i++) {
        const struct netaddr *a = conf_route_source(route, families[i]);

        if (!a)
            continue;
        n += (size_t)snprintf(dst + n, CONF_ROUTE_KEY - n, "%s", before);
        n += netaddr_ip_text(a, dst + n, CONF_ROUTE_KEY - n);
        before = ",";
    }
    return n;
}

/* Without its interface such an address says nothing. */
static bool is_link_local(const struct netaddr *a)
{
    return a->family == AF_INET6 && a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80;
}

static void check_source(struct conf_check *check, struct conf_route *route)
{
    sa_family_t to = route->via.addr.family;

    for (size_t i = 0; i < route->source.n; i++) {
        const struct netaddr *a = &route->source.v[i];
        bool v4 = a->family == AF_INET;

        if (is_link_local(a))
            conf_check_fail(check, route, "source", i, "a link-local address reaches no other network");
        else if (conf_route_source(route, a->family) != a)
            conf_check_fail(check, route, "source", i, "there is an %s address already: one of each family",
                            v4 ? "IPv4" : "IPv6");
        else if (route->family == (v4 ? CONF_FAMILY_IPV6 : CONF_FAMILY_IPV4))
            conf_check_fail(check, route, "source", i, "this address is not of the route's family");
        else if (to != AF_UNSPEC && !conf_route_source(route, to))
            conf_check_fail(check, route, "source", i, "no connection to the address of via leaves from %s",
                            v4 ? "an IPv4 address" : "an IPv6 address");
    }
}

static void check_route(struct conf_check *check, void *section)
{
    struct conf_route *route = section;
    check_source(check, route);
    if (!route->helo)
        return; /* only deliverd's part has all of it */
    if (route->helo[0] == '\0') {
        free(route->helo);
        route->helo = mem_str(check->conf->top->hostname);
    }
    sa_family_t family = route->via.addr.family;
    if ((family == AF_INET && route->family == CONF_FAMILY_IPV6) ||
        (family == AF_INET6 && route->family == CONF_FAMILY_IPV4))
        conf_check_fail(check, route, "via", 0, "this address is not of the route's family");
    check_tls(check, route);
    if (route->auth[0] != '\0')
        check_auth(check, route);
}

static const struct conf_builtin builtins[] = { { "default", "route default { }" }, { NULL, NULL } };

const struct conf_kind conf_route_kind = {
    .name = "route",
    .fields = fields,
    .size = sizeof(struct conf_route),
    .offset = offsetof(struct conf, routes),
    .count_offset = offsetof(struct conf, route_n),
    .label = LABEL_REQUIRED,
    .label_ok = label_ok,
    .check = check_route,
    .builtins = builtins,
    .label_doc = "A domain, `.domain` for all of its subdomains, or `default`. The exact domain counts "
                 "first, then the "
                 "longest of the parents, then `default`.",
    .doc = "How mail for other domains leaves. What is queued follows a changed route at its next attempt.",
};
