/* attempt_route.c - where an attempt goes to: loops, look-ups, and what is known without asking */
#include "conf/conf.h"
#include "conf/route.h"
#include "conf/top.h"
#include "deliverd/attempt_inner.h"
#include "deliverd/deliverd.h"
#include "deliverd/job.h"
#include "deliverd/secure.h"

#include <stdio.h>

#define DNS_DEADLINE_MS 60000

/* A domain of the world is as it is: permanent. A smart host was written by the operator, who can mend it. */
static void no_target(struct attempt *a, struct status status, const char *before, const char *behind,
                      const char *host_text)
{
    char text[900];
    bool host = a->route.kind != ROUTE_MX;
    struct strv name = strv_sub(a->route.host, 0, 255);

    if (host)
        snprintf(text, sizeof text, "smart host %.*s of route %s %s", (int)name.n, name.p,
                 a->route.conf->head.name, host_text);
    else
        snprintf(text, sizeof text, "%s %.*s %s", before, (int)name.n, name.p, behind);
    if (host)
        status.cls = 4;
    attempt_finish_with(a, host ? OUTCOME_DEFERRED : OUTCOME_FAILED, status, "dns", text);
}

static void no_target_now(struct attempt *a, struct status status, const char *what, struct strv why)
{
    char text[900];
    struct strv name = strv_sub(a->route.host, 0, 255);

    why = strv_sub(why, 0, 300);
    snprintf(text, sizeof text, "%s of %.*s: %.*s", what, (int)name.n, name.p, (int)why.n, why.p);
    attempt_finish_with(a, OUTCOME_DEFERRED, status, "dns", text);
}

/* Enough for queued, whose limits are those of the hosts: it sends the job again when these may have one. */
static void tell_hosts(struct attempt *a)
{
    struct buf key;

    buf_init(&key, TARGETS_KEY_MAX);
    targets_key(&a->route, &a->targets, &key);
    job_group(a->job, buf_ok(&key) && key.len < IPC_GROUP_MAX ? buf_view(&key) : SV(a->route.key));
    buf_clear(&key);
    attempt_finish_with(a, OUTCOME_DEFERRED, STATUS(4, 4, 0), STEP_HOSTS, "the hosts are known");
}

static void use_hosts(struct attempt *a, const struct dns_hosts *hosts)
{
    struct strv hostname = SV(a->d->conf->top->hostname);

    switch (targets_make(hosts, &a->route, hostname, &a->d->own, &a->targets)) {
    case TARGETS_OK:
        if (a->job->asks) {
            tell_hosts(a);
            return;
        }
        if (attempt_move_slot(a, hosts->ttl))
            return;
        attempt_tell_group(a);
        attempt_dial(a);
        return;
    case TARGETS_LOOP:
        no_target(a, STATUS(5, 4, 6), "mail for", "loops back to this host", "is this host itself");
        return;
    case TARGETS_NONE:
        no_target(a, STATUS(5, 4, 4), "no mail server of", "has an address", "has no address");
        return;
    case TARGETS_NONE_TEMP:
        no_target_now(a, STATUS(4, 4, 3), "look-up of the mail servers' addresses", SV("failed for now"));
        return;
    case TARGETS_NONE_FAMILY:
        no_target_now(a, STATUS(4, 4, 4), "no mail server",
                      SV(a->route.family == FAMILY_IPV4 ? "has an IPv4 address, which the route asks for"
                                                        : "has an IPv6 address, which the route asks for"));
        return;
    }
}

/* dnsd is being replaced: a matter of seconds, and nobody else's fault. */
static void ask_again(struct attempt *a)
{
    if (loop_now(a->d->loop) - a->asked < a->d->patience_ms)
        loop_timer_set(&a->again, SERVICE_AGAIN_MS);
    else
        attempt_finish_with(a, OUTCOME_DEFERRED, STATUS(4, 3, 0), STEP_SERVICE,
                            "host look-up: no answer from the own DNS service");
}

static void on_hosts(void *arg, const struct dns_hosts *hosts)
{
    struct attempt *a = arg;

    if (hosts->lost) {
        ask_again(a);
        return;
    }
    if (loop_now(a->d->loop) - a->asked_last > a->job->looked)
        a->job->looked = loop_now(a->d->loop) - a->asked_last;
    switch (hosts->answer) {
    case DNS_OK: use_hosts(a, hosts); return;
    case DNS_NXDOMAIN: no_target(a, STATUS(5, 1, 2), "domain", "does not exist", "does not exist"); return;
    case DNS_NODATA:
        no_target(a, STATUS(5, 1, 2), "domain", "has neither MX nor address records", "has no address");
        return;
    case DNS_NULLMX:
        no_target(a, STATUS(5, 1, 10), "domain", "takes no mail (null MX)", "takes no mail");
        return;
    case DNS_TEMPFAIL:
        no_target_now(a, STATUS(4, 4, 3), "look-up", hosts->text.n ? hosts->text : SV("failed"));
        return;
    }
}

static void use_address(struct attempt *a)
{
    targets_make_address(&a->route, &a->targets);
    attempt_dial(a);
}

/* Of an address that was written down this is known before anything is asked. */
bool attempt_is_loop(struct attempt *a)
{
    bool literal = a->job->dest.n && a->job->dest.p[0] == '[';

    if (a->route.kind != ROUTE_ADDRESS || !own_addresses_have(&a->d->own, &a->route.addr))
        return false;
    attempt_finish_with(a, literal ? OUTCOME_FAILED : OUTCOME_DEFERRED, STATUS(literal ? 5 : 4, 4, 6),
                        "route", "this address is the host's own: mail would loop");
    return true;
}

static const struct login *refused_login(const struct attempt *a)
{
    const struct secure_route *s = secure_of(a->d->secure, a->route.conf);

    return s && s->login && s->login->refused_until > loop_now(a->d->loop) ? s->login : NULL;
}

bool attempt_login_refused(const struct attempt *a)
{
    return refused_login(a) != NULL;
}

void attempt_ask(struct attempt *a)
{
    const struct login *refused = refused_login(a);
    char text[900];

    a->asked_last = loop_now(a->d->loop);
    if (refused) {
        snprintf(text, sizeof text, "login %.64s was refused a moment ago: %s", refused->name,
                 buf_cstr(&refused->refused));
        attempt_finish_with(a, OUTCOME_DEFERRED, STATUS(4, 7, 8), "auth", text);
        return;
    }
    switch (a->route.kind) {
    case ROUTE_ADDRESS: use_address(a); return;
    case ROUTE_HOST:
        dns_host(&a->ask, a->d->dns, a->route.host, a->route.family, DNS_DEADLINE_MS, on_hosts, a);
        return;
    case ROUTE_MX:
        dns_mx(&a->ask, a->d->dns, a->route.host, a->route.family, DNS_DEADLINE_MS, on_hosts, a);
        return;
    }
}

void attempt_resolve(struct attempt *a)
{
    a->asked = loop_now(a->d->loop);
    /* What fails before there are hosts is the domain's own trouble, unless the operator named the host. */
    if (a->route.kind == ROUTE_MX)
        job_group(a->job, SV_LIT(""));
    else
        attempt_tell_group(a);
    attempt_ask(a);
}
