/* dial.c - staggered connecting */
#include "deliverd/dial.h"

#include "common/base/mem.h"
#include "deliverd/deliverd.h"
#include "deliverd/trouble.h"

#include <errno.h>
#include <stdio.h>

static void start_one(struct dial *d);

static struct target *next_target(struct dial *d)
{
    for (size_t i = 0; i < d->targets->n; i++)
        if (d->targets->v[i].state == TARGET_UNTRIED)
            return &d->targets->v[i];
    return NULL;
}

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
    trouble_address_over(d->d->trouble, &t->addr);
    if (t->addr.family == AF_INET6)
        trouble_v6_over(d->d->trouble);
    else if (d->v6_waited)
        trouble_v6(d->d->trouble, loop_now(d->d->loop));
    hang_up_others(d);
    d->ops->up(d->arg, c);
}

static void on_down(void *arg, struct connection *c, const struct client_result *failure)
{
    struct dial *d = arg;
    struct target *t = take_pending(d, c);

    t->state = TARGET_TRIED;
    trouble_address(d->d->trouble, &t->addr, loop_now(d->d->loop));
    loop_later(d->d->loop, &d->task); /* before failed: it may clear us */
    d->ops->failed(d->arg, c->relay, failure);
}

static const struct connection_ops connection_ops = { .up = on_up, .down = on_down };

/* ---- when the next one starts ---- */

static bool has_pending_family(const struct dial *d, sa_family_t family)
{
    for (unsigned i = 0; i < d->pending_n; i++)
        if (d->pending[i].t->addr.family == family)
            return true;
    return false;
}

static void set_timer(struct dial *d)
{
    const struct target *next = next_target(d);

    if (next && d->pending_n && d->pending_n < DIAL_PENDING_MAX)
        loop_timer_set(&d->timer,
                       has_pending_family(d, next->addr.family) ? DIAL_SAME_FAMILY_MS : DIAL_OTHER_FAMILY_MS);
    else
        loop_timer_stop(&d->timer);
}

static void on_timer(void *arg)
{
    struct dial *d = arg;
    const struct target *next = next_target(d);

    if (next && next->addr.family == AF_INET && has_pending_family(d, AF_INET6))
        d->v6_waited = true;
    start_one(d);
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

    buf_init(&relay, 400);
    target_text(t, &relay);
    snprintf(text, sizeof text, "connect to %s: %s", buf_cstr(&relay), strerror(sys));
    r.text = SV(text);
    loop_later(d->d->loop, &d->task);
    d->ops->failed(d->arg, buf_cstr(&relay), &r);
    buf_clear(&relay);
}

static void start_one(struct dial *d)
{
    struct target *t = next_target(d);
    struct connection *c;
    int sys = 0;

    if (!t || d->pending_n == DIAL_PENDING_MAX)
        return;
    c = connection_new(d->d, d->route, t, &connection_ops, d, &sys);
    if (!c) {
        t->state = TARGET_TRIED;
        no_socket(d, t, sys);
        return;
    }
    t->state = TARGET_PENDING;
    d->pending[d->pending_n].c = c;
    d->pending[d->pending_n++].t = t;
    set_timer(d);
}

static void on_task(void *arg)
{
    struct dial *d = arg;

    if (next_target(d))
        start_one(d);
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
