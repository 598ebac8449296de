/* top.c - hostname and domains */
#include "conf/top.h"

#include "common/base/dict.h"
#include "common/base/mem.h"
#include "conf/check.h"
#include "conf/kinds.h"
#include "conf/system.h"
#include "conf/value.h"

#include <stdlib.h>

#define READERS                                                                                              \
    (ROLE_BIT(ROLE_SMTPD) | ROLE_BIT(ROLE_CLEANUP) | ROLE_BIT(ROLE_MAPD) | ROLE_BIT(ROLE_DELIVERD))

static const struct conf_field fields[] = {
    FIELD(conf_top, hostname, CT_HOSTNAME, .roles = ROLE_ALL,
          .computed = "the system's name, when it is a full one",
          .doc = "The name that this host gives itself in its greeting, in EHLO, in `Received` and in "
                 "notices. It must be "
                 "the name that the reverse look-up of the host's address gives, or other hosts will refuse "
                 "mail."),
    FIELD(conf_top, domains, CT_DOMAINS, .roles = READERS,
          .doc = "The own domains: mail for these ends here, in a mailbox or by an alias. Subdomains are not "
                 "included. An absolute path in any list of domains is a file with one domain a line, `#` "
                 "begins a comment: sendmail's `local-host-names`."),
    FIELD_END
};

static void check_hostname(struct conf_check *check, struct conf_top *top)
{
    char name[256];
    const char *why;
    if (top->hostname[0] != '\0')
        return;
    if (!check->loading) {
        conf_check_fail(check, top, NULL, 0, "hostname is missing");
        return;
    }
    if (check->options.system_name)
        (void)strv_cstr(SV(check->options.system_name), name, sizeof(name));
    else
        system_host_name(name, sizeof(name));
    if (!conf_host_ok(SV(name), true, &why)) {
        conf_check_fail(check, top, NULL, 0,
                        "hostname is missing, and the system's name \"%s\" cannot stand in (%s); "
                        "add a line such as: hostname = mx.example.com",
                        name, why);
        return;
    }
    free(top->hostname);
    top->hostname = mem_str(name);
    for (char *c = top->hostname; *c; c++)
        *c = byte_lower(*c);
}

static void check_top(struct conf_check *check, void *section)
{
    struct conf_top *top = section;
    check_hostname(check, top);
    if (!conf_field_granted(&fields[1], check->conf->role))
        return;
    check->conf->own = dict_new();
    for (size_t i = 0; i < top->domains.n; i++) {
        if (dict_set(check->conf->own, SV(top->domains.v[i]), top))
            conf_check_fail(check, top, "domains", i, "domain \"%s\" is listed twice", top->domains.v[i]);
    }
}

const struct conf_kind conf_top_kind = {
    .name = "", .fields = fields, .size = sizeof(struct conf_top), .offset = offsetof(struct conf, top),
    .check = check_top,
    .doc = "These two stand outside of every section. Alone they make a working host.",
};
