/* dial.c - staggered connecting */
#include "deliverd/dial.h"

#include "common/base/mem.h"
#include "conf/route.h"
#include "deliverd/deliverd.h"
#include "deliverd/job.h"
#include "deliverd/source.h"
#include "deliverd/trouble.h"

#include <errno.h>
#include <stdio.h>

/* The slot of c; its target is what the caller wants to know. */
static struct target *take_pending(struct dial *d, const struct connection *c)
{
    for (unsigned i = 0; i < d->pending_n; i++)
        if (d->pending[i].c == c) {
            struct target *t = d->pending[i].t;

            d->pending[i] = d->pending[--d->pending_n];
            return t;
        }
    return NULL;
}

/* ---- what becomes of a connection ---- */

static void hang_up_others(struct dial *d)
{
    while (d->pending_n) {
        d->pending_n--;
        d->pending[d->pending_n].t->state = TARGET_UNTRIED;
        connection_close(&d->pending[d->pending_n].c, "not needed");
    }
    loop_timer_stop(&d->timer);
}

static void on_up(void *arg, struct connection *c)
{
    struct dial *d = arg;
    struct target *t = take_pending(d, c);

    t->state = TARGET_TRIED;
    trouble_address_over(d->d->trouble, &t->addr, c->from);
    if (t->addr.family == AF_INET6)
        trouble_v6_over(d->d->trouble, c->from);
    else if (d->v6_waited)
        trouble_v6(d->d->trouble, conf_route_source(d->route, AF_INET6), loop_now(d->d->loop));
    hang_up_others(d);
    d->ops->up(d->arg, c);
}

static void on_down(void *arg, struct connection *c, const struct client_result *failure)
{
    struct dial *d = arg;
    struct target *t = take_pending(d, c);

    t->state = TARGET_TRIED;
    if (strcmp(failure->step, STEP_SOURCE) != 0)
        trouble_address(d->d->trouble, &t->addr, c->from, loop_now(d->d->loop));
    loop_later(d->d->loop, &d->task); /* before failed: it may clear us */
    d->ops->failed(d->arg, c->relay, failure);
}

static const struct connection_ops connection_ops = { .up = on_up, .down = on_down };

/* ---- when the next one starts ---- */

static bool only_v6_pending(const struct dial *d)
{
    for (unsigned i = 0; i < d->pending_n; i++)
        if (d->pending[i].t->addr.family != AF_INET6)
            return false;
    return d->pending_n > 0;
}

static void set_timer(struct dial *d)
{
    int64_t ms;

    if (targets_next(d->targets, &ms) && d->pending_n)
        loop_timer_set(&d->timer, ms);
    else
        loop_timer_stop(&d->timer);
}

/* Of ours, which says nothing about a host. */
static bool is_shortage(int sys)
{
    return sys == EMFILE || sys == ENFILE || sys == ENOBUFS || sys == ENOMEM;
}

/* No socket: the family is not there at all (EAFNOSUPPORT), or descriptors are out. */
static void no_socket(struct dial *d, struct target *t, int sys)
{
    struct client_result r = {
        .outcome = OUTCOME_DEFERRED,
        .retry = CLIENT_OTHER_HOST,
        .status = STATUS(4, 4, 1),
        .step = "connect",
    };
    char text[480];
    struct buf relay;

    if (is_shortage(sys)) {
        r.status = (struct status)STATUS(4, 3, 0);
        r.step = STEP_SERVICE;
    }
    buf_init(&relay, 400);
    target_text(t, &relay);
    snprintf(text, sizeof text, "connect to %s: %s", buf_cstr(&relay), strerror(sys));
    r.text = SV(text);
    loop_later(d->d->loop, &d->task);
    d->ops->failed(d->arg, buf_cstr(&relay), &r);
    buf_clear(&relay);
}

static void start_one(struct dial *d, struct target *t)
{
    struct connection *c;
    int sys = 0;

    c = connection_new(d->d, d->route, t, &connection_ops, d, &sys);
    if (!c) {
        t->state = TARGET_TRIED;
        no_socket(d, t, sys);
        return;
    }
    c->lmtp = d->lmtp;
    t->state = TARGET_PENDING;
    d->pending[d->pending_n].c = c;
    d->pending[d->pending_n++].t = t;
    set_timer(d);
}

static void on_timer(void *arg)
{
    struct dial *d = arg;
    int64_t ms;
    struct target *next = targets_next(d->targets, &ms);

    if (!next)
        return;
    if (next->addr.family == AF_INET && only_v6_pending(d))
        d->v6_waited = true;
    start_one(d, next);
}

static void on_task(void *arg)
{
    struct dial *d = arg;
    int64_t ms;
    struct target *next = targets_next(d->targets, &ms);

    if (next)
        start_one(d, next);
    else if (d->pending_n == 0)
        d->ops->exhausted(d->arg);
    else
        set_timer(d);
}

/* ---- life ---- */

void dial_init(struct dial *d, struct deliverd *deliverd, const struct conf_route *route,
               struct targets *targets, const struct dial_ops *ops, void *arg)
{
    *d = (struct dial){ .d = deliverd, .route = route, .targets = targets, .ops = ops, .arg = arg };
    d->task = (struct loop_task){ .fn = on_task, .arg = d };
    loop_timer_init(&d->timer, deliverd->loop, on_timer, d);
}

void dial_next(struct dial *d)
{
    loop_later(d->d->loop, &d->task);
}

void dial_clear(struct dial *d)
{
    if (!d->d)
        return;
    hang_up_others(d);
    loop_later_cancel(d->d->loop, &d->task);
    d->d = NULL;
}
