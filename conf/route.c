/* route.c - section `route LABEL` */
#include "conf/route.h"

#include "common/base/mem.h"
#include "conf/check.h"
#include "conf/kinds.h"
#include "conf/top.h"
#include "conf/value.h"

#include <stdlib.h>

static const struct conf_choice family_choices[] = {
    { "any", CONF_FAMILY_ANY },
    { "ipv4", CONF_FAMILY_IPV4 },
    { "ipv6", CONF_FAMILY_IPV6 },
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
    FIELD(conf_route, tls, CT_ENUM, "offer", .choices = conf_tls_choices, DELIVERD,
          .doc = "`offer`: TLS when the other side has it; `require`: TLS or no delivery (refused for now: "
                 "deliveries cannot use TLS yet); `none`: never."),
    FIELD(conf_route, auth, CT_STRING, "\"\"", .max = 64, DELIVERD,
          .doc = "Name of the credentials to give; \"\" for none, the only choice for now."),
    FIELD(conf_route, helo, CT_HOSTNAME, "\"\"", .computed = "`hostname`", DELIVERD,
          .doc = "Name to give in EHLO."),
    FIELD(conf_route, connect_timeout, CT_SECONDS, "30s", .min = 1, .max = 600, DELIVERD,
          .doc = "How long to try one address."),
    FIELD(conf_route, timeout, CT_SECONDS, "5m", .min = 1, .max = 3600, DELIVERD,
          .doc = "Time for one reply of the server; the one to the end of a message gets twice as long."),
    FIELD(conf_route, max_connections, CT_INT, "20", .min = 1, .max = 10000,
          .roles = ROLE_BIT(ROLE_DELIVERD) | ROLE_BIT(ROLE_QUEUED),
          .doc = "Connections at once to one destination."),
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

static void check_route(struct conf_check *check, void *section)
{
    struct conf_route *route = section;
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
    /* Better no start than mail in the clear where the operator wrote otherwise. */
    if (route->tls == CONF_TLS_REQUIRE || route->tls == CONF_TLS_IMPLICIT)
        conf_check_fail(check, route, "tls", 0, "deliveries cannot use TLS yet: only offer and none");
    if (route->auth[0])
        conf_check_fail(check, route, "auth", 0, "deliveries cannot give credentials yet");
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
