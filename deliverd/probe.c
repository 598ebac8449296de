/* probe.c - the way out to a destination, tried up to the point where a message could begin */
#include "deliverd/probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "common/base/mem.h"
#include "common/net/loop.h"
#include "conf/conf.h"
#include "conf/route.h"
#include "conf/top.h"
#include "deliverd/connection.h"
#include "deliverd/deliverd.h"
#include "deliverd/dial.h"
#include "deliverd/route.h"
#include "deliverd/source.h"

#define PROBE_MS 50000 /* mtactl waits a little longer */

struct probe {
    struct deliverd *d;
    struct ctl_call *call;
    char domain[256];
    struct route route;
    struct dns_ask ask;
    struct targets targets;
    struct dial dial;
    bool dialing;
    struct connection *c;
    struct loop_timer timer;
    struct buf failures;
    const char *advice;
};

static unsigned probe_n;

/* ---- the end ---- */

static void probe_destroy(void *obj)
{
    struct probe *p = obj;

    targets_clear(&p->targets);
    buf_clear(&p->failures);
    free(p);
}

/* The memory waits for the callbacks that we may stand in. */
static void probe_end(struct probe *p)
{
    dns_ask_cancel(&p->ask);
    loop_timer_stop(&p->timer);
    if (p->dialing)
        dial_clear(&p->dial);
    if (p->c)
        p->c->client.trace = NULL;
    connection_close(&p->c, "probe");
    probe_n--;
    loop_reap(p->d->loop, probe_destroy, p);
}

static void on_gone(void *data)
{
    probe_end(data);
}

static void failed(struct probe *p, const char *text, const char *advice)
{
    ctl_row(p->call, "advice");
    ctl_put(p->call, "advice", SV(advice));
    ctl_row_end(p->call);
    ctl_done(p->call, 1, "%s", text);
    probe_end(p);
}

static void on_time(void *arg)
{
    failed(arg, "the server did not get as far as that in 50 seconds",
           "see whether it is slow for everybody; greylisting and tarpits look like this");
}

/* ---- hosts ---- */

static const char *advice_of(const struct client_result *r)
{
    static const struct {
        const char *step, *advice;
    } table[] = {
        { "connect",
          "is the host up, and may this one reach that port? Many networks block port 25: then use a "
          "smart host (route default { via = ... })" },
        { STEP_SOURCE, "give the address of source to an interface of this host, or mend the route" },
        { "starttls", "the route demands TLS: see tls of this route, or ask the server's operator" },
        { "tls", "see ca, tls_name and tls of this route, and the server's certificate" },
        { "auth",
          "the login or its password is refused: mend the section secret that auth names, then: mtactl "
          "reload" },
        { "greeting", "the server turns this host away: read its words" },
        { "ehlo", "the server turns this host away: read its words, and see hostname and helo" },
    };
    const char *step = r->tls ? "tls" : r->step;

    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(step, table[i].step) == 0)
            return table[i].advice;
    return "read the server's words";
}

static void failure_add(struct probe *p, const char *relay, const struct client_result *r)
{
    if (p->failures.len)
        buf_adds(&p->failures, "; ");
    if (r->remote)
        buf_addf(&p->failures, "%s said: ", relay);
    buf_addv(&p->failures, r->text);
    p->advice = advice_of(r);
}

static void on_line(void *arg, bool sent, struct strv line)
{
    struct probe *p = arg;

    ctl_row(p->call, "line");
    ctl_put(p->call, "from", sent ? SV_LIT("client") : SV_LIT("server"));
    ctl_put(p->call, "text", strv_sub(line, 0, 1000));
    ctl_row_end(p->call);
}

static void on_ready(void *arg, struct connection *c)
{
    struct probe *p = arg;

    ctl_done(p->call, 0, "%s takes mail for %s%s%s", c->relay, p->domain,
             c->client.secure ? ", under TLS" : "", c->client.terms.secret ? ", and our login" : "");
    probe_end(p);
}

static void on_down(void *arg, struct connection *c, const struct client_result *failure)
{
    struct probe *p = arg;

    p->c = NULL;
    failure_add(p, c->relay, failure);
    dial_next(&p->dial);
}

static const struct connection_ops connection_ops = { .ready = on_ready, .down = on_down };

static void on_up(void *arg, struct connection *c)
{
    struct probe *p = arg;

    p->c = c;
    connection_use(c, &connection_ops, p);
    c->client.trace = on_line;
    c->client.trace_arg = p;
}

static void on_dial_failed(void *arg, const char *relay, const struct client_result *failure)
{
    failure_add(arg, relay, failure);
}

static void on_exhausted(void *arg)
{
    struct probe *p = arg;

    failed(p, p->failures.len ? buf_cstr(&p->failures) : "no host could be tried",
           p->advice ? p->advice : "see the route");
}

static const struct dial_ops dial_ops = { .up = on_up, .failed = on_dial_failed, .exhausted = on_exhausted };

static void dial_targets(struct probe *p)
{
    dial_init(&p->dial, p->d, p->route.conf, &p->targets, &dial_ops, p);
    p->dialing = true;
    dial_next(&p->dial);
}

/* ---- where to ---- */

static void on_hosts(void *arg, const struct dns_hosts *hosts)
{
    static const char *const answers[] = {
        [DNS_NXDOMAIN] = "does not exist",
        [DNS_NODATA] = "has no mail server and no address",
        [DNS_NULLMX] = "takes no mail (null MX)",
        [DNS_TEMPFAIL] = "could not be looked up",
    };
    static const char *const none[] = {
        [TARGETS_LOOP] = "leads back to this host",
        [TARGETS_NONE] = "has no mail server with an address",
        [TARGETS_NONE_TEMP] = "has mail servers whose addresses could not be looked up",
        [TARGETS_NONE_FAMILY] = "has no address of the family that the route allows",
    };
    struct probe *p = arg;
    enum targets_answer got = TARGETS_OK;
    const char *why = NULL;
    char text[900];

    if (hosts->answer != DNS_OK)
        why = answers[hosts->answer];
    else
        got = targets_make(hosts, &p->route, SV(p->d->conf->top->hostname), &p->d->own, &p->targets);
    if (got != TARGETS_OK)
        why = none[got];
    if (!why) {
        dial_targets(p);
        return;
    }
    snprintf(text, sizeof text, "%.*s %s%s%.*s", (int)strv_sub(p->route.host, 0, 255).n, p->route.host.p, why,
             hosts->text.n ? ": " : "", (int)strv_sub(hosts->text, 0, 300).n,
             hosts->text.n ? hosts->text.p : "");
    failed(p, text,
           hosts->answer == DNS_TEMPFAIL
               ? "look at the name servers (dns.servers, /etc/resolv.conf): do they answer?"
           : p->route.kind == ROUTE_MX ? "is the domain spelled right?"
                                       : "mend the name of the smart host in via");
}

static void resolve(struct probe *p)
{
    switch (p->route.kind) {
    case ROUTE_ADDRESS:
        if (own_addresses_have(&p->d->own, &p->route.addr)) {
            failed(p, "this address is the host's own: mail would loop", "name another server in via");
            return;
        }
        targets_make_address(&p->route, &p->targets);
        dial_targets(p);
        return;
    case ROUTE_HOST:
        dns_host(&p->ask, p->d->dns, p->route.host, p->route.family, PROBE_MS, on_hosts, p);
        return;
    case ROUTE_MX: dns_mx(&p->ask, p->d->dns, p->route.host, p->route.family, PROBE_MS, on_hosts, p); return;
    }
}

void probe_begin(struct deliverd *d, struct ctl_call *call)
{
    struct strv domain = ctl_text(call, "domain");
    struct err err = { 0 };
    struct probe *p;

    if (probe_n >= PROBES_MAX || d->draining) {
        ctl_done(call, EX_TEMPFAIL, d->draining ? "this process ends" : "enough is being probed already");
        return;
    }
    p = mem_new(sizeof *p);
    p->d = d;
    if (!domain.n || !strv_cstr(domain, p->domain, sizeof p->domain) ||
        !route_find(d->conf, SV(p->domain), &p->route, &err)) {
        ctl_done(call, EX_DATAERR, "%s", err.text[0] ? err.text : "no domain that mail could go to");
        free(p);
        return;
    }
    p->call = call;
    probe_n++;
    buf_init(&p->failures, 1800);
    loop_timer_init(&p->timer, d->loop, on_time, p);
    loop_timer_set(&p->timer, PROBE_MS);
    ctl_later(call, on_gone, p);
    resolve(p);
}
