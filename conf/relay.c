/* relay.c - section `relay` */
#include "conf/relay.h"

#include "conf/check.h"
#include "conf/kinds.h"

#define READERS (ROLE_BIT(ROLE_SMTPD) | ROLE_BIT(ROLE_CLEANUP))

static const struct conf_field fields[] = {
    FIELD(conf_relay, from, CT_NETWORKS, .roles = READERS,
          .doc = "Networks whose hosts may send to any address without a password. Empty: none but local "
                 "users. A network "
                 "here is trusted with this host's good name."),
    FIELD(conf_relay, to, CT_DOMAINS, .roles = READERS,
          .doc = "Foreign domains for which mail is taken from everybody and passed on, as their backup MX. "
                 "An absolute path is a file of them: `relay-domains`."),
    FIELD_END
};

static void check_relay(struct conf_check *check, void *section)
{
    struct conf_relay *relay = section;
    for (size_t i = 0; i < relay->from.n; i++) {
        if (relay->from.v[i].bits == 0)
            conf_check_fail(check, relay, "from", i,
                            "this is every host of the Internet; an open relay is of use to "
                            "spammers only");
    }
    for (size_t i = 0; i < relay->to.n; i++) {
        if (check->conf->own && conf_domain_is_own(check->conf, SV(relay->to.v[i])))
            conf_check_fail(check, relay, "to", i, "\"%s\" is one of the own domains; mail for it ends here",
                            relay->to.v[i]);
    }
}

const struct conf_kind conf_relay_kind = {
    .name = "relay",
    .fields = fields,
    .size = sizeof(struct conf_relay),
    .offset = offsetof(struct conf, relay),
    .check = check_relay,
    .doc = "Who may send mail to other hosts through this one. Everybody may send to the own domains.",
};
