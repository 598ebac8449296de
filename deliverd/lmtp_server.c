/* lmtp_server.c - whether an LMTP server may be asked now */
#include "deliverd/lmtp_server.h"

#include "common/base/log.h"
#include "common/net/loop.h"
#include "common/proc/daemon.h"
#include "conf/conf.h"
#include "conf/mailbox.h"
#include "conf/top.h"
#include "deliverd/deliverd.h"
#include "deliverd/lmtp.h"

#include <stdio.h>

#define CONNECT_S 30
#define IDLE_S    5
#define MESSAGES  100 /* over one connection */

static void name_make(struct lmtp_server *s)
{
    const struct conf_target *via = &s->m->via;
    unsigned port = via->port ? via->port : CONF_LMTP_PORT;
    char ip[NETADDR_TEXT];

    if (via->path) {
        snprintf(s->name, sizeof s->name, "unix:%s", via->path);
    } else if (via->addr.family != AF_UNSPEC) {
        netaddr_ip_text(&via->addr, ip, sizeof ip);
        snprintf(s->name, sizeof s->name, "[%s]:%u", ip, port);
    } else {
        snprintf(s->name, sizeof s->name, "%.300s:%u", via->host, port);
    }
}

void lmtp_server_init(struct lmtp_server *s, struct deliverd *d, const struct conf_mailbox *m)
{
    static char none[] = "";

    *s = (struct lmtp_server){ .d = d, .m = m };
    /* `timeout` is for the end of a message, for which a connection takes twice its route's. */
    s->route = (struct conf_route){
        .head = m->head,
        .helo = d->conf->top->hostname,
        .connect_timeout = m->timeout < CONNECT_S ? m->timeout : CONNECT_S,
        .timeout = (m->timeout + 1) / 2,
        .max_connections = m->max_connections,
        .max_messages = MESSAGES,
        .idle = IDLE_S,
        .tls = CONF_TLS_NONE,
        .auth = none,
    };
    name_make(s);
    snprintf(s->key, sizeof s->key, " lmtp %s", m->head.name);
}

bool lmtp_server_may(struct lmtp_server *s, const void *who)
{
    if (!s->down)
        return true;
    if (s->probing || loop_now(s->d->loop) < s->until)
        return false;
    s->probing = who;
    return true;
}

void lmtp_server_left(struct lmtp_server *s, const void *who)
{
    if (s->probing == who)
        s->probing = NULL;
}

bool lmtp_server_blinks(const struct lmtp_server *s)
{
    return s->down && loop_now(s->d->loop) - s->since < LMTP_BLINK_MS;
}

/* For `mtactl status`; its rows have names of 64 characters. */
static void trouble_tell(const struct lmtp_server *s, const char *text)
{
    char what[64], where[300], advice[480];

    if (!s->d->daemon)
        return;
    snprintf(what, sizeof what, "mailbox %.50s", s->m->head.name);
    conf_where_text(conf_where(&s->m->head, "mailbox", "via"), where, sizeof where);
    snprintf(advice, sizeof advice, "start the LMTP server, or mend via at %s; the mail waits", where);
    daemon_trouble(s->d->daemon, what, text, text ? advice : NULL);
}

void lmtp_server_failed(struct lmtp_server *s, struct status status, struct strv relay, struct strv why,
                        bool remote)
{
    int64_t now = loop_now(s->d->loop);
    char where[512];

    s->until = now + LMTP_DOWN_MS;
    s->status = status;
    s->remote = remote;
    snprintf(s->relay, sizeof s->relay, "%.*s", (int)strv_sub(relay, 0, 390).n, relay.p);
    snprintf(s->why, sizeof s->why, "%.*s", (int)strv_sub(why, 0, 490).n, why.p);
    if (s->down)
        return;
    s->down = true;
    s->since = now;
    conf_where_text(conf_where(&s->m->head, "mailbox", "via"), where, sizeof where);
    LOG(WARN, "delivery.lmtp.down", KS("mailbox", s->m->head.name), KS("rule", where), KS("relay", s->relay),
        KS("error", s->why));
    trouble_tell(s, s->why);
}

void lmtp_server_answered(struct lmtp_server *s)
{
    if (!s->down)
        return;
    s->down = false;
    s->probing = NULL;
    LOG(INFO, "delivery.lmtp.up", KS("mailbox", s->m->head.name), KS("relay", s->name),
        KMS("lasted", loop_now(s->d->loop) - s->since));
    trouble_tell(s, NULL);
}
