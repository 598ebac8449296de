/* source.c - the addresses that routes want connections to leave from: are they there?
 *
 * An address that is not there (an interface that is down, a shared address that another host has now) comes
 * back or is mended in the configuration. It says nothing about the other side, and mail for it only waits.
 */
#include "deliverd/source.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/net/loop.h"
#include "common/net/stream.h"
#include "common/proc/daemon.h"
#include "conf/conf.h"
#include "conf/route.h"
#include "deliverd/deliverd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct sources {
    struct deliverd *d;
    struct loop_timer timer;
    struct netaddr *missing; /* owned */
    size_t n;
};

/* ---- what is told ---- */

static void tell_missing(const struct deliverd *d, const struct conf_route *route,
                         const struct netaddr *from, int sys)
{
    char text[NETADDR_TEXT], what[NETADDR_TEXT + 16], where[300], error[200], advice[480];

    netaddr_ip_text(from, text, sizeof text);
    conf_where_text(conf_where(&route->head, "route", "source"), where, sizeof where);
    LOG(WARN, "delivery.source.missing", KS("source", text), KS("route", route->head.name), KS("rule", where),
        KS("error", strerror(sys)));
    snprintf(what, sizeof what, "source %s", text);
    snprintf(error, sizeof error, "no connection can leave from it: %s", strerror(sys));
    snprintf(advice, sizeof advice,
             "give it to an interface (ip address), or mend source at %s; the mail waits", where);
    daemon_trouble(d->daemon, what, error, advice);
}

static void tell_back(const struct deliverd *d, const struct netaddr *from)
{
    char text[NETADDR_TEXT], what[NETADDR_TEXT + 16];

    netaddr_ip_text(from, text, sizeof text);
    LOG(INFO, "delivery.source.back", KS("source", text));
    snprintf(what, sizeof what, "source %s", text);
    daemon_trouble(d->daemon, what, NULL, NULL);
}

/* ---- which are missing ---- */

static void missing_add(struct sources *s, const struct conf_route *route, const struct netaddr *from,
                        int sys)
{
    for (size_t i = 0; i < s->n; i++)
        if (netaddr_eq_ip(&s->missing[i], from))
            return;
    s->missing = mem_resize(s->missing, s->n + 1, sizeof *s->missing);
    s->missing[s->n++] = *from;
    tell_missing(s->d, route, from, sys);
    if (!loop_timer_is_set(&s->timer))
        loop_timer_set(&s->timer, SOURCE_AGAIN_MS);
}

static void on_timer(void *arg)
{
    struct sources *s = arg;

    for (size_t i = 0; i < s->n;) {
        if (stream_from_error(&s->missing[i])) {
            i++;
            continue;
        }
        tell_back(s->d, &s->missing[i]);
        s->missing[i] = s->missing[--s->n];
    }
    if (s->n)
        loop_timer_set(&s->timer, SOURCE_AGAIN_MS);
}

bool source_is_missing(struct sources *s, const struct conf_route *route, const struct netaddr *from,
                       int sys)
{
    /* connect(2) says so too, when no port is left. */
    if (!from || sys != EADDRNOTAVAIL)
        return false;
    sys = stream_from_error(from);
    if (sys)
        missing_add(s, route, from, sys);
    return sys != 0;
}

void sources_look(struct sources *s)
{
    const struct conf *conf = s->d->conf;

    for (size_t i = 0; i < conf->route_n; i++)
        for (size_t k = 0; k < conf->routes[i]->source.n; k++) {
            const struct netaddr *from = &conf->routes[i]->source.v[k];
            int sys = stream_from_error(from);

            if (sys)
                missing_add(s, conf->routes[i], from, sys);
        }
}

/* ---- life ---- */

struct sources *sources_new(struct deliverd *d)
{
    struct sources *s = mem_new(sizeof *s);

    s->d = d;
    loop_timer_init(&s->timer, d->loop, on_timer, s);
    return s;
}

void sources_free(struct sources **s)
{
    if (!*s)
        return;
    loop_timer_stop(&(*s)->timer);
    MEM_FREE((*s)->missing);
    MEM_FREE(*s);
}
