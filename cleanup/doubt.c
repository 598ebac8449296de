/* doubt.c - asking queued whether a message is in the spool */
#include "cleanup/doubt.h"

#include "cleanup/service.h"
#include "common/base/dict.h"
#include "common/base/log.h"

/* Longer than smtpd waits (five minutes, then it closes the connection without an answer): whatever queued
   says until then is the truth, and is told. After it nobody listens any more. */
#define DOUBT_MS 360000

static void ask(struct txn *t)
{
    struct cleanup *cl = t->cl;

    t->queue_txn = channel_txn_new(cl->queued);
    dict_set_u64(cl->submitting, t->queue_txn, t);
    ipc_begin(&cl->out, IPC_Q_QUERY, t->queue_txn);
    ipc_put_u64(&cl->out, TAG_ID, t->id);
    channel_send(cl->queued, &cl->out);
}

static void on_deadline(void *arg)
{
    struct cleanup *cl = arg;
    int64_t now = loop_now(cl->loop);
    struct txn *next;

    for (struct txn *t = cl->doubts; t; t = next) {
        next = t->doubt_next;
        if (t->doubt_until > now)
            continue;
        LOG(ERROR, "cleanup.message.doubtful", KS("id", t->id_text), KS("why", "queued did not answer"));
        txn_drop(t);
    }
    if (cl->doubts)
        loop_timer_set(&cl->doubt_timer, 1000);
}

void doubt_begin(struct txn *t)
{
    struct cleanup *cl = t->cl;

    if (!cl->doubt_timer.loop)
        loop_timer_init(&cl->doubt_timer, cl->loop, on_deadline, cl);
    if (!loop_timer_is_set(&cl->doubt_timer))
        loop_timer_set(&cl->doubt_timer, 1000);
    t->phase = TXN_SUBMITTED;
    t->doubt = true;
    t->doubt_until = loop_now(cl->loop) + DOUBT_MS;
    t->doubt_next = cl->doubts;
    t->doubt_at = &cl->doubts;
    if (t->doubt_next)
        t->doubt_next->doubt_at = &t->doubt_next;
    cl->doubts = t;
    if (cl->queued)
        ask(t);
}

void doubt_forget(struct txn *t)
{
    if (!t->doubt)
        return;
    t->doubt = false;
    *t->doubt_at = t->doubt_next;
    if (t->doubt_next)
        t->doubt_next->doubt_at = t->doubt_at;
}

void doubt_on_query(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct peer *peer = arg;
    struct txn *t;

    if (dict_get_u64(peer->txns, in->txn)) {
        channel_break(ch, "a query with the number of an open transaction");
        return;
    }
    t = txn_new(peer->cl);
    t->peer = peer;
    t->peer_txn = in->txn;
    t->id = ipc_get_u64(in, TAG_ID);
    id_text(t->id, t->id_text);
    dict_set_u64(peer->txns, in->txn, t);
    LOG(INFO, "cleanup.message.queried", KS("id", t->id_text));
    doubt_begin(t);
}

void doubt_ask_all(struct cleanup *cl)
{
    for (struct txn *t = cl->doubts; t; t = t->doubt_next)
        if (!t->queue_txn)
            ask(t);
}
