/* receive.c - transactions as smtpd hands them over: envelope, recipients, data, end, abort
 *
 * Back-pressure: smtpd may send ahead what credit allows; credit for body bytes is given back only when these
 * went on to queued, so one slow disk stops one client and no memory fills. Header bytes are bounded by
 * themselves.
 */
#include "cleanup/commit.h"
#include "cleanup/doubt.h"
#include "cleanup/pipeline.h"
#include "cleanup/recipients.h"
#include "cleanup/service.h"
#include "common/base/dict.h"
#include "common/base/log.h"

/* Less is not worth a frame: a small message needs no credit back at all. */
#define CREDIT_STEP 16384u

static struct span keep_field(struct txn *t, const struct ipc_in *in, enum ipc_tag tag)
{
    return txn_keep(t, ipc_get(in, tag));
}

static void on_open(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct peer *peer = arg;
    struct txn *t = txn_new(peer->cl);
    struct txn *old = dict_set_u64(peer->txns, in->txn, t);

    (void)ch;
    if (old) {
        /* A number is used once. The peer lost count: what it meant by the old one will not come. */
        LOG(ERROR, "cleanup.transaction.reused", KS("id", old->id_text), KI("smtpd", peer->index));
        old->peer = NULL;
        txn_abort(old);
    }
    t->peer = peer;
    t->peer_txn = in->txn;
    t->id = ipc_get_u64(in, TAG_ID);
    id_text(t->id, t->id_text);
    t->sid = keep_field(t, in, TAG_SID);
    t->client = keep_field(t, in, TAG_CLIENT);
    t->client_name = keep_field(t, in, TAG_CLIENT_NAME);
    t->helo = keep_field(t, in, TAG_HELO);
    t->protocol = keep_field(t, in, TAG_PROTOCOL);
    t->login = keep_field(t, in, TAG_LOGIN);
    t->sender = keep_field(t, in, TAG_SENDER);
    t->envid = keep_field(t, in, TAG_ENVID);
    t->tls = keep_field(t, in, TAG_DOMAIN);
    t->own = ipc_get_u64(in, TAG_OWN) != 0;
    t->has_body_type = ipc_has(in, TAG_BODY_TYPE);
    t->body_type = ipc_get_u64(in, TAG_BODY_TYPE);
    t->has_ret = ipc_has(in, TAG_RET);
    t->ret = ipc_get_u64(in, TAG_RET);
    t->priority = ipc_get_u64(in, TAG_PRIORITY);
    t->arrival_ms = ipc_has(in, TAG_ARRIVAL) ? (int64_t)ipc_get_u64(in, TAG_ARRIVAL) : id_wall_ms(t->id);
}

/* NULL when it is not known: aborted by us a moment ago, its frames were on their way. */
static struct txn *find(const struct peer *peer, const struct ipc_in *in)
{
    return dict_get_u64(peer->txns, in->txn);
}

static void on_rcpt(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct peer *peer = arg;
    struct txn *t = find(peer, in);
    struct txn_rcpt *r;

    (void)ch;
    if (!t || t->phase != TXN_RECEIVING)
        return;
    r = txn_rcpt_add(t, ipc_get(in, TAG_RCPT));
    r->index = ipc_get_u64(in, TAG_RCPT_INDEX);
    r->local = ipc_get_u64(in, TAG_LOCAL) != 0;
    r->has_notify = ipc_has(in, TAG_NOTIFY);
    r->notify = ipc_get_u64(in, TAG_NOTIFY);
    r->orcpt = txn_keep(t, ipc_get(in, TAG_ORCPT));
    recipients_resolve(t, r);
}

void receive_credit(struct txn *t)
{
    uint64_t held = t->body.len + (t->stray && !t->head_done ? t->head.len - t->scan.body_at : 0);
    uint64_t gone = t->received - held;

    /* The end of the header may make body of what was counted as gone. */
    if (!t->peer || t->phase != TXN_RECEIVING || gone < t->credited + CREDIT_STEP)
        return;
    channel_consumed(t->peer->ch, t->peer_txn, gone - t->credited);
    t->credited = gone;
}

static void on_body(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct peer *peer = arg;
    struct txn *t = find(peer, in);
    struct strv data = ipc_get(in, TAG_DATA);

    if (!t || t->phase != TXN_RECEIVING) {
        channel_consumed(ch, in->txn, data.n);
        return;
    }
    if (t->body.len > IPC_CREDIT_START + IPC_CHUNK_MAX) {
        channel_break(ch, "more body than its credit allows");
        return;
    }
    txn_data(t, data);
    commit_stream(t);
    receive_credit(t);
}

static void on_end(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct peer *peer = arg;
    struct txn *t = find(peer, in);

    (void)ch;
    if (!t || t->phase != TXN_RECEIVING)
        return;
    txn_data(t, ipc_get(in, TAG_DATA));
    txn_data_end(t);
    /* What was counted twice must agree, or bytes were lost between two of our own processes. */
    if (t->received != ipc_get_u64(in, TAG_SIZE) || t->accepted != ipc_get_u64(in, TAG_COUNT)) {
        LOG(ERROR, "cleanup.transaction.mismatch", KS("id", t->id_text), KI("bytes", t->received),
            KI("announced", ipc_get_u64(in, TAG_SIZE)), KI("rcpts", t->accepted),
            KI("smtpd_rcpts", ipc_get_u64(in, TAG_COUNT)));
        txn_refuse(t, VERDICT_TEMPFAIL, 451, "4.3.0",
                   "The message was damaged inside this host, please try again", "size check");
    }
    if (txn_is_refused(t)) {
        txn_finish(t);
        return;
    }
    pipeline_start(t);
}

static void on_abort(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct peer *peer = arg;
    struct txn *t = find(peer, in);

    (void)ch;
    if (t)
        txn_abort(t);
}

const struct channel_route receive_routes[] = {
    { IPC_TX_OPEN, on_open }, { IPC_TX_RCPT, on_rcpt },   { IPC_TX_BODY, on_body },
    { IPC_TX_END, on_end },   { IPC_TX_ABORT, on_abort }, { IPC_TX_QUERY, doubt_on_query },
    { .type = IPC_NONE },
};
