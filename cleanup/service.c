/* service.c - cleanup's peers: their channels, the transactions of each, and what their loss means */
#include "cleanup/service.h"

#include "cleanup/commit.h"
#include "cleanup/doubt.h"
#include "cleanup/drop.h"
#include "cleanup/forward.h"
#include "cleanup/notice.h"
#include "common/base/dict.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/metric.h"
#include "common/mail/dsn_text.h"

#include <stdlib.h>

/* ---- the end of a transaction ---- */

static void peer_forget(struct txn *t)
{
    if (!t->peer)
        return;
    if (dict_get_u64(t->peer->txns, t->peer_txn) == t)
        dict_pop_u64(t->peer->txns, t->peer_txn);
    if (t->peer->ch)
        channel_txn_end(t->peer->ch, t->peer_txn);
    t->peer = NULL;
}

static void txn_end(struct txn *t)
{
    struct cleanup *cl = t->cl;

    peer_forget(t);
    txn_free(&t);
    if (!cl->live && cl->idle)
        cl->idle(cl->idle_arg);
}

static void send_done(const struct txn *t)
{
    struct ipc_out *out = &t->cl->out;
    const struct txn_reply *r = &t->refused;

    ipc_begin(out, IPC_TX_DONE, t->peer_txn);
    ipc_put_u64(out, TAG_VERDICT, r->verdict);
    metric_add(METRIC_CLEANUP, r->verdict, 1);
    if (r->verdict != VERDICT_ACCEPT) {
        ipc_put_u64(out, TAG_CODE, (uint64_t)r->code);
        ipc_put_clean(out, TAG_ENHANCED, SV(r->enhanced));
        ipc_put_clean(out, TAG_TEXT, SV(r->text));
        ipc_put_clean(out, TAG_RULE, SV(r->rule));
    }
    channel_send(t->peer->ch, out);
}

void txn_finish(struct txn *t)
{
    commit_abort(t);
    if (t->notice)
        notice_finished(t);
    else if (t->drop)
        drop_finished(t);
    else if (t->forward)
        forward_finished(t);
    else if (t->peer)
        send_done(t);
    else if (!txn_is_refused(t))
        LOG(INFO, "cleanup.message.unheard", KS("id", t->id_text), KV("sender", txn_view(t, t->sender)));
    txn_end(t);
}

void txn_drop(struct txn *t)
{
    commit_abort(t);
    txn_end(t);
}

void txn_abort(struct txn *t)
{
    if (t->phase == TXN_SUBMITTED) {
        peer_forget(t); /* queued's answer ends it */
        return;
    }
    commit_abort(t);
    txn_end(t);
}

/* ---- smtpd ---- */

static void abort_one(void *arg, struct strv key, void *value)
{
    (void)arg;
    (void)key;
    txn_abort(value);
}

static void peer_free(struct peer **pp)
{
    struct peer *p = *pp;

    if (!p)
        return;
    *pp = NULL;
    channel_free(&p->ch);
    dict_each(p->txns, abort_one, NULL);
    dict_free(&p->txns, NULL);
    free(p);
}

static void on_smtpd_frame(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct peer *p = arg;

    channel_dispatch(receive_routes, p, ch, in);
}

static void on_smtpd_lost(void *arg, struct channel *ch, const char *why)
{
    struct peer *p = arg;

    (void)ch;
    if (dict_count(p->txns))
        LOG(WARN, "cleanup.peer.lost", KS("peer", "smtpd"), KI("index", p->index), KS("why", why),
            KI("transactions", dict_count(p->txns)));
    peer_free(&p->cl->peers[p->index]);
}

static const struct channel_ops smtpd_ops = { .frame = on_smtpd_frame, .lost = on_smtpd_lost };

void cleanup_edge_smtpd(struct cleanup *cl, unsigned index, int fd)
{
    struct peer *p;

    if (index >= PEERS_MAX)
        die("smtpd number %u", index);
    peer_free(&cl->peers[index]);
    p = mem_new(sizeof *p);
    p->cl = cl;
    p->index = index;
    p->txns = dict_new();
    p->ch = channel_new(cl->loop, fd, ROLE_CLEANUP, ROLE_SMTPD, index, &smtpd_ops, p);
    cl->peers[index] = p;
}

/* ---- queued ---- */

static void queued_gone(struct cleanup *cl)
{
    struct channel *ch = cl->queued;

    cl->queued = NULL;
    commit_queued_lost(cl);
    notices_abort(cl);
    drops_abort(cl);
    forwards_abort(cl);
    channel_free(&ch);
}

static void on_queued_frame(void *arg, struct channel *ch, struct ipc_in *in)
{
    channel_dispatch(queued_routes, arg, ch, in);
}

static void on_queued_lost(void *arg, struct channel *ch, const char *why)
{
    struct cleanup *cl = arg;

    (void)ch;
    if (dict_count(cl->submitting))
        LOG(WARN, "cleanup.peer.lost", KS("peer", "queued"), KI("index", 0), KS("why", why),
            KI("transactions", dict_count(cl->submitting)));
    queued_gone(cl);
}

static void on_queued_ready(void *arg, struct channel *ch, uint64_t txn)
{
    (void)ch;
    commit_ready(arg, txn);
}

static const struct channel_ops queued_ops = {
    .frame = on_queued_frame,
    .lost = on_queued_lost,
    .ready = on_queued_ready,
};

void cleanup_edge_queued(struct cleanup *cl, int fd)
{
    if (cl->queued)
        queued_gone(cl);
    cl->queued = channel_new(cl->loop, fd, ROLE_CLEANUP, ROLE_QUEUED, 0, &queued_ops, cl);
    doubt_ask_all(cl);
}

void cleanup_edge_mapd(struct cleanup *cl, int fd)
{
    maps_client_edge(cl->maps, fd);
}

/* ---- life ---- */

void cleanup_init(struct cleanup *cl, const struct conf *conf, struct loop *loop)
{
    *cl = (struct cleanup){ .conf = conf, .loop = loop };
    cl->maps = maps_client_new(loop, ROLE_CLEANUP);
    cl->submitting = dict_new();
    cl->notice_texts = dsn_texts_new();
    ipc_out_init(&cl->out);
    key_chain_init(&cl->chain);
}

void cleanup_texts(struct cleanup *cl, struct dsn_texts *texts)
{
    dsn_texts_free(&cl->notice_texts);
    cl->notice_texts = texts;
}

void cleanup_clear(struct cleanup *cl)
{
    cl->idle = NULL;
    if (cl->queued)
        queued_gone(cl);
    for (size_t i = 0; i < PEERS_MAX; i++)
        peer_free(&cl->peers[i]);
    notices_abort(cl);
    drops_abort(cl);
    forwards_abort(cl);
    while (cl->doubts) {
        cl->doubts->phase = TXN_STAGES;
        txn_abort(cl->doubts);
    }
    if (cl->doubt_timer.loop)
        loop_timer_stop(&cl->doubt_timer);
    maps_client_free(&cl->maps);
    dict_free(&cl->submitting, NULL);
    dsn_texts_free(&cl->notice_texts);
    ipc_out_clear(&cl->out);
    key_chain_clear(&cl->chain);
    txn_pool_clear(cl);
}
