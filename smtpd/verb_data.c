/* verb_data.c - DATA: the message's bytes on to cleanup, and what is decided at their end */
#include "smtpd/verbs.h"

enum engine_step verb_data(struct engine *e, struct strv argument)
{
    (void)argument;
    return policy_begin(e, POLICY_DATA);
}

enum engine_step data_accepted(struct engine *e)
{
    e->phase = PH_BODY;
    body_begin(&e->body);
    return engine_reply(e, RE_DATA_GO);
}

/* A message that will be refused is still read to its end: cutting the connection would make the peer send it
   again for days (RFC 5321 4.2.5), and its rest must never be taken for commands. */
static void lose_message(struct engine *e)
{
    if (e->envelope.tx == TX_OPENED) {
        e->ops->tx_abort(e->arg);
        e->envelope.tx = TX_DROPPED;
    }
    body_discard(&e->body);
}

/* How much of a lost message is read before the client is cut off all the same. */
static bool is_endless(const struct engine *e)
{
    uint64_t max = (uint64_t)e->service->listen->max_message_size;

    return body_size(&e->body) > 2 * max + (1u << 20);
}

static enum engine_step commit(struct engine *e)
{
    struct body *b = &e->body;

    if (b->data.len > 0 && e->ops->tx_room(e->arg) < b->data.len)
        return STEP_STALL;
    e->ending = false;
    e->envelope.tx = TX_ENDED;
    e->wait = AWAIT_DONE;
    e->ops->tx_end(e->arg, buf_view(&b->data), body_size(b), e->envelope.accepted);
    buf_clear(&b->data);
    return STEP_WAIT;
}

enum engine_step message_accepted(struct engine *e)
{
    e->ending = true;
    return commit(e);
}

/* The whole message was read: its refusal, if there is one to come, closes endless senders. */
static enum engine_step data_end(struct engine *e)
{
    bool endless = is_endless(e);
    enum engine_step step = policy_begin(e, POLICY_MESSAGE);

    return endless ? engine_close(e, END_OVERSIZE) : step;
}

enum engine_step data_input(struct engine *e, struct strv in, size_t *used)
{
    struct body *b = &e->body;
    enum body_step step;
    size_t n;

    *used = 0;
    if (e->ending)
        return commit(e);
    for (;;) {
        step = body_feed(b, strv_from(in, *used), &n);
        *used += n;
        if (!b->discard &&
            (dot_decode_is_dirty(&b->dot) || body_size(b) > (uint64_t)e->service->listen->max_message_size))
            lose_message(e);
        if (step == BODY_END)
            return data_end(e);
        if (is_endless(e))
            return data_end(e);
        if (step == BODY_MORE)
            return STEP_READ;
        if (!b->discard) {
            if (e->ops->tx_room(e->arg) < b->data.len)
                return STEP_STALL;
            e->ops->tx_body(e->arg, buf_view(&b->data));
            buf_reset(&b->data);
        }
    }
}
