/* limits.c - what the configuration allows a destination */
#include "conf/conf.h"
#include "conf/route.h"
#include "queued/mailq.h"

#include <string.h>

#define RCPTS_MAX 100u /* RFC 5321 4.5.3.1.8: what every server takes in one transaction */

static bool route_has_host(const struct conf_route *route)
{
    return !route->via.host || route->via.host[0] != '\0';
}

static void on_limits(void *arg, struct strv domain, struct sched_limits *l)
{
    static char group[CONF_ROUTE_KEY + 8];
    const struct mailq *q = arg;
    const struct conf_route *route = q->routes ? conf_route_for(q->routes, domain) : NULL;

    if (!route)
        return;
    l->max_jobs = (uint32_t)route->max_connections;
    l->rate = (uint32_t)route->rate;
    l->label = strv_make(group, conf_route_key(route, group));
    /* As deliverd calls it. */
    if (route_has_host(route)) {
        memcpy(group + l->label.n, "|via", 5);
        l->group = SV(group);
    }
}

void limits_apply(struct mailq *q)
{
    sched_on_limits(q->ledger.sched, on_limits, q);
}

size_t limits_rcpts(const struct mailq *q, uint32_t part)
{
    const struct conf_route *route = q->routes && !sched_is_local(q->ledger.sched, part)
                                         ? conf_route_for(q->routes, sched_domain(q->ledger.sched, part))
                                         : NULL;

    return route && (size_t)route->max_recipients < RCPTS_MAX ? (size_t)route->max_recipients : RCPTS_MAX;
}
