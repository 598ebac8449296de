/* client_reply.c - replies and accidents become results, one per recipient */
#include "deliverd/client_reply.h"

enum rcpt_state {
    RCPT_OPEN, /* not sent, or no reply yet */
    RCPT_ACCEPTED,
    RCPT_DONE, /* its result was given */
};

/* ---- results ---- */

static void give(struct client *c, size_t i, const struct client_result *r)
{
    if (c->rcpt_state[i] == RCPT_DONE)
        return;
    if (c->rcpt_state[i] == RCPT_ACCEPTED)
        c->accepted--;
    c->rcpt_state[i] = RCPT_DONE;
    c->rcpt_open--;
    c->ops->result(c->arg, i, r);
}

static void give_all(struct client *c, const struct client_result *r)
{
    for (size_t i = 0; c->message && i < c->message->rcpt_n && c->rcpt_open; i++)
        give(c, i, r);
}

static unsigned outcome_class(enum ipc_outcome outcome)
{
    return outcome == OUTCOME_DELIVERED ? 2 : outcome == OUTCOME_FAILED ? 5 : 4;
}

/* The server's words. Its status keeps subject and detail, the class is the outcome's: a 554 greeting defers.
 */
struct client_result client_from_reply(struct client *c, enum client_step step, enum ipc_outcome outcome,
                                       enum client_retry retry)
{
    struct status s = c->reply.status;

    if (!status_is_set(s))
        s = (struct status){ .cls = 0, .subject = 0, .detail = 0 };
    s.cls = (uint8_t)outcome_class(outcome);
    buf_reset(&c->text);
    reply_text_joined(&c->reply, &c->text);
    return (struct client_result){
        .outcome = outcome,
        .retry = retry,
        .status = s,
        .text = buf_view(&c->text),
        .remote = true,
        .step = client_step_name(step),
    };
}

/* Our words, already in c->text. */
struct client_result client_own_words(struct client *c, enum client_step step, enum ipc_outcome outcome,
                                      enum client_retry retry, struct status s)
{
    return (struct client_result){
        .outcome = outcome,
        .retry = retry,
        .status = s,
        .text = buf_view(&c->text),
        .step = client_step_name(step),
    };
}

/* The end of the connection, by whomever. Before a message: the failure of the host. */
void client_die(struct client *c, struct client_result r, const char *how)
{
    c->died_at = r.step;
    c->died_how = how;
    if (c->message) {
        give_all(c, &r);
        c->message = NULL;
    } else if (c->state == CLIENT_OPENING || c->state == CLIENT_SHAKING) {
        buf_reset(&c->failure_text);
        buf_addv(&c->failure_text, r.text);
        c->failure = r;
        c->failure.text = buf_view(&c->failure_text);
    }
    c->state = CLIENT_DEAD;
    c->pending = 0;
}

/* ---- accidents ---- */

/* RFC 2033 4.2: one reply per accepted recipient, in their order. */
static void give_next(struct client *c, const struct client_result *r)
{
    while (c->rcpt_open && c->rcpt_state[c->end_next] != RCPT_ACCEPTED)
        c->end_next++;
    if (c->rcpt_open)
        give(c, c->end_next, r);
}

/* RFC 5321 4.2: the first digit says it. A server that answered 250 has the message, whatever it wrote
 * behind that: deferring would deliver it again at each attempt. False: somebody has no answer. */
static bool die_answered(struct client *c)
{
    static const enum ipc_outcome outcomes[] = {
        [2] = OUTCOME_DELIVERED, [4] = OUTCOME_DEFERRED, [5] = OUTCOME_FAILED
    };
    int first = c->end_code / 100;
    struct client_result r;
    struct buf why;

    if (first != 2 && first != 4 && first != 5)
        return false;
    buf_init(&why, CLIENT_TEXT_MAX);
    buf_addf(&why, "%d (%s)", c->end_code, buf_cstr(&c->text));
    r = client_own_words(c, CLIENT_END, outcomes[first], CLIENT_FINAL, STATUS((uint8_t)first, 0, 0));
    r.text = buf_view(&why);
    if (c->lmtp)
        give_next(c, &r);
    if (!c->lmtp || !c->rcpt_open)
        client_die(c, r, "protocol error");
    buf_clear(&why);
    return c->state == CLIENT_DEAD;
}

/* At the end of the message nobody knows what the server did: not tried again in this attempt. */
static void die_own(struct client *c, enum client_step step, struct status s, const char *how)
{
    struct client_result r = client_own_words(c, step, OUTCOME_DEFERRED, CLIENT_OTHER_HOST, s);

    /* TLS 1.3: a server that does not like our (or no) certificate says so behind the handshake. */
    r.tls = c->state == CLIENT_OPENING && c->secure && step == CLIENT_EHLO;
    if (step == CLIENT_END) {
        buf_adds(&c->text, "; it may have been delivered");
        r.text = buf_view(&c->text);
        r.retry = CLIENT_FINAL;
        r.maybe = true;
    }
    client_die(c, r, how);
}

void client_lost(struct client *c, const char *how)
{
    enum client_step step = client_step(c);

    if (c->state == CLIENT_DEAD)
        return;
    buf_reset(&c->text);
    buf_addf(&c->text, "%s while %s", how, client_step_doing(step));
    die_own(c, step, STATUS(4, 4, 2), "lost");
}

void client_protocol_error(struct client *c, const char *why)
{
    enum client_step step = client_step(c);

    buf_reset(&c->text);
    buf_addf(&c->text, "protocol error by the server while %s: %s", client_step_doing(step), why);
    if (step != CLIENT_END || !die_answered(c))
        die_own(c, step, STATUS(4, 5, 0), "protocol error");
}

void client_fail_message(struct client *c, const char *why)
{
    buf_reset(&c->text);
    buf_adds(&c->text, why);
    client_die(c, client_own_words(c, CLIENT_BODY, OUTCOME_FAILED, CLIENT_FINAL, STATUS(5, 6, 0)),
               "given up");
}

void client_fail_read(struct client *c)
{
    buf_reset(&c->text);
    buf_adds(&c->text, "the stored message cannot be read");
    client_die(c, client_own_words(c, CLIENT_BODY, OUTCOME_DEFERRED, CLIENT_FINAL, STATUS(4, 3, 0)),
               "given up");
}

void client_fail_size(struct client *c)
{
    struct client_result r;

    buf_reset(&c->text);
    buf_addf(&c->text, "the message has %llu bytes, the server takes no more than %llu",
             (unsigned long long)c->message->size, (unsigned long long)c->size_max);
    r = client_own_words(c, CLIENT_MAIL, OUTCOME_FAILED, CLIENT_FINAL, STATUS(5, 3, 4));
    give_all(c, &r);
}

/* ---- a message ---- */

/* A reply about the whole message. 4xx before the data is the host's trouble (disk full, load): another may
 * take it. */
static void refuse_all(struct client *c, enum client_step step, enum client_retry retry_temp)
{
    bool permanent = reply_class(&c->reply) == 5;
    struct client_result r = client_from_reply(c, step, permanent ? OUTCOME_FAILED : OUTCOME_DEFERRED,
                                               permanent ? CLIENT_FINAL : retry_temp);

    give_all(c, &r);
}

static void on_mail(struct client *c)
{
    if (reply_class(&c->reply) == 2)
        return;
    refuse_all(c, CLIENT_MAIL, CLIENT_OTHER_HOST);
    c->next = CLIENT_BODY;
}

/* RFC 5321 4.5.3.1.10: "too many recipients" is temporary whichever code is used for it; a 552 that speaks of
   the mailbox (5.2.2) is not meant. */
static bool too_many(const struct reply *r)
{
    const struct status *s = &r->status;

    if (s->subject == 5 && s->detail == 3 && status_is_set(*s))
        return true;
    return r->code == 452 ? !status_is_set(*s) : r->code == 552 && !status_is_set(*s);
}

static void on_rcpt(struct client *c, size_t i)
{
    bool permanent = reply_class(&c->reply) == 5;
    struct client_result r;

    c->rcpt_asked--;
    if (c->rcpt_state[i] == RCPT_DONE)
        return;
    if (reply_class(&c->reply) == 2) {
        c->rcpt_state[i] = RCPT_ACCEPTED;
        c->accepted++;
        return;
    }
    r = client_from_reply(c, CLIENT_RCPT, permanent ? OUTCOME_FAILED : OUTCOME_DEFERRED, CLIENT_FINAL);
    if (too_many(&c->reply))
        r = client_from_reply(c, CLIENT_RCPT, OUTCOME_DEFERRED,
                              c->accepted ? CLIENT_SAME_HOST : CLIENT_FINAL);
    give(c, i, &r);
}

static void on_data(struct client *c)
{
    if (reply_class(&c->reply) != 3) {
        refuse_all(c, CLIENT_DATA, CLIENT_OTHER_HOST);
    } else if (c->accepted) {
        client_body_begin(c);
    } else if (c->lmtp) {
        client_protocol_error(c, "DATA was accepted without a recipient");
    } else {
        /* It was pipelined and nobody is left to send to: an empty message ends the state (RFC 2920 3.1). */
        buf_adds(c->out, ".\r\n");
        client_expect(c, CLIENT_END, 0);
    }
}

static struct client_result end_result(struct client *c)
{
    switch (reply_class(&c->reply)) {
    case 2: {
        struct client_result r = client_from_reply(c, CLIENT_END, OUTCOME_DELIVERED, CLIENT_FINAL);

        r.dsn = c->dsn;
        return r;
    }
    case 5: return client_from_reply(c, CLIENT_END, OUTCOME_FAILED, CLIENT_FINAL);
    default: return client_from_reply(c, CLIENT_END, OUTCOME_DEFERRED, CLIENT_FINAL);
    }
}

static void on_end(struct client *c)
{
    struct client_result r = end_result(c);

    c->need_rset = false;
    if (!c->lmtp) {
        give_all(c, &r);
        return;
    }
    c->end_code = 0;
    give_next(c, &r);
    if (c->rcpt_open)
        client_expect(c, CLIENT_END, 0);
}

/* An answer while the data is on its way is a refusal, or nonsense; the data is not ended, so nothing can
   have been accepted. */
static void on_early_end(struct client *c)
{
    bool permanent = reply_class(&c->reply) == 5;

    if (reply_class(&c->reply) < 4) {
        client_protocol_error(c, "reply without a command");
        return;
    }
    client_die(c,
               client_from_reply(c, CLIENT_BODY, permanent ? OUTCOME_FAILED : OUTCOME_DEFERRED, CLIENT_FINAL),
               "ended by the server");
}

static void dispatch(struct client *c, struct client_expect e)
{
    switch ((enum client_step)e.step) {
    case CLIENT_GREETING:
    case CLIENT_EHLO:
    case CLIENT_HELO:
    case CLIENT_STARTTLS:
    case CLIENT_AUTH: client_open_reply(c, (enum client_step)e.step); return;
    case CLIENT_MAIL: on_mail(c); return;
    case CLIENT_RCPT: on_rcpt(c, e.rcpt); return;
    case CLIENT_DATA: on_data(c); return;
    case CLIENT_END: on_end(c); return;
    case CLIENT_QUIT: c->state = CLIENT_DEAD; return;
    case CLIENT_RSET:
    case CLIENT_TLS:
    case CLIENT_READY:
    case CLIENT_BODY:
    case CLIENT_OVER: return;
    }
}

static bool class_fits(int class, enum client_step step)
{
    if (step == CLIENT_DATA)
        return class != 2;
    return class != 3 || step == CLIENT_AUTH;
}

void client_reply(struct client *c)
{
    enum client_step step = client_step(c);
    struct client_expect e;

    c->replies++;
    if (c->reply.code == 421 && step != CLIENT_QUIT) {
        /* RFC 5321 3.8: the server goes away, at whatever step. Not even the final dot was taken then. */
        client_die(c, client_from_reply(c, step, OUTCOME_DEFERRED, CLIENT_OTHER_HOST), "ended by the server");
        return;
    }
    if (c->state == CLIENT_SENDING) {
        on_early_end(c);
        return;
    }
    if (c->pending == 0) {
        client_protocol_error(c, "reply without a command");
        return;
    }
    if (!class_fits(reply_class(&c->reply), step)) {
        client_protocol_error(c, "reply does not fit the command");
        return;
    }
    e = c->expect[c->head];
    c->head = (c->head + 1) % CLIENT_WINDOW;
    c->pending--;
    dispatch(c, e);
    client_send_more(c);
}
