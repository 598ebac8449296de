/* connection_secure.c - TLS and AUTH of a connection */
#include "deliverd/connection_secure.h"

#include "common/base/hash.h"
#include "common/base/log.h"
#include "common/net/stream.h"
#include "common/net/tls.h"
#include "common/proc/daemon.h"
#include "conf/conf.h"
#include "conf/route.h"
#include "deliverd/deliverd.h"
#include "deliverd/route.h"
#include "deliverd/secure.h"

#include <stdio.h>
#include <string.h>

/* ---- what is wanted ---- */

static enum client_tls tls_of(const struct connection *c)
{
    static const enum client_tls wanted[] = {
        [CONF_TLS_NONE] = CLIENT_TLS_NEVER,
        [CONF_TLS_OFFER] = CLIENT_TLS_OFFERED,
        [CONF_TLS_REQUIRE] = CLIENT_TLS_REQUIRED,
        [CONF_TLS_IMPLICIT] = CLIENT_TLS_IMPLICIT,
    };

    /* In the clear only where that is the route's last resort anyway. */
    if (c->plain && c->route->tls == CONF_TLS_OFFER)
        return CLIENT_TLS_NEVER;
    return c->secure->tls ? wanted[c->route->tls] : CLIENT_TLS_NEVER;
}

static void nonce_make(struct connection *c)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t raw[(sizeof c->nonce - 1) / 2];

    rand_bytes(raw, sizeof raw);
    for (size_t i = 0; i < sizeof raw; i++) {
        c->nonce[2 * i] = digits[raw[i] >> 4];
        c->nonce[2 * i + 1] = digits[raw[i] & 15];
    }
}

void connection_terms(struct connection *c)
{
    struct client_terms terms = { .tls = CLIENT_TLS_NEVER };

    c->secure = c->lmtp ? NULL : secure_of(c->d->secure, c->route);
    if (!c->secure)
        return;
    terms.tls = tls_of(c);
    if (c->secure->login) {
        nonce_make(c);
        terms.secret = &c->secure->login->secret;
        terms.nonce = SV(c->nonce);
        terms.clear_auth = c->route->auth_without_tls || netaddr_is_loopback(&c->addr);
        stream_out(c->stream)->secret = true; /* the password stands in there, and is wiped with it */
    }
    client_set_terms(&c->client, &terms);
}

/* What the operator wrote counts before what the DNS says. */
void connection_set_name(struct connection *c, const struct target *t)
{
    const struct conf_target *via = &c->route->via;
    char ip[NETADDR_TEXT];
    const char *name = t->host;

    if (c->route->tls_name && c->route->tls_name[0])
        name = c->route->tls_name;
    else if (via->host && via->host[0])
        name = via->host;
    netaddr_ip_text(&t->addr, ip, sizeof ip);
    snprintf(c->tls_name, sizeof c->tls_name, "%s", name[0] ? name : ip);
}

/* ---- the handshake ---- */

static void shake_failed(struct connection *c, const char *why)
{
    char text[600];

    snprintf(text, sizeof text, "handshake with %s: %s", c->tls_name, why);
    client_tls_failed(&c->client, text);
}

void connection_shake(struct connection *c)
{
    if (!stream_start_tls(c->stream, c->secure->tls, c->tls_name))
        shake_failed(c, "it cannot begin");
}

void connection_secured(struct connection *c)
{
    struct tls_info info;

    if (stream_tls_info(c->stream, &info)) {
        snprintf(c->tls, sizeof c->tls, "%s %s", info.protocol, info.cipher);
        c->verified = info.verified ? "yes" : info.verify;
    }
    client_secured(&c->client);
}

void connection_shake_failed(struct connection *c, enum stream_end how, int sys)
{
    const char *why = stream_tls_why(c->stream);

    if (how == STREAM_TIMEOUT)
        why = "timed out";
    else if (why[0] == '\0')
        why = sys ? strerror(sys) : "connection lost";
    shake_failed(c, why);
}

/* ---- our login ---- */

static void tell(const struct connection *c, const char *text, const char *advice)
{
    char what[80];

    snprintf(what, sizeof what, "login %.50s", c->secure->login->name);
    if (c->d->daemon)
        daemon_trouble(c->d->daemon, what, text, advice);
}

static void refused(struct connection *c, struct login *l)
{
    const struct client_result *f = &c->client.failure;
    char rule[512], text[700];

    conf_where_text(conf_where(&c->route->head, "route", "auth"), rule, sizeof rule);
    LOG(ERROR, "relay.login.refused", KS("relay", c->relay), KS("secret", l->name), KS("rule", rule),
        KV("reply", f->text));
    snprintf(text, sizeof text, "%s refuses the login: %.*s", c->relay, (int)strv_sub(f->text, 0, 300).n,
             f->text.p);
    tell(c, text, "mend user or password of the section secret, then: mtactl reload; the mail waits");
    l->refused_until = loop_now(c->d->loop) + LOGIN_AGAIN_MS;
    buf_reset(&l->refused);
    buf_addv(&l->refused, strv_sub(f->text, 0, 500));
}

void connection_login(struct connection *c)
{
    struct login *l = c->secure ? c->secure->login : NULL;

    if (!l)
        return;
    if (c->client.auth_refused) {
        refused(c, l);
    } else if (client_step(&c->client) == CLIENT_READY) {
        char what[80];

        l->refused_until = 0;
        buf_reset(&l->refused);
        /* Another deliverd may have been refused, and have nothing to try again with. */
        snprintf(what, sizeof what, "login %.50s", l->name);
        daemon_trouble_over(c->d->daemon, what);
    }
}
