/* dns.c - section `dns` */
#include "conf/dns.h"

#include "common/base/mem.h"
#include "conf/check.h"
#include "conf/kinds.h"
#include "conf/system.h"

#define DNSD .roles = ROLE_BIT(ROLE_DNSD)

static const struct conf_field fields[] = {
    FIELD(conf_dns, servers, CT_ENDPOINTS, .port = 53,
          .computed = "the servers of /etc/resolv.conf, or 127.0.0.1", DNSD,
          .doc = "Resolvers, with or without a port. One on this host that validates DNSSEC is best."),
    FIELD(conf_dns, timeout, CT_SECONDS, "5s", .min = 1, .max = 60, DNSD,
          .doc = "How long to wait for one answer of one server."),
    FIELD(conf_dns, attempts, CT_INT, "2", .min = 1, .max = 10, DNSD, .doc = "Questions to each server."),
    FIELD(conf_dns, trust_ad, CT_BOOL, "no", DNSD,
          .doc = "Believe these servers when they say that an answer was validated by DNSSEC. Say yes only "
                 "for a server on "
                 "this host, or one that is reached over a way nobody else can touch."),
    FIELD_END
};

static void check_dns(struct conf_check *check, void *section)
{
    struct conf_dns *dns = section;
    const char *path = check->options.resolv_conf ? check->options.resolv_conf : "/etc/resolv.conf";
    if (dns->servers.n == 0 && check->loading && path[0] != '\0')
        system_resolvers(path, &dns->servers);
    if (dns->servers.n > 0)
        return;
    dns->servers.v = mem_array(1, sizeof(*dns->servers.v));
    dns->servers.n = 1;
    (void)netaddr_parse(SV("127.0.0.1:53"), &dns->servers.v[0], false);
}

const struct conf_kind conf_dns_kind = {
    .name = "dns", .fields = fields, .size = sizeof(struct conf_dns), .offset = offsetof(struct conf, dns),
    .check = check_dns,
    .doc = "Resolvers for all questions to the DNS.",
};
