/* session.c - drives the engine: input and answers in, replies out, deadlines */
#include "smtpd/session.h"

#include "common/base/mem.h"
#include "common/base/metric.h"
#include "common/net/stream.h"
#include "common/net/tls.h"
#include "conf/auth.h"
#include "maps/keys.h"
#include "smtpd/deadline.h"
#include "smtpd/follow.h"
#include "smtpd/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

/* How long a new cleanup may take to start before a client whose message is in doubt is let go without an
 * answer. */
#define DOUBT_WAIT_MS (60 * 1000)
#define NAME_ASK_MS   (10 * 1000)
/* Last words: how long a client may take to read them. It holds one of its connections until then. */
#define GOODBYE_MS (2 * 1000)
/* Replies that may wait for a verdict. */
#define REPLIES_HELD 2048u

static void pump(struct session *s);

static void session_free(void *p)
{
    struct session *s = p;

    engine_clear(&s->engine);
    free(s);
}

/* goodbye_ms: for last words; 0: none. */
static void session_over(struct session *s, enum engine_end how, int64_t goodbye_ms)
{
    struct stream *stream = s->stream;
    if (!stream)
        return;
    session_follow(s);
    engine_finish(&s->engine, how, stream_bytes_in(stream), stream_bytes_out(stream) + stream_unsent(stream),
                  loop_now(s->host->loop) - s->began);
    dns_ask_cancel(&s->ask);
    maps_auth_cancel(s->host->maps, s->auth_ask);
    maps_cancel(s->host->maps, s->sender_ask);
    loop_later_cancel(s->host->loop, &s->again);
    if (goodbye_ms > 0)
        stream_close_after_output(&s->stream, goodbye_ms);
    else
        stream_free(&s->stream);
    s->host->ended(s->host->arg, s);
    loop_timer_stop(&s->timer); /* now: the place that became free may have ended a crowd (deadline_again) */
    loop_reap(s->host->loop, session_free, s);
}

/* Last use of s in a callback: it is reaped at the end of the iteration. */
static void session_end(struct session *s, enum engine_end how)
{
    session_over(s, how, GOODBYE_MS);
}

/* --- deadlines --- */

/* The client was too late: it hears why. */
static void client_late(struct session *s)
{
    struct engine *e = &s->engine;
    int64_t now = loop_now(s->host->loop);

    if (s->shaking)
        report_tls_failed(e, "the handshake took too long");
    e->out = stream_out(s->stream);
    if (now >= s->session_due)
        engine_expire(e, RE_SESSION_TIME, END_SESSION_TIME);
    else if (e->phase == PH_BODY && now >= rate_deadline(&s->rate))
        engine_expire(e, RE_TOO_SLOW, END_TOO_SLOW);
    else
        engine_expire(e, RE_TIMEOUT, END_TIMEOUT);
    if (s->hurried)
        metric_add(METRIC_HURRIED, 0, 1);
    session_end(s, END_TIMEOUT);
}

static void on_timer(void *arg)
{
    struct session *s = arg;
    struct engine *e = &s->engine;

    e->out = stream_out(s->stream);
    switch (s->step) {
    case STEP_WAIT:
        if (e->wait == AWAIT_NAME) {
            dns_ask_cancel(&s->ask);
            engine_name(e, strv_make("", 0));
            pump(s);
            return;
        }
        if (e->wait == AWAIT_CLEANUP) {
            engine_cleanup(e, tx_link_ready(s->host->link));
            pump(s);
            return;
        }
        if (e->wait == AWAIT_AUTH || e->wait == AWAIT_SENDER) {
            session_over(s, END_TIMEOUT, 0); /* the question has a deadline of its own before this one */
            return;
        }
        if (e->wait == AWAIT_DONE) {
            engine_unsettled(e);
            session_end(s, END_UNSETTLED);
            return;
        }
        __attribute__((fallthrough));
    case STEP_STALL:
        /* Cleanup thinks for too long: the client gets a 451, cleanup an abort. */
        tx_abort(&s->tx);
        engine_tx_lost(e);
        pump(s);
        return;
    case STEP_NEXT:
    case STEP_READ:
    case STEP_TLS:
    case STEP_FLUSH:
    case STEP_CLOSE: client_late(s); return;
    }
}

/* --- input and answers --- */

/* While a verdict is awaited, the replies before it wait, too, and leave together with it: one write for a
   pipelined group (RFC 2920 3.2), which saves the client as much as us. The input used so far stays where it
   is until then, because giving it back would make the stream send. */
static bool replies_wait(const struct session *s)
{
    return s->step == STEP_WAIT && s->engine.wait != AWAIT_DONE && stream_unsent(s->stream) < REPLIES_HELD;
}

/* Time and bytes of data, for the floor. */
static void count_data(struct session *s, enum engine_phase before, enum engine_step was, size_t used)
{
    struct engine *e = &s->engine;
    int64_t now = loop_now(s->host->loop);

    if (e->phase != PH_BODY)
        return;
    if (before != PH_BODY)
        rate_begin(&s->rate, e->service->listen->min_rate, now);
    else if (was != STEP_READ)
        rate_resume(&s->rate, now);
    rate_bytes(&s->rate, used, now);
}

/* False: the session is over. What came behind STARTTLS in one piece was refused by the engine already; what
   came since was sent by somebody who had not seen our answer (INCIDENTS 6). */
static bool tls_begin(struct session *s)
{
    s->step = STEP_READ;
    s->shaking = true;
    if (stream_start_tls(s->stream, s->engine.service->context, NULL))
        return true;
    report_tls_failed(&s->engine, "input before the handshake");
    session_over(s, END_PROTOCOL, 0);
    return false;
}

static void pump(struct session *s)
{
    struct engine *e = &s->engine;
    enum engine_phase before = e->phase;
    enum engine_step was = s->step;
    size_t used;

    e->out = stream_out(s->stream);
    session_follow(s); /* what was answered since */
    s->step = engine_input(e, strv_from(stream_input(s->stream), s->taken), &used);
    s->taken += used;
    count_data(s, before, was, used);
    if (!replies_wait(s)) {
        stream_consume(s->stream, s->taken);
        s->taken = 0;
        stream_flush(s->stream);
    }
    if (s->step == STEP_CLOSE) {
        session_end(s, END_CLIENT_CLOSED);
        return;
    }
    if (s->step == STEP_TLS && !tls_begin(s))
        return;
    deadline_arm(s);
    /* Not reading also hides the client's half close: what it pipelined before is carried out, a message
       whose end came is committed. */
    if (s->step != STEP_READ)
        stream_pause(s->stream);
    else
        stream_resume(s->stream);
}

static void on_again(void *arg)
{
    pump(arg);
}

static void on_input(void *arg, struct stream *st)
{
    struct session *s = arg;

    (void)st;
    if (s->step == STEP_READ)
        pump(s);
}

static void on_drained(void *arg, struct stream *st)
{
    struct session *s = arg;

    (void)st;
    if (s->step == STEP_FLUSH)
        pump(s);
}

static void on_secured(void *arg, struct stream *st)
{
    struct session *s = arg;
    struct tls_info info;
    char cipher[128];

    stream_tls_info(st, &info);
    snprintf(cipher, sizeof cipher, "%s %s", info.protocol, info.cipher);
    s->shaking = false;
    s->command_began = 0; /* the next command has its own time */
    s->engine.out = stream_out(st);
    s->step = engine_secured(&s->engine, SV(cipher));
    stream_flush(st);
    if (s->step == STEP_CLOSE)
        session_end(s, END_PROTOCOL);
    else
        deadline_arm(s);
}

static void on_ended(void *arg, struct stream *st, enum stream_end how, int sys)
{
    struct session *s = arg;

    (void)sys;
    if (s->shaking)
        report_tls_failed(&s->engine, *stream_tls_why(st) ? stream_tls_why(st) : "connection closed");
    session_end(s, how == STREAM_EOF ? END_CLIENT_CLOSED : END_CLIENT_RESET);
}

static const struct stream_ops stream_ops = {
    .input = on_input, .drained = on_drained, .secured = on_secured, .ended = on_ended
};

static void on_name(void *arg, enum ipc_dns answer, struct strv name)
{
    struct session *s = arg;
    bool awaited = s->engine.wait == AWAIT_NAME;

    s->engine.out = stream_out(s->stream);
    engine_name(&s->engine, answer == DNS_OK ? name : strv_make("", 0));
    if (awaited)
        pump(s);
}

static void on_tx_rcpt(void *arg, const struct tx_answer *a)
{
    struct session *s = arg;

    s->engine.out = stream_out(s->stream);
    engine_rcpt_answer(&s->engine, a);
    pump(s);
}

static void on_tx_done(void *arg, const struct tx_answer *a)
{
    struct session *s = arg;

    metric_observe(METRIC_COMMIT_TIME, (uint64_t)(loop_now(s->host->loop) - s->ended));
    s->engine.out = stream_out(s->stream);
    engine_done(&s->engine, a);
    pump(s);
}

static void on_tx_room(void *arg)
{
    struct session *s = arg;

    if (s->step == STEP_STALL)
        pump(s);
}

/* All transactions go at once, so nobody may begin a new one before all were told. */
static void on_tx_lost(void *arg)
{
    struct session *s = arg;

    s->engine.out = stream_out(s->stream);
    engine_tx_lost(&s->engine);
    if (s->step == STEP_WAIT || s->step == STEP_STALL)
        loop_later(s->host->loop, &s->again);
}

/* The commit is in doubt: first a new cleanup must come, then its answer. */
static void on_tx_doubt(void *arg, bool asked)
{
    struct session *s = arg;

    loop_timer_set(&s->timer, asked ? DONE_WAIT_MS : DOUBT_WAIT_MS);
}

const struct tx_events session_tx_events = {
    .rcpt = on_tx_rcpt,
    .done = on_tx_done,
    .room = on_tx_room,
    .lost = on_tx_lost,
    .doubt = on_tx_doubt,
};

/* --- the engine's requests --- */

static bool op_tx_ready(void *arg)
{
    struct session *s = arg;

    return tx_link_ready(s->host->link);
}

static void op_tx_open(void *arg)
{
    struct session *s = arg;

    tx_open(&s->tx, &s->engine);
}

static void op_tx_rcpt(void *arg, unsigned index, struct strv rcpt, bool local)
{
    struct session *s = arg;

    tx_rcpt(&s->tx, &s->engine, index, rcpt, local);
}

static size_t op_tx_room(void *arg)
{
    struct session *s = arg;

    return tx_room(&s->tx);
}

static void op_tx_body(void *arg, struct strv data)
{
    struct session *s = arg;

    tx_body(&s->tx, data);
}

static void op_tx_end(void *arg, struct strv rest, uint64_t size, unsigned rcpts)
{
    struct session *s = arg;

    s->ended = loop_now(s->host->loop);
    tx_end(&s->tx, rest, size, rcpts);
}

static void op_tx_abort(void *arg)
{
    struct session *s = arg;

    tx_abort(&s->tx);
}

static void on_auth(void *arg, const struct maps_auth_answer *m)
{
    static const enum auth_verdict verdicts[] = {
        [ANSWER_FOUND] = AUTH_YES, [ANSWER_ABSENT] = AUTH_NO, [ANSWER_FAILED] = AUTH_UNKNOWN
    };
    struct session *s = arg;
    struct auth_answer a = { verdicts[m->answer], m->data, m->iterations, m->why };

    s->auth_ask = 0;
    s->engine.out = stream_out(s->stream);
    engine_auth_answer(&s->engine, &a);
    pump(s);
}

static void op_auth(void *arg, enum sasl_step what)
{
    struct session *s = arg;
    const struct sasl *x = s->engine.sasl;
    struct maps_auth q = { .client = SV(s->engine.client_text), .login = SV(s->engine.account) };

    q.kind = what == SASL_PASSWORD ? AUTH_PASSWORD : what == SASL_SALT ? AUTH_SALT : AUTH_PROOF;
    if (what == SASL_PASSWORD)
        q.data = buf_view(&x->secret);
    if (what == SASL_PROOF) {
        q.data = buf_view(&x->text);
        q.proof = strv_make((const char *)x->proof, sizeof x->proof);
    }
    s->auth_ask = maps_auth(s->host->maps, &q, AUTH_WAIT_MS, on_auth, s);
}

static void on_sender(void *arg, const struct maps_answer *a)
{
    struct session *s = arg;

    s->sender_ask = 0;
    s->engine.out = stream_out(s->stream);
    if (a->answer == ANSWER_FAILED)
        engine_sender_answer(&s->engine, strv_make(NULL, 0));
    else
        engine_sender_answer(&s->engine, a->answer == ANSWER_FOUND ? a->value : strv_make("", 0));
    pump(s);
}

static void op_sender(void *arg, struct strv login)
{
    struct session *s = arg;
    struct key_chain chain;

    key_chain_init(&chain);
    key_chain_add(&chain, s->engine.service->conf->auth->senders, login);
    s->sender_ask = maps_ask(s->host->maps, &chain, MAPS_DEADLINE_MS, on_sender, s);
    key_chain_clear(&chain);
}

static const struct engine_ops engine_ops = {
    .auth = op_auth,
    .followed = session_follow_step,
    .sender = op_sender,
    .tx_ready = op_tx_ready,
    .tx_open = op_tx_open,
    .tx_rcpt = op_tx_rcpt,
    .tx_room = op_tx_room,
    .tx_body = op_tx_body,
    .tx_end = op_tx_end,
    .tx_abort = op_tx_abort,
};

/* --- life --- */

/* Bytes that were there before the greeting left (INCIDENTS: commands before the reply). */
static bool spoke_early(int fd)
{
    char c;

    return recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

struct session *session_new(struct session_host *host, struct service *sv, int fd,
                            const struct netaddr *client)
{
    struct session *s = mem_new(sizeof *s);
    int64_t now = loop_now(host->loop);

    s->host = host;
    s->began = now;
    s->session_due = now + sv->listen->session_timeout * 1000;
    s->again = (struct loop_task){ .fn = on_again, .arg = s };
    s->early = spoke_early(fd);
    tx_init(&s->tx, host->link, s);
    loop_timer_init(&s->timer, host->loop, on_timer, s);
    s->stream = stream_new(host->loop, fd, &stream_ops, s);
    engine_init(&s->engine, sv, client, &engine_ops, s);
    return s;
}

static bool tls_comes_first(const struct session *s)
{
    const struct service *sv = s->engine.service;

    return sv->tls && sv->listen->tls == CONF_TLS_IMPLICIT;
}

/* Before EHLO comes the answer is there as a rule. */
static void name_ask(struct session *s)
{
    enum ipc_dns answer;
    struct strv name;

    s->engine.name_pending = true;
    if (dns_client_known(s->host->dns, &s->engine.client, &answer, &name))
        engine_name(&s->engine, answer == DNS_OK ? name : strv_make("", 0));
    else
        dns_client_name(&s->ask, s->host->dns, &s->engine.client, NAME_ASK_MS, on_name, s);
}

void session_begin(struct session *s)
{
    s->engine.out = stream_out(s->stream);
    if (!tls_comes_first(s))
        s->step = engine_start(&s->engine, s->early);
    else if (!tls_begin(s))
        return;
    stream_flush(s->stream);
    if (s->step == STEP_CLOSE) {
        session_end(s, END_PROTOCOL);
        return;
    }
    if (dns_client_is_up(s->host->dns))
        name_ask(s);
    deadline_arm(s);
}

void session_cleanup(struct session *s)
{
    if (s->engine.wait != AWAIT_CLEANUP)
        return;
    s->engine.out = stream_out(s->stream);
    engine_cleanup(&s->engine, true);
    pump(s);
}

void session_drain(struct session *s)
{
    engine_drain(&s->engine);
}

void session_shut(struct session *s)
{
    struct engine *e = &s->engine;

    if (!s->stream || !engine_is_idle(e))
        return;
    e->out = stream_out(s->stream);
    engine_expire(e, RE_SHUTDOWN, END_SHUTDOWN);
    session_end(s, END_SHUTDOWN);
}

void session_kill(struct session *s)
{
    session_over(s, END_SHUTDOWN, 0);
}
