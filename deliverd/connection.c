/* connection.c - driver between the client engine and a stream */
#include "deliverd/connection.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/metric.h"
#include "common/net/stream.h"
#include "conf/route.h"
#include "deliverd/connection_secure.h"
#include "deliverd/deliverd.h"
#include "deliverd/source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define CLOSE_MS 5000 /* for QUIT to leave and the peer to close */

/* ---- the end ---- */

static void log_end(struct connection *c, const char *how, const char *step)
{
    struct strv tls = SV(c->tls), version;
    char from[NETADDR_TEXT] = "";

    if (c->phase == CONNECTION_CONNECTING)
        return;
    metric_add(METRIC_OUT_SESSIONS, 0, 1);
    if (strv_word(&tls, &version))
        metric_add_word(METRIC_OUT_TLS, version, 1);
    if (c->from)
        netaddr_ip_text(c->from, from, sizeof from);
    LOG(INFO, "relay.session.ended", KS("relay", c->relay), KS("source", from[0] ? from : NULL),
        KS("how", how), KS("step", step), KI("messages", c->client.messages),
        KI("in", stream_bytes_in(c->stream)),
        KI("out", stream_bytes_out(c->stream)), KS("tls", c->tls[0] ? c->tls : NULL),
        KS("verified", c->verified), KMS("lasted", loop_now(c->d->loop) - c->started));
}

static void connection_free(void *obj)
{
    struct connection *c = obj;

    client_clear(&c->client);
    free(c);
}

/* Everything but the memory, which waits for the callbacks that we may stand in. */
static void shut(struct connection *c)
{
    if (c->phase == CONNECTION_CLOSED)
        return;
    c->phase = CONNECTION_CLOSED;
    stream_free(&c->stream);
    loop_later_cancel(c->d->loop, &c->task);
    loop_timer_stop(&c->idle);
    loop_reap(c->d->loop, connection_free, c);
}

void connection_close(struct connection **cp, const char *why)
{
    struct connection *c = *cp;

    *cp = NULL;
    if (!c || c->phase == CONNECTION_CLOSED)
        return;
    log_end(c, why, client_step_name(client_step(&c->client)));
    if (c->phase == CONNECTION_READY && client_step(&c->client) == CLIENT_READY) {
        client_quit(&c->client);
        stream_flush(c->stream);
        stream_close_after_output(&c->stream, CLOSE_MS);
    }
    shut(c);
}

/* ---- deadlines ---- */

static int64_t step_ms(const struct connection *c, enum client_step step)
{
    int64_t ms = client_timeout_ms(step), limit = c->route->timeout * 1000;

    /* The reply to the end of the message gets twice the time: giving up there makes duplicates. */
    if (step == CLIENT_END)
        return limit * 2;
    return ms < limit ? ms : limit;
}

static void deadline(struct connection *c, bool progress)
{
    enum client_step step = client_step(&c->client);

    if (step == CLIENT_READY || step == CLIENT_OVER) {
        if (c->deadline_set)
            stream_deadline(c->stream, 0);
        c->deadline_set = false;
    } else if (!c->deadline_set || step != c->deadline_step || progress) {
        stream_deadline(c->stream, step_ms(c, step));
        c->deadline_set = true;
        c->deadline_step = step;
    }
}

/* ---- what the engine came to ---- */

static void tell_down(struct connection *c, const struct client_result *failure)
{
    connection_login(c);
    c->ops->down(c->arg, c, failure);
    shut(c);
}

static void tell_dead(struct connection *c)
{
    switch (c->phase) {
    case CONNECTION_OPENING: tell_down(c, &c->client.failure); return;
    case CONNECTION_MESSAGE:
        c->ops->finished(c->arg, c, false);
        shut(c);
        return;
    case CONNECTION_READY:
        c->ops->gone(c->arg, c);
        shut(c);
        return;
    case CONNECTION_CONNECTING:
    case CONNECTION_CLOSED: return;
    }
}

/* After anything happened: sends what the engine wrote, watches the time, tells the user. progress: the
   server did something that counts; bytes of a reply that does not end are none, or a drip could hold us for
   days. */
static void settle(struct connection *c, bool progress)
{
    enum client_step step = client_step(&c->client);

    if (step == CLIENT_TLS && !c->shaking) {
        c->shaking = true;
        connection_shake(c);
        step = client_step(&c->client);
    }
    if (step == CLIENT_OVER) {
        if (c->phase != CONNECTION_CLOSED)
            log_end(c, c->timed_out ? "timed out" : c->client.died_how, c->client.died_at);
        tell_dead(c);
        return;
    }
    if (stream_unsent(c->stream))
        stream_flush(c->stream);
    deadline(c, progress || c->client.replies != c->replies_seen);
    c->replies_seen = c->client.replies;
    if (step != CLIENT_READY)
        return;
    if (c->phase == CONNECTION_OPENING) {
        connection_login(c);
        c->phase = CONNECTION_READY;
        c->ops->ready(c->arg, c);
    } else if (c->phase == CONNECTION_MESSAGE) {
        c->phase = CONNECTION_READY;
        c->ops->finished(c->arg, c, true);
    }
}

static void on_task(void *arg)
{
    settle(arg, true);
}

/* ---- the engine's questions ---- */

static void on_result(void *arg, size_t rcpt, const struct client_result *r)
{
    struct connection *c = arg;

    c->ops->result(c->arg, rcpt, r);
}

static enum client_body on_body(void *arg, size_t max, struct strv *piece)
{
    struct connection *c = arg;

    return c->ops->body(c->arg, max, piece);
}

static const struct client_ops client_ops = { .result = on_result, .body = on_body };

/* ---- the stream ---- */

static void begin_session(struct connection *c, struct stream *s)
{
    c->phase = CONNECTION_OPENING;
    c->started = loop_now(c->d->loop);
    client_init(&c->client, &client_ops, c, stream_out(s), SV(c->route->helo), c->lmtp);
    connection_terms(c);
    if (!c->reset)
        deadline(c, true);
}

static void on_connected(void *arg, struct stream *s)
{
    struct connection *c = arg;

    begin_session(c, s);
    c->ops->up(c->arg, c);
    if (client_step(&c->client) == CLIENT_TLS && !c->reset)
        settle(c, true);
}

static void on_secured(void *arg, struct stream *s)
{
    struct connection *c = arg;

    (void)s;
    connection_secured(c);
    settle(c, true);
}

static void on_input(void *arg, struct stream *s)
{
    struct connection *c = arg;

    stream_consume(s, client_input(&c->client, stream_input(s)));
    settle(c, false);
}

static void on_drained(void *arg, struct stream *s)
{
    struct connection *c = arg;

    (void)s;
    if (client_step(&c->client) != CLIENT_BODY)
        return;
    client_more_body(&c->client);
    settle(c, true);
}

static void connect_failed(struct connection *c, enum stream_end how, int sys)
{
    char text[480], from[NETADDR_TEXT] = "";
    struct client_result r = {
        .outcome = OUTCOME_DEFERRED,
        .retry = CLIENT_OTHER_HOST,
        .status = STATUS(4, 4, 1),
        .step = "connect",
    };

    if (c->from)
        netaddr_ip_text(c->from, from, sizeof from);
    if (source_is_missing(c->d->sources, c->route, c->from, how == STREAM_TIMEOUT ? 0 : sys)) {
        r.status = (struct status)STATUS(4, 3, 5);
        r.step = STEP_SOURCE;
    }
    snprintf(text, sizeof text, "connect to %s%s%s: %s", c->relay, from[0] ? " from " : "", from,
             strcmp(r.step, STEP_SOURCE) == 0 ? "this host does not have that address"
             : how == STREAM_TIMEOUT          ? "timed out"
                                              : strerror(sys ? sys : ECONNREFUSED));
    r.text = SV(text);
    tell_down(c, &r);
}

static void on_ended(void *arg, struct stream *s, enum stream_end how, int sys)
{
    struct connection *c = arg;
    const char *why;
    char text[300];

    /* What does not come about is refused; a connection that is reset was there, and gone before we looked.
     */
    c->reset = c->phase == CONNECTION_CONNECTING && (sys == ECONNRESET || sys == EPIPE);
    if (c->reset) {
        on_connected(c, s);
    } else if (c->phase == CONNECTION_CONNECTING) {
        connect_failed(c, how, sys);
        return;
    }
    c->timed_out = how == STREAM_TIMEOUT;
    if (client_step(&c->client) == CLIENT_TLS && !c->reset) {
        connection_shake_failed(c, how, sys);
        settle(c, true);
        return;
    }
    switch (how) {
    case STREAM_TIMEOUT: client_lost(&c->client, "timed out"); break;
    case STREAM_EOF: client_lost(&c->client, "connection lost"); break;
    case STREAM_ERROR:
    case STREAM_OVERFLOW:
        why = stream_tls_why(s);
        snprintf(text, sizeof text, "connection lost (%s)", why[0] ? why : strerror(sys ? sys : EPIPE));
        client_lost(&c->client, text);
        break;
    }
    settle(c, true);
}

static const struct stream_ops stream_ops = {
    .input = on_input,
    .drained = on_drained,
    .connected = on_connected,
    .secured = on_secured,
    .ended = on_ended,
};

/* ---- for users ---- */

static void on_idle(void *arg)
{
    struct connection *c = arg;

    c->ops->gone(c->arg, c);
}

static struct connection *connection_make(struct deliverd *d, const struct conf_route *route,
                                          const struct connection_ops *ops, void *arg)
{
    struct connection *c = mem_new(sizeof *c);

    c->d = d;
    c->route = route;
    c->ops = ops;
    c->arg = arg;
    c->started = loop_now(d->loop);
    c->task = (struct loop_task){ .fn = on_task, .arg = c };
    loop_timer_init(&c->idle, d->loop, on_idle, c);
    return c;
}

struct connection *connection_new(struct deliverd *d, const struct conf_route *route, const struct target *t,
                                  const struct connection_ops *ops, void *arg, int *sys)
{
    struct connection *c = connection_make(d, route, ops, arg);
    struct buf text;

    buf_init(&text, sizeof c->relay - 1);
    target_text(t, &text);
    snprintf(c->relay, sizeof c->relay, "%s", buf_cstr(&text));
    buf_clear(&text);
    c->addr = t->addr;
    c->plain = t->plain;
    connection_set_name(c, t);
    c->from = conf_route_source(route, t->addr.family);
    c->stream = stream_connect(d->loop, &t->addr, c->from, route->connect_timeout * 1000, &stream_ops, c);
    if (!c->stream) {
        *sys = errno;
        connection_free(c);
        return NULL;
    }
    return c;
}

struct connection *connection_adopt(struct deliverd *d, const struct conf_route *route, int fd,
                                    struct strv relay, const struct connection_ops *ops, void *arg)
{
    struct connection *c = connection_make(d, route, ops, arg);

    strv_cstr(strv_sub(relay, 0, sizeof c->relay - 1), c->relay, sizeof c->relay);
    c->lmtp = true;
    c->stream = stream_new(d->loop, fd, &stream_ops, c);
    begin_session(c, c->stream);
    return c;
}

void connection_use(struct connection *c, const struct connection_ops *ops, void *arg)
{
    c->ops = ops;
    c->arg = arg;
    loop_timer_stop(&c->idle);
}

void connection_begin(struct connection *c, const struct client_message *m)
{
    c->phase = CONNECTION_MESSAGE;
    client_begin(&c->client, m);
    loop_later(c->d->loop, &c->task);
}

bool connection_is_fresh(const struct connection *c)
{
    return c->phase == CONNECTION_READY && (int64_t)c->client.messages < c->route->max_messages &&
           loop_now(c->d->loop) - c->started < CONNECTION_AGE_MS;
}

void connection_idle(struct connection *c, int64_t ms)
{
    loop_timer_set(&c->idle, ms);
}
