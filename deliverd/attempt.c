/* attempt.c - from a job to results: a connection of the pool or a new one, hosts in turn, transactions
 *
 *   start -> (idle connection) ------------------------------> transaction -> finish
 *         -> (slot) -> resolve -> dial -> greeting, EHLO -----> transaction
 *                              -> (slot of the same hosts: attempt_slot.c) -> as at the start
 *   A refused host, and what it makes of recipients (CLIENT_OTHER_HOST), leads back to dial; a pooled
 * connection that died while it was idle leads to resolve, as if it had not been there.
 */
#include "deliverd/attempt.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/metric.h"
#include "common/proc/follow.h"
#include "conf/conf.h"
#include "conf/route.h"
#include "deliverd/attempt_inner.h"
#include "deliverd/deliverd.h"
#include "deliverd/job.h"
#include "deliverd/trouble.h"

#include <stdio.h>
#include <stdlib.h>

#define ATTEMPT_MS       300000 /* no further host is tried after that; what waits behind us should go on */
#define TRANSACTIONS_MAX 20u    /* of one attempt, whatever servers say */

enum todo {
    TODO_NOW,        /* in the next transaction */
    TODO_OTHER_HOST, /* this host had trouble with it */
    TODO_NOTHING,
};

/* ---- who watches ---- */

/* An operator reads along (mtactl log). */
static void line_log(const struct attempt *a, const char *from, struct strv line)
{
    const struct kv keys[] = { KS("id", a->job->id_text),
                               KV("dest", a->job->dest),
                               KS("relay", a->c ? a->c->relay : NULL),
                               KS("from", from),
                               KV("line", strv_sub(line, 0, 1000)),
                               { .key = NULL } };

    log_emit_always(LOG_LV_DEBUG, "relay.dialogue.line", keys);
}

static void on_line(void *arg, bool sent, struct strv line)
{
    const struct attempt *a = arg;

    job_trace(a->job, sent ? JOB_TRACE_SENT : JOB_TRACE_RECEIVED, line);
    if (a->followed)
        line_log(a, sent ? "client" : "server", line);
}

/* "host[ip]:port" begins with it. */
static struct strv host_of(const struct connection *c)
{
    struct strv rest = SV(c->relay), host = rest;

    strv_cut(&rest, '[', &host);
    return host;
}

/* The dialogue from here on, until attempt_end. */
static void watch(struct attempt *a, const char *how)
{
    char text[400];

    a->followed = follow_any() && (follow_domain(a->job->dest) || follow_peer(&a->c->addr, host_of(a->c)));
    if (!a->job->traced && !a->followed)
        return;
    a->c->client.trace = on_line;
    a->c->client.trace_arg = a;
    snprintf(text, sizeof text, "%s %s", how, a->c->relay);
    job_trace(a->job, JOB_TRACE_OURS, SV(text));
}

/* ---- the end ---- */

static void attempt_destroy(void *obj)
{
    struct attempt *a = obj;

    targets_clear(&a->targets);
    buf_clear(&a->failure.text);
    free(a->todo);
    free(a->map);
    free(a->dsn);
    free(a->addresses);
    free(a);
}

/* Gives everything back; the memory waits for the callbacks we may stand in. keep: the connection may be used
 * on. */
static void attempt_end(struct attempt *a, bool keep)
{
    struct connection *c = a->c;
    struct deliverd *d = a->d;

    a->job->attempt = NULL;
    if (c)
        c->client.trace = NULL;
    dns_ask_cancel(&a->ask);
    loop_timer_stop(&a->again);
    dial_clear(&a->dial);
    pool_leave(d->pool, &a->wait);
    a->c = NULL;
    if (!keep || !c || !connection_is_fresh(c))
        connection_close(&c, "done");
    loop_reap(d->loop, attempt_destroy, a);
    if (a->slot)
        pool_put(d->pool, a->wait.dest, c, a->route.conf->idle * 1000);
}

static void finish(struct attempt *a, bool keep)
{
    struct job *j = a->job;

    attempt_end(a, keep);
    job_over(j);
}

void attempt_free(struct attempt **a)
{
    if (*a)
        attempt_end(*a, false);
    *a = NULL;
}

/* The same end for every recipient that has no better one. */
void attempt_finish_with(struct attempt *a, enum ipc_outcome outcome, struct status status, const char *step,
                         const char *text)
{
    struct job_outcome o = { .outcome = outcome, .status = status, .step = step, .text = SV(text) };

    for (size_t i = 0; i < a->job->rcpt_n; i++)
        if (!a->job->rcpts[i].step)
            job_note(a->job, i, &o);
    finish(a, false);
}

static void finish_with_failures(struct attempt *a)
{
    struct job_outcome o = {
        .outcome = OUTCOME_DEFERRED,
        .status = a->failure.status,
        .step = a->failure.step,
        .text = buf_view(&a->failure.text),
        .relay = SV(a->failure.relay),
        .remote = a->failure.remote,
    };

    if (!o.step) {
        attempt_finish_with(a, OUTCOME_DEFERRED, STATUS(4, 4, 0), "connect", "no host could be tried");
        return;
    }
    for (size_t i = 0; i < a->job->rcpt_n; i++)
        if (!a->job->rcpts[i].step)
            job_note(a->job, i, &o);
    finish(a, false);
}

/* ---- hosts ---- */

/* A server's words say more than our own troubles with others; ours are listed one behind the other. */
static void failure_add(struct attempt *a, const char *relay, const struct client_result *r)
{
    char status[STATUS_TEXT];

    status_text(r->status, status);
    metric_add_word(METRIC_OUT_FAILED, SV(r->step), 1);
    LOG(INFO, "relay.host.failed", KS("id", a->job->id_text), KV("dest", a->job->dest), KS("relay", relay),
        KS("step", r->step), KS("dsn", status), KV("error", r->text));
    job_trace(a->job, JOB_TRACE_OURS, r->text);
    if (a->failure.remote && !r->remote)
        return;
    if (r->remote)
        buf_reset(&a->failure.text);
    else if (a->failure.text.len)
        buf_adds(&a->failure.text, "; ");
    buf_addv(&a->failure.text, r->text);
    a->failure.remote = r->remote;
    a->failure.status = r->status;
    a->failure.step = r->step;
    snprintf(a->failure.relay, sizeof a->failure.relay, "%s", relay);
}

static bool time_is_left(const struct attempt *a)
{
    return loop_now(a->d->loop) - a->began < ATTEMPT_MS && a->transactions < TRANSACTIONS_MAX;
}

static void next_host(struct attempt *a)
{
    if (time_is_left(a))
        dial_next(&a->dial);
    else
        finish_with_failures(a);
}

static const struct connection_ops connection_ops;

static void on_dial_up(void *arg, struct connection *c)
{
    struct attempt *a = arg;

    a->c = c;
    a->reused = false;
    connection_use(c, &connection_ops, a);
    watch(a, "connected to");
}

static void on_dial_failed(void *arg, const char *relay, const struct client_result *failure)
{
    struct attempt *a = arg;

    failure_add(a, relay, failure);
    if (!time_is_left(a))
        finish_with_failures(a);
}

static void on_dial_exhausted(void *arg)
{
    finish_with_failures(arg);
}

static const struct dial_ops dial_ops = {
    .up = on_dial_up,
    .failed = on_dial_failed,
    .exhausted = on_dial_exhausted,
};

static bool is_bad(void *arg, const struct netaddr *addr)
{
    struct attempt *a = arg;

    return trouble_has_address(a->d->trouble, addr, conf_route_source(a->route.conf, addr->family),
                               loop_now(a->d->loop));
}

void attempt_dial(struct attempt *a)
{
    a->resolved = true;
    for (size_t i = 0; a->avoid.family != AF_UNSPEC && i < a->targets.n; i++)
        if (netaddr_eq_ip(&a->targets.v[i].addr, &a->avoid))
            a->targets.v[i].state = TARGET_TRIED;
    targets_sort(&a->targets, is_bad, a,
                 trouble_has_v6(a->d->trouble, conf_route_source(a->route.conf, AF_INET6),
                                loop_now(a->d->loop)));
    dial_init(&a->dial, a->d, a->route.conf, &a->targets, &dial_ops, a);
    dial_next(&a->dial);
}

/* ---- transactions ---- */

static size_t count_todo(const struct attempt *a, enum todo what)
{
    size_t n = 0;

    for (size_t i = 0; i < a->job->rcpt_n; i++)
        n += a->todo[i] == what;
    return n;
}

static void retodo(struct attempt *a, enum todo from, enum todo to)
{
    for (size_t i = 0; i < a->job->rcpt_n; i++)
        if (a->todo[i] == from)
            a->todo[i] = (uint8_t)to;
}

static void transaction(struct attempt *a)
{
    struct job *j = a->job;
    size_t n = 0;

    for (size_t i = 0; i < j->rcpt_n; i++)
        if (a->todo[i] == TODO_NOW) {
            if (a->dsn)
                a->dsn[n] = j->rcpts[i].wants;
            a->map[n] = i;
            a->addresses[n++] = j->rcpts[i].rcpt;
        }
    if (!j->connected)
        j->connected = loop_now(a->d->loop);
    a->transactions++;
    a->stale = false;
    a->body_at = 0;
    a->m = (struct client_message){
        .sender = j->sender,
        .rcpts = a->addresses,
        .rcpt_n = n,
        .size = j->body.size,
        .eight_bit = j->eight_bit,
        .dsn = a->dsn,
        .envid = ipc_get(&j->in, TAG_ENVID),
        .ret = ipc_get_u64(&j->in, TAG_RET),
        .priority = ipc_get_u64(&j->in, TAG_PRIORITY),
    };
    connection_begin(a->c, &a->m);
}

static void on_result(void *arg, size_t rcpt, const struct client_result *r)
{
    struct attempt *a = arg;
    size_t i = a->map[rcpt];
    struct job_outcome o = {
        .outcome = r->outcome,
        .status = r->status,
        .text = r->text,
        .relay = SV(a->c->relay),
        .step = r->step,
        .remote = r->remote,
        .maybe = r->maybe,
        .dsn = r->dsn,
    };

    /* A pooled connection that the server had given up before it saw our MAIL (perhaps with a 421): as if it
       had not been there. */
    if (a->reused && a->c->client.replies <= 1 && r->retry == CLIENT_OTHER_HOST) {
        a->stale = true;
        return;
    }
    job_note(a->job, i, &o);
    switch (r->retry) {
    case CLIENT_FINAL:
        job_commit(a->job, i);
        a->todo[i] = TODO_NOTHING;
        return;
    case CLIENT_OTHER_HOST: a->todo[i] = TODO_OTHER_HOST; return;
    case CLIENT_SAME_HOST: return;
    }
}

static enum client_body on_body(void *arg, size_t max, struct strv *piece)
{
    struct attempt *a = arg;

    return body_read(&a->job->body, &a->body_at, max, piece);
}

/* What this connection could not do is tried elsewhere. A stale one says nothing about its host. */
static void go_elsewhere(struct attempt *a, bool alive)
{
    struct connection *c = a->c;

    a->c = NULL;
    if (!a->stale)
        a->avoid = c->addr;
    if (alive)
        connection_close(&c, "trouble");
    retodo(a, TODO_OTHER_HOST, TODO_NOW);
    if (a->resolved || !time_is_left(a))
        next_host(a);
    else
        attempt_resolve(a);
}

/* This connection had all the messages that one may have; the host may have the next one too. */
static void begin_again(struct attempt *a)
{
    connection_close(&a->c, "done");
    dial_clear(&a->dial);
    targets_clear(&a->targets);
    a->resolved = false;
    attempt_resolve(a);
}

static void on_finished(void *arg, struct connection *c, bool alive)
{
    struct attempt *a = arg;

    (void)c;
    if (!a->stale && alive && count_todo(a, TODO_NOW) && time_is_left(a)) {
        /* Too many recipients for one: the rest. */
        if (connection_is_fresh(c))
            transaction(a);
        else
            begin_again(a);
        return;
    }
    if (count_todo(a, TODO_NOW) || count_todo(a, TODO_OTHER_HOST)) {
        go_elsewhere(a, alive);
        return;
    }
    if (!alive)
        a->c = NULL;
    finish(a, alive);
}

static void on_ready(void *arg, struct connection *c)
{
    (void)c;
    transaction(arg);
}

/* RFC 7435: where TLS is only welcome, its failure must not be worse than its absence. The same address is
   next, in the clear. */
static bool try_plain(struct attempt *a, const struct connection *c, const struct client_result *failure)
{
    if (!failure->tls || a->route.conf->tls != CONF_TLS_OFFER)
        return false;
    for (size_t i = 0; i < a->targets.n; i++) {
        struct target *t = &a->targets.v[i];

        if (!netaddr_eq_ip(&t->addr, &c->addr) || t->plain)
            continue;
        t->plain = true;
        t->state = TARGET_UNTRIED;
        LOG(WARN, "relay.tls.plain", KS("id", a->job->id_text), KV("dest", a->job->dest),
            KS("relay", c->relay), KV("error", failure->text));
        return true;
    }
    return false;
}

static void on_down(void *arg, struct connection *c, const struct client_result *failure)
{
    struct attempt *a = arg;

    a->c = NULL;
    if (!try_plain(a, c, failure))
        failure_add(a, c->relay, failure);
    next_host(a);
}

static const struct connection_ops connection_ops = {
    .ready = on_ready,
    .down = on_down,
    .result = on_result,
    .body = on_body,
    .finished = on_finished,
};

/* ---- begin ---- */

void attempt_use_pooled(struct attempt *a, struct connection *c)
{
    a->c = c;
    a->reused = true;
    connection_use(c, &connection_ops, a);
    watch(a, "using the open connection to");
    transaction(a);
}

static void on_again(void *arg)
{
    attempt_ask(arg);
}

static struct attempt *attempt_new(struct job *j)
{
    struct attempt *a = mem_new(sizeof *a);

    a->job = j;
    a->d = j->d;
    a->began = loop_now(a->d->loop);
    a->todo = mem_new(j->rcpt_n);
    a->map = mem_array(j->rcpt_n, sizeof *a->map);
    a->addresses = mem_array(j->rcpt_n, sizeof *a->addresses);
    if (j->has_dsn)
        a->dsn = mem_array(j->rcpt_n, sizeof *a->dsn);
    loop_timer_init(&a->again, a->d->loop, on_again, a);
    buf_init(&a->failure.text, 4000);
    j->attempt = a;
    return a;
}

void attempt_start(struct job *j)
{
    struct attempt *a = attempt_new(j);
    struct err err = { 0 };

    if (!route_find(j->d->conf, j->dest, &a->route, &err)) {
        bool permanent = err.cls == ERR_PERM;

        attempt_finish_with(a, permanent ? OUTCOME_FAILED : OUTCOME_DEFERRED,
                            STATUS(permanent ? 5 : 4, permanent ? 1 : 4, permanent ? 2 : 4), "route",
                            err.text);
        return;
    }
    if (attempt_is_loop(a))
        return;
    j->asks = j->asks && a->route.kind == ROUTE_MX;
    if (j->asks)
        attempt_resolve(a);
    else
        attempt_take_slot(a);
}
