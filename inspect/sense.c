/* sense.c - what is allowed, and hardly meant */
#include <string.h>

#include "common/base/netaddr.h"
#include "conf/conf.h"
#include "conf/listen.h"
#include "conf/relay.h"
#include "conf/top.h"
#include "inspect/inspect.h"

#define WIDE_V4 16u /* shorter prefixes hold strangers, unless the network is private */
#define WIDE_V6 32u

/* Nobody outside can send from there. */
static bool is_private(const struct netprefix *p)
{
    static const char *const nets[] = { "10.0.0.0/8",     "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8",
                                        "169.254.0.0/16", "100.64.0.0/10", "fc00::/7",       "fe80::/10" };

    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++) {
        struct netprefix net;
        const char *why;

        if (netprefix_parse(SV(nets[i]), &net, &why) && net.bits <= p->bits &&
            netprefix_contains(&net, &p->addr))
            return true;
    }
    return false;
}

static void relay_look(const struct conf_relay *relay, struct findings *f)
{
    for (size_t i = 0; i < relay->from.n; i++) {
        const struct netprefix *p = &relay->from.v[i];
        unsigned wide = p->addr.family == AF_INET ? WIDE_V4 : WIDE_V6;
        char text[NETADDR_TEXT];

        if (p->bits >= wide || is_private(p))
            continue;
        netprefix_text(p, text, sizeof text);
        findings_at(f, FINDING_FAULT, &relay->head, "relay", "from",
                    "name your own networks only; strangers' machines will find it within hours",
                    "%s may send anywhere through this host: an open relay", text);
    }
}

static void listeners_look(const struct conf *conf, struct findings *f)
{
    for (size_t i = 0; i < conf->listen_n; i++) {
        const struct conf_listen *l = conf->listens[i];

        if (l->auth == CONF_AUTH_REQUIRE && l->tls == CONF_TLS_OFFER)
            findings_at(
                f, FINDING_ADVICE, &l->head, "listen", "tls", "set tls = require",
                "listener %s requires AUTH, which only works under TLS: clients without it are refused "
                "late",
                l->head.name);
    }
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);

    return n >= m && strcmp(text + n - m, end) == 0;
}

static void hostname_look(const struct conf_top *top, struct findings *f)
{
    static const char *const local[] = { ".local",    ".localdomain", ".lan",      ".home",
                                         ".internal", ".invalid",     ".localhost" };

    for (size_t i = 0; i < sizeof local / sizeof *local; i++) {
        if (ends_with(top->hostname, local[i]))
            findings_at(f, FINDING_ADVICE, &top->head, "", "hostname",
                        "set hostname to the name that the DNS gives this host's address",
                        "nobody outside can look up %s: many servers refuse mail from such a name",
                        top->hostname);
    }
}

void inspect_sense(const struct conf *conf, struct findings *f)
{
    relay_look(conf->relay, f);
    listeners_look(conf, f);
    hostname_look(conf->top, f);
}
