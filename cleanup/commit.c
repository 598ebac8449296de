/* commit.c - messages to queued: one frame for a small one, chunks under credit and a last frame for the rest
 *
 * Nothing is queued's before Q_SUBMIT, and nothing is the client's before Q_SUBMITTED: every other way out of
 * here is an abort or a temporary refusal.
 */
#include "cleanup/commit.h"

#include "cleanup/doubt.h"
#include "cleanup/drop.h"
#include "cleanup/forward.h"
#include "cleanup/notice.h"
#include "cleanup/pipeline.h"
#include "cleanup/requeue.h"
#include "cleanup/service.h"
#include "common/base/dict.h"
#include "common/base/log.h"
#include "common/mail/header.h"

#include <stdio.h>

#define MESSAGE_ID_MAX 255u
/* What Q_SUBMIT holds besides recipients, words and content: numbers, field heads, the frame's header. */
#define SUBMIT_FIXED (512u + MESSAGE_ID_MAX)
#define RCPT_FIXED   64u           /* heads and numbers of one recipient's group */
#define ALSO_FIXED   8u
#define SUBMIT_MAX   IPC_CHUNK_MAX /* a last frame larger than this goes in several */
#define STREAM_FROM  (48u * 1024u) /* body bytes from which one frame will not do */
#define STREAM_STEP  (32u * 1024u) /* smaller chunks are not worth a frame while more is coming */

static void refuse_no_queue(struct txn *t)
{
    txn_refuse(t, VERDICT_TEMPFAIL, 451, "4.3.0", "The queue is not available, please try again later",
               "queued");
}

static void queue_txn_open(struct txn *t)
{
    if (t->queue_txn)
        return;
    t->queue_txn = channel_txn_new(t->cl->queued);
    dict_set_u64(t->cl->submitting, t->queue_txn, t);
}

static void queue_txn_close(struct txn *t)
{
    dict_pop_u64(t->cl->submitting, t->queue_txn);
    if (t->cl->queued)
        channel_txn_end(t->cl->queued, t->queue_txn);
    t->queue_txn = 0;
}

void commit_abort(struct txn *t)
{
    struct cleanup *cl = t->cl;

    if (!t->queue_txn)
        return;
    if (cl->queued && t->phase != TXN_SUBMITTED) {
        channel_cancel_chunks(cl->queued, t->queue_txn);
        ipc_begin(&cl->out, IPC_Q_ABORT, t->queue_txn);
        channel_send(cl->queued, &cl->out);
    }
    queue_txn_close(t);
}

/* ---- frames ---- */

static void send_body(struct txn *t)
{
    struct cleanup *cl = t->cl;
    struct strv part = strv_sub(buf_view(&t->body), 0, IPC_CHUNK_MAX);

    ipc_begin(&cl->out, IPC_Q_BODY, t->queue_txn);
    ipc_put_bytes(&cl->out, TAG_DATA, part);
    channel_send(cl->queued, &cl->out);
    buf_drop(&t->body, part.n);
}

static void send_head(struct txn *t)
{
    struct cleanup *cl = t->cl;
    struct strv part = strv_sub(buf_view(&t->new_head), t->head_sent, IPC_CHUNK_MAX);

    ipc_begin(&cl->out, IPC_Q_HEADER, t->queue_txn);
    ipc_put_bytes(&cl->out, TAG_DATA, part);
    channel_send(cl->queued, &cl->out);
    t->head_sent += part.n;
}

static size_t final_size(const struct txn *t, const struct txn_final *f)
{
    size_t n = f->rcpt.n + f->original.n + f->orcpt.n + f->target.n + RCPT_FIXED;

    for (uint32_t i = f->also; i; i = t->also[i - 1].next)
        n += t->also[i - 1].address.n + ALSO_FIXED;
    return n;
}

static void put_final(struct ipc_out *out, const struct txn *t, const struct txn_final *f)
{
    ipc_group_begin(out, TAG_RCPT);
    ipc_put_text(out, TAG_RCPT, txn_view(t, f->rcpt));
    if (f->original.n && !strv_eq(txn_view(t, f->original), txn_view(t, f->rcpt)))
        ipc_put_text(out, TAG_ORIGINAL, txn_view(t, f->original));
    ipc_put_u64(out, TAG_LOCAL, f->local);
    if (f->has_notify)
        ipc_put_u64(out, TAG_NOTIFY, f->notify);
    if (f->orcpt.n)
        ipc_put_text(out, TAG_ORCPT, txn_view(t, f->orcpt));
    if (f->target.n)
        ipc_put_text(out, TAG_TARGET, txn_view(t, f->target));
    for (uint32_t i = f->also; i; i = t->also[i - 1].next)
        ipc_put_text(out, TAG_ALSO, txn_view(t, t->also[i - 1].address));
    ipc_group_end(out);
}

static void put_finals(struct ipc_out *out, struct txn *t)
{
    size_t room = SUBMIT_MAX;

    while (t->final_sent < t->final_n && final_size(t, &t->finals[t->final_sent]) <= room) {
        room -= final_size(t, &t->finals[t->final_sent]);
        put_final(out, t, &t->finals[t->final_sent++]);
    }
}

static void send_finals(struct txn *t)
{
    struct cleanup *cl = t->cl;

    ipc_begin(&cl->out, IPC_Q_RCPTS, t->queue_txn);
    put_finals(&cl->out, t);
    channel_send(cl->queued, &cl->out);
}

static void put_words(struct ipc_out *out, const struct txn *t, enum ipc_tag tag, struct span s)
{
    if (s.n)
        ipc_put_text(out, tag, txn_view(t, s));
}

/* What the sender's own log calls the message; folded or overlong ones are nobody's to search for. */
static void put_message_id(struct ipc_out *out, const struct txn *t)
{
    struct header_field f;
    struct strv id;

    if (!header_find(buf_view(&t->new_head), "Message-ID", &f))
        return;
    id = strv_trim(f.value);
    if (id.n > 0 && id.n <= MESSAGE_ID_MAX)
        ipc_put_clean(out, TAG_MESSAGE_ID, id);
}

static void send_submit(struct txn *t)
{
    struct cleanup *cl = t->cl;
    struct ipc_out *out = &cl->out;

    ipc_begin(out, IPC_Q_SUBMIT, t->queue_txn);
    ipc_put_u64(out, TAG_ID, t->id);
    ipc_put_text(out, TAG_SENDER, txn_view(t, t->sender));
    put_finals(out, t);
    ipc_put_u64(out, TAG_ARRIVAL, (uint64_t)t->arrival_ms);
    ipc_put_bytes(out, TAG_HEADER, strv_from(buf_view(&t->new_head), t->head_sent));
    ipc_put_bytes(out, TAG_DATA, buf_view(&t->body));
    ipc_put_u64(out, TAG_BODY_SIZE, t->body_size);
    put_words(out, t, TAG_SID, t->sid);
    put_words(out, t, TAG_CLIENT, t->client);
    put_words(out, t, TAG_CLIENT_NAME, t->client_name);
    put_words(out, t, TAG_HELO, t->helo);
    put_words(out, t, TAG_PROTOCOL, t->protocol);
    put_words(out, t, TAG_LOGIN, t->login);
    if (t->has_body_type)
        ipc_put_u64(out, TAG_BODY_TYPE, t->body_type);
    put_words(out, t, TAG_ORIGIN, t->origin);
    put_words(out, t, TAG_ENVID, t->envid);
    if (t->has_ret)
        ipc_put_u64(out, TAG_RET, t->ret);
    put_message_id(out, t);
    if (t->priority)
        ipc_put_u64(out, TAG_PRIORITY, t->priority);
    channel_send(cl->queued, out);
    t->phase = TXN_SUBMITTED;
}

/* Bytes that a last frame would need now. */
static size_t rest_size(const struct txn *t)
{
    size_t n = SUBMIT_FIXED + t->body.len + (t->new_head.len - t->head_sent) + t->sender.n + t->sid.n +
               t->client.n + t->client_name.n + t->helo.n + t->protocol.n + t->login.n + t->origin.n +
               t->envid.n;

    for (size_t i = t->final_sent; i < t->final_n && n <= SUBMIT_MAX; i++)
        n += final_size(t, &t->finals[i]);
    return n;
}

/* As far as credit reaches; on_ready goes on. */
static void commit_pump(struct txn *t)
{
    struct channel *ch = t->cl->queued;

    queue_txn_open(t);
    while (t->phase == TXN_STAGES && channel_credit(ch, t->queue_txn) > 0) {
        if (rest_size(t) <= SUBMIT_MAX)
            send_submit(t);
        else if (t->body.len)
            send_body(t);
        else if (t->new_head.len > t->head_sent)
            send_head(t);
        else
            send_finals(t);
    }
}

void commit_stream(struct txn *t)
{
    if (txn_is_refused(t) || !t->head_done || (!t->queue_txn && t->body.len < STREAM_FROM))
        return;
    if (!t->cl->queued) {
        refuse_no_queue(t);
        return;
    }
    queue_txn_open(t);
    while (t->body.len >= STREAM_STEP && channel_credit(t->cl->queued, t->queue_txn) > 0)
        send_body(t);
}

void commit_run(struct txn *t)
{
    if (!buf_ok(&t->body) || !buf_ok(&t->words) || !buf_ok(&t->new_head)) {
        LOG(ERROR, "cleanup.transaction.overflow", KS("id", t->id_text), KI("body", t->body.len));
        txn_refuse(t, VERDICT_TEMPFAIL, 451, "4.3.0", "The message could not be held, please try again later",
                   "memory");
    }
    if (!t->cl->queued)
        refuse_no_queue(t);
    if (txn_is_refused(t)) {
        txn_stop(t);
        return;
    }
    if (!t->final_n) {
        /* Every address leads to /dev/null: the tables asked for it, and the log is the only trace. */
        LOG(INFO, "cleanup.message.discarded", KS("id", t->id_text), KV("sender", txn_view(t, t->sender)),
            KV("rcpt", txn_view(t, t->rcpts->rcpt)), KI("rcpts", t->accepted));
        txn_finish(t);
        return;
    }
    t->committing = true;
    commit_pump(t);
}

/* ---- what queued says ---- */

/* queued's answer to a doubt: in the spool, or never to be there (it refuses a late copy of that id). */
static void doubt_answered(struct txn *t, enum ipc_verdict verdict)
{
    LOG(INFO, "cleanup.message.found", KS("id", t->id_text), KI("stored", verdict == VERDICT_ACCEPT));
    if (verdict != VERDICT_ACCEPT)
        txn_refuse(t, VERDICT_TEMPFAIL, 451, "4.3.0", "The message was not stored, please send it again",
                   "queued");
    txn_finish(t);
}

static void copy_reply(struct txn *t, enum ipc_verdict verdict, const struct ipc_in *in)
{
    struct strv text = ipc_get(in, TAG_TEXT);
    char words[256], enhanced[16];

    if (!strv_cstr(strv_sub(text, 0, sizeof words - 1), words, sizeof words) || !*words)
        snprintf(words, sizeof words, "Could not store the message, please try again later");
    if (!strv_cstr(ipc_get(in, TAG_ENHANCED), enhanced, sizeof enhanced) || !*enhanced)
        snprintf(enhanced, sizeof enhanced, "4.3.0");
    txn_refuse(t, verdict, ipc_has(in, TAG_CODE) ? (int)ipc_get_u64(in, TAG_CODE) : 451, enhanced, words,
               "queued");
}

static void on_submitted(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct cleanup *cl = arg;
    struct txn *t = dict_get_u64(cl->submitting, in->txn);
    enum ipc_verdict verdict = (enum ipc_verdict)ipc_get_u64(in, TAG_VERDICT);

    if (!t)
        return;
    if (t->phase != TXN_SUBMITTED && verdict == VERDICT_ACCEPT) {
        channel_break(ch, "accepted a message that it has not got");
        return;
    }
    queue_txn_close(t);
    if (t->doubt) {
        doubt_answered(t, verdict);
        return;
    }
    if (verdict != VERDICT_ACCEPT)
        copy_reply(t, verdict, in);
    if (t->phase == TXN_RECEIVING && t->drop) {
        drop_pump(t); /* ends it */
        return;
    }
    if (t->phase == TXN_RECEIVING && t->forward) {
        forward_pump(t); /* the same */
        return;
    }
    if (t->phase == TXN_RECEIVING && t->notice) {
        notice_pump(t); /* the same */
        return;
    }
    if (t->phase == TXN_RECEIVING) {
        receive_credit(t); /* refused early: the client hears it when it ends its data */
        return;
    }
    if (verdict == VERDICT_ACCEPT)
        LOG(DEBUG, "cleanup.message.committed", KS("id", t->id_text), KI("rcpts", t->final_n),
            KI("header", t->new_head.len), KI("body", t->body_size));
    txn_finish(t);
}

void commit_ready(struct cleanup *cl, uint64_t queue_txn)
{
    struct txn *t = dict_get_u64(cl->submitting, queue_txn);

    if (!t)
        return;
    if (t->committing) {
        commit_pump(t);
    } else {
        commit_stream(t);
        receive_credit(t);
        drop_pump(t);
        forward_pump(t);
        notice_pump(t);
    }
}

static void lose_one(void *arg, struct strv key, void *value)
{
    struct txn *t = value;

    (void)arg;
    (void)key;
    queue_txn_close(t);
    if (t->phase == TXN_SUBMITTED && !t->notice && !t->drop && !t->forward) {
        /* It may be stored all the same. Nobody waits for it any more when smtpd is gone too: then it will be
           asked for again, or was stored, or the client sends it again. */
        if (!t->peer) {
            t->phase = TXN_STAGES;
            txn_abort(t);
        } else if (!t->doubt) {
            doubt_begin(t);
        }
        return;
    }
    refuse_no_queue(t);
    if (t->committing)
        txn_finish(t);
    else
        receive_credit(t);
}

void commit_queued_lost(struct cleanup *cl)
{
    dict_each(cl->submitting, lose_one, NULL);
}

const struct channel_route queued_routes[] = {
    { IPC_Q_SUBMITTED, on_submitted },
    { IPC_N_COMPOSE, notice_on_compose },
    { IPC_DROP_OPEN, drop_on_open },
    { IPC_N_FORWARD, forward_on_open },
    { IPC_N_REQUEUE, requeue_on_open },
    { IPC_N_REQUEUE_RCPTS, requeue_on_rcpts },
    { .type = IPC_NONE },
};
