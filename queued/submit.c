/* submit.c - messages from cleanup: collected, committed, answered only when they are durable */
#include "common/base/dict.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/ipc/frame.h"
#include "conf/queue.h"
#include "queued/drop.h"
#include "queued/health.h"
#include "queued/mailq.h"
#include "queued/submitter.h"
#include "queued/trace.h"

#include <stdlib.h>

#define BODY_MAX    (256u * 1024u)         /* larger bodies go to big/ */
#define MEMORY_MAX  (64u * 1024u * 1024u)  /* uncommitted bytes beyond which small bodies do too */
#define MEMORY_HARD (256u * 1024u * 1024u) /* and headers and recipients are refused */
#define HEADER_MAX  (16u * 1024u * 1024u)  /* cleanup has smaller limits */

/* A transaction of cleanup that is not submitted yet. */
struct tx {
    struct buf header, body;
    struct buf rcpts; /* printed as envelope lines */
    size_t rcpt_n;
    uint64_t body_size;
    struct big big; /* fd -1: the body is in memory */
    bool failed;
    struct err err; /* then: everything that comes is thrown away until the end */
};

/* A query about a message that is being committed. */
struct waiter {
    struct waiter *next;
    uint64_t id, txn, owner;
};

static struct tx *tx_new(struct submitter *s, uint64_t txn)
{
    struct tx *t = mem_new(sizeof *t);

    buf_init(&t->header, HEADER_MAX);
    buf_init(&t->body, BODY_MAX * 2);
    buf_init(&t->rcpts, ENVELOPE_MAX / 2);
    t->big.fd = -1;
    dict_set_u64(s->txs, txn, t);
    return t;
}

static size_t tx_memory(const struct tx *t)
{
    return t->header.len + t->body.len + t->rcpts.len;
}

static void tx_free(struct mailq *q, struct tx *t)
{
    q->memory -= tx_memory(t);
    big_abort(&t->big);
    buf_clear(&t->header);
    buf_clear(&t->body);
    buf_clear(&t->rcpts);
    free(t);
}

static struct tx *tx_get(struct submitter *s, uint64_t txn)
{
    struct tx *t = dict_get_u64(s->txs, txn);

    return t ? t : tx_new(s, txn);
}

static void tx_end(struct submitter *s, uint64_t txn)
{
    struct tx *t = dict_pop_u64(s->txs, txn);

    if (t) {
        tx_free(s->q, t);
        channel_txn_end(s->ch, txn);
    }
}

/* Moves the body into a file of its own. */
static bool tx_spill(struct mailq *q, struct tx *t)
{
    if (t->big.fd >= 0)
        return true;
    if (!big_create(&t->big, store_big_dir(q->store), &t->err) ||
        !big_write(&t->big, buf_view(&t->body), &t->err))
        return false;
    q->memory -= t->body.len;
    buf_clear(&t->body);
    return true;
}

static bool body_take(struct mailq *q, struct tx *t, struct strv data)
{
    bool crowded = q->memory + store_pending(q->store) + data.n > MEMORY_MAX;

    t->body_size += data.n;
    if (t->big.fd < 0 && (t->body.len + data.n > BODY_MAX || crowded) && !tx_spill(q, t))
        return false;
    if (t->big.fd >= 0)
        return big_write(&t->big, data, &t->err);
    buf_addv(&t->body, data);
    q->memory += data.n;
    return true;
}

static void tx_body(struct mailq *q, struct tx *t, struct strv data)
{
    if (!t->failed && !body_take(q, t, data))
        t->failed = true;
}

/* Bodies leave memory when there is too much of them; what cannot must not come. */
static bool tx_crowded(struct mailq *q, struct tx *t)
{
    if (q->memory < MEMORY_HARD)
        return false;
    t->failed = true;
    err_set(&t->err, ERR_LIMIT, "transactions hold too much memory");
    return true;
}

static void tx_header(struct mailq *q, struct tx *t, struct strv data)
{
    if (t->failed || tx_crowded(q, t))
        return;
    if (data.n > HEADER_MAX - t->header.len) {
        t->failed = err_set(&t->err, ERR_PERM, "the header is larger than the queue takes") || true;
        return;
    }
    buf_addv(&t->header, data);
    q->memory += data.n;
}

static void on_body(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct submitter *s = arg;

    tx_body(s->q, tx_get(s, in->txn), ipc_get(in, TAG_DATA));
    channel_consumed(ch, in->txn, in->bulk);
}

static void on_header(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct submitter *s = arg;

    tx_header(s->q, tx_get(s, in->txn), ipc_get(in, TAG_DATA));
    channel_consumed(ch, in->txn, in->bulk);
}

static void on_rcpts(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct submitter *s = arg;
    struct mailq *q = s->q;
    struct tx *t = tx_get(s, in->txn);
    size_t before = t->rcpts.len;

    if (!t->failed && !tx_crowded(q, t)) {
        t->rcpt_n += submitter_rcpts_print(in, &t->rcpts);
        q->memory += t->rcpts.len - before;
        if (!buf_ok(&t->rcpts))
            t->failed = err_set(&t->err, ERR_PERM, "there are more recipients than the queue takes") || true;
    }
    channel_consumed(ch, in->txn, in->bulk);
}

/* ---- answers ---- */

static void answer(struct submitter *s, uint64_t txn, enum ipc_verdict verdict, const struct err *err)
{
    struct mailq *q = s->q;
    bool full = err && err->cls == ERR_LIMIT;

    ipc_begin(&q->out, IPC_Q_SUBMITTED, txn);
    ipc_put_u64(&q->out, TAG_VERDICT, verdict);
    if (verdict == VERDICT_REFUSE) {
        ipc_put_u64(&q->out, TAG_CODE, 552);
        ipc_put_text(&q->out, TAG_ENHANCED, SV_LIT("5.3.4"));
        ipc_put_text(&q->out, TAG_TEXT, SV_LIT("The message is too large for the queue"));
    } else if (verdict == VERDICT_TEMPFAIL) {
        ipc_put_u64(&q->out, TAG_CODE, full ? 452 : 451);
        ipc_put_text(&q->out, TAG_ENHANCED, full ? SV_LIT("4.3.1") : SV_LIT("4.3.0"));
        ipc_put_text(&q->out, TAG_TEXT,
                     full ? SV_LIT("Insufficient system storage, please try again later")
                          : SV_LIT("Could not store the message, please try again later"));
    }
    channel_send(s->ch, &q->out);
}

static void refuse(struct submitter *s, uint64_t txn, uint64_t id, const struct err *err)
{
    char text[ID_TEXT_SIZE];

    id_text(id, text);
    LOG(WARN, "queue.message.refused", KS("id", text), KS("reason", err->text));
    answer(s, txn, err->cls == ERR_PERM ? VERDICT_REFUSE : VERDICT_TEMPFAIL, err);
}

/* ---- the end of a transaction ---- */

static void envelope_take(struct mailq *q, struct ipc_in *in, struct envelope *e)
{
    envelope_reset(e);
    e->sender = ipc_get(in, TAG_SENDER);
    e->arrival = ipc_get_u64(in, TAG_ARRIVAL);
    e->stored = (uint64_t)mailq_now_ms(q);
    e->sid = ipc_get(in, TAG_SID);
    e->client = ipc_get(in, TAG_CLIENT);
    e->client_name = ipc_get(in, TAG_CLIENT_NAME);
    e->helo = ipc_get(in, TAG_HELO);
    e->protocol = ipc_get(in, TAG_PROTOCOL);
    e->login = ipc_get(in, TAG_LOGIN);
    e->origin = ipc_get(in, TAG_ORIGIN);
    e->hold = ipc_get(in, TAG_HOLD);
    if (!e->hold.n && ledger_is_frozen(&q->ledger, e->sender))
        e->hold = SV_LIT("the sender is frozen");
    e->envid = ipc_get(in, TAG_ENVID);
    e->body_type = ipc_get_u64(in, TAG_BODY_TYPE);
    e->priority = ipc_get_u64(in, TAG_PRIORITY);
    e->ret = ipc_get_u64(in, TAG_RET);
}

/* What a submission must be before any byte of it is written. */
static bool submit_allowed(struct mailq *q, struct ipc_in *in, const struct tx *t, struct err *err)
{
    uint64_t id = ipc_get_u64(in, TAG_ID);
    uint64_t size = (t ? t->body_size : 0) + ipc_get(in, TAG_DATA).n;
    struct strv origin = ipc_get(in, TAG_ORIGIN);

    if (t && t->failed) {
        *err = t->err;
        return false;
    }
    if (id == 0 || ledger_find(&q->ledger, id) || dict_get_u64(q->pending, id) || ids_has(&q->denied, id))
        return err_set(err, ERR_TEMP, "the id was used before");
    if (size != ipc_get_u64(in, TAG_BODY_SIZE))
        return err_set(err, ERR_TEMP, "the body has %llu bytes, not %llu", (unsigned long long)size,
                       (unsigned long long)ipc_get_u64(in, TAG_BODY_SIZE));
    if (origin.n && dict_get(q->origins, origin))
        return err_set(err, ERR_TEMP, "it is being committed already");
    if (!requeue_expected(q, origin))
        return err_set(err, ERR_TEMP, "nobody waits for it to be submitted anew any more");
    /* Notices go on when the disk is nearly full: they let messages leave. */
    if (!strv_starts(origin, SV_LIT("notice/")) && !store_has_room(q->store, q->conf->reserve))
        return err_set(err, ERR_LIMIT, "the disk is nearly full");
    if (q->ledger.paused_in && !origin.n)
        return err_set(err, ERR_TEMP, "an operator paused the acceptance of mail");
    return !q->draining || err_set(err, ERR_TEMP, "the queue is being shut down");
}

/* The whole record, its line still without nonce and checksum. */
static struct commit *commit_make(struct mailq *q, struct ipc_in *in, struct tx *t, struct err *err)
{
    struct strv header = ipc_get(in, TAG_HEADER), body = ipc_get(in, TAG_DATA);
    struct record_sizes sizes = {
        .envelope = q->scratch.len,
        .header = (t ? t->header.len : 0) + header.n,
        .body = t && t->big.fd >= 0 ? 0 : (t ? t->body.len : 0) + body.n,
    };
    size_t size = record_size(&sizes);
    struct commit *c;
    char *p;

    if (size == 0 || size > store_commit_max(q->store)) {
        err_set(err, ERR_PERM, "header and envelope are larger than the queue takes");
        return NULL;
    }
    c = commit_new(ipc_get_u64(in, TAG_ID), COMMIT_SUBMIT);
    c->length = size;
    c->envelope_n = sizes.envelope;
    c->record = p = mem_resize(NULL, size, 1);
    record_line(p, c->id, &sizes);
    p = mempcpy(p + RECORD_LINE_LEN, q->scratch.data, sizes.envelope);
    if (t && t->header.len)
        p = mempcpy(p, t->header.data, t->header.len);
    p = mempcpy(p, header.n ? header.p : "", header.n);
    p = mempcpy(p, "\r\n", 2);
    if (sizes.body) {
        if (t && t->body.len)
            p = mempcpy(p, t->body.data, t->body.len);
        p = mempcpy(p, body.n ? body.p : "", body.n);
    }
    *p = '\n';
    return c;
}

static bool envelope_make(struct mailq *q, struct ipc_in *in, const struct tx *t, struct err *err)
{
    size_t rcpts = t ? t->rcpt_n : 0;

    envelope_take(q, in, &q->envelope);
    requeue_envelope(q, &q->envelope);
    forward_envelope(q, in, rcpts, &q->envelope);
    if (t && t->big.fd >= 0) {
        q->envelope.big = true;
        q->envelope.big_size = t->big.size;
        q->envelope.big_crc = t->big.crc;
    }
    buf_reset(&q->scratch);
    envelope_print_head(&q->envelope, &q->scratch);
    if (t)
        buf_addv(&q->scratch, buf_view(&t->rcpts));
    rcpts += submitter_rcpts_print(in, &q->scratch);
    envelope_print_end(&q->scratch);
    if (!buf_ok(&q->scratch))
        return err_set(err, ERR_PERM, "the envelope is larger than the queue takes");
    return rcpts > 0 || err_set(err, ERR_TEMP, "there are no recipients");
}

static struct commit *submit_build(struct mailq *q, struct ipc_in *in, struct tx *t, struct err *err)
{
    uint64_t id = ipc_get_u64(in, TAG_ID);
    struct commit *c;

    /* The rest of a body that is in a file belongs there too. */
    if (t && t->big.fd >= 0 && !big_write(&t->big, ipc_get(in, TAG_DATA), err))
        return NULL;
    if (!envelope_make(q, in, t, err) || !(c = commit_make(q, in, t, err)))
        return NULL;
    if (t && t->big.fd >= 0) {
        if (!big_name(&t->big, id, err)) {
            commit_free(&c);
            return NULL;
        }
        c->big_fd = big_take(&t->big);
    }
    return c;
}

static void submit(struct submitter *s, struct ipc_in *in, struct tx *t)
{
    struct mailq *q = s->q;
    struct strv origin = ipc_get(in, TAG_ORIGIN);
    uint64_t id = ipc_get_u64(in, TAG_ID);
    struct err err = { .cls = ERR_TEMP };
    struct commit *c;

    if ((strv_starts(origin, SV_LIT("notice/")) && notice_is_over(q, origin)) || forward_is_over(q, origin)) {
        /* A second copy of a message that is in the queue: nothing is left to do. */
        answer(s, in->txn, VERDICT_ACCEPT, NULL);
        return;
    }
    if (!submit_allowed(q, in, t, &err) || !(c = submit_build(q, in, t, &err))) {
        refuse(s, in->txn, id, &err);
        return;
    }
    c->txn = in->txn;
    c->owner = s->number;
    if (ipc_has(in, TAG_MESSAGE_ID))
        c->message_id = strv_dup(ipc_get(in, TAG_MESSAGE_ID));
    if (origin.n) {
        c->origin = strv_dup(origin);
        dict_set(q->origins, origin, c);
    }
    dict_set_u64(q->pending, id, c);
    store_commit(q->store, c);
}

static void on_submit(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct submitter *s = arg;
    struct mailq *q = s->q;
    struct tx *t = dict_get_u64(s->txs, in->txn);
    bool crowded = q->memory + store_pending(q->store) > MEMORY_MAX;

    (void)ch;
    if (!t && crowded)
        t = tx_new(s, in->txn);
    if (t && !t->failed && t->big.fd < 0 && (crowded || t->body.len + ipc_get(in, TAG_DATA).n > BODY_MAX) &&
        !tx_spill(q, t))
        t->failed = true;
    submit(s, in, t);
    tx_end(s, in->txn);
}

static void on_abort(void *arg, struct channel *ch, struct ipc_in *in)
{
    (void)ch;
    tx_end(arg, in->txn);
}

/* ---- durable ---- */

static void waiters_answer(struct mailq *q, uint64_t id, bool stored)
{
    struct waiter **at = &q->waiters;

    while (*at) {
        struct waiter *w = *at;
        struct submitter *s;

        if (w->id != id) {
            at = &w->next;
            continue;
        }
        *at = w->next;
        s = submitter_find(q, w->owner);
        if (s)
            answer(s, w->txn, stored ? VERDICT_ACCEPT : VERDICT_TEMPFAIL, NULL);
        free(w);
    }
}

/* A field that is left out of the line when there is nothing to say. */
static struct strv if_any(struct strv s)
{
    return s.n ? s : strv_make(NULL, 0);
}

static void stored_log(const struct commit *c, const struct envelope *e, size_t size)
{
    const struct envelope_rcpt *first = e->rcpt_n ? &e->rcpts[0] : NULL;
    char id[ID_TEXT_SIZE];

    id_text(c->id, id);
    LOG(INFO, "queue.message.stored", KS("id", id), KV("sid", if_any(e->sid)), KV("sender", e->sender),
        KV("to", if_any(first ? first->to : SV(""))),
        KV("orig_to", if_any(first ? first->original : SV(""))),
        KI("rcpts", e->rcpt_n), KI("size", size), KV("client", if_any(e->client)),
        KS("message_id", c->message_id), KV("origin", if_any(e->origin)), KV("hold", if_any(e->hold)));
}

/* The commit is durable: the message is the queue's. */
static void message_stored(struct mailq *q, struct commit *c)
{
    struct record record;
    struct bytes *bytes;
    struct err err;
    uint32_t handle;

    if (!record_views(strv_make(c->record, c->length), &record) ||
        !envelope_parse(record.envelope, &q->envelope, &err))
        die("a record that was just written is not one");
    handle = store_adopt(q->store, c, &q->envelope);
    stored_log(c, &q->envelope, record.message.n + (q->envelope.big ? (size_t)q->envelope.big_size : 0));
    bytes = bytes_new(c->record, c->length, &record);
    c->record = NULL;
    message_fresh(q, handle, bytes);
    bytes_unref(&bytes);
    message_settle(q, handle);
    for (size_t i = 0; i < q->envelope.rcpt_n; i++)
        if (q->envelope.rcpts[i].notify & NOTIFY_EXPANDED) {
            notice_want(q, handle);
            return;
        }
}

void submit_committed(struct mailq *q, struct commit *c)
{
    struct submitter *s = submitter_find(q, c->owner);

    dict_pop_u64(q->pending, c->id);
    if (c->origin)
        dict_pop(q->origins, SV(c->origin));
    if (s && c->ok)
        answer(s, c->txn, VERDICT_ACCEPT, NULL);
    else if (s)
        refuse(s, c->txn, c->id, &c->err);
    waiters_answer(q, c->id, c->ok);
    health_commit(q, c);
    if (c->ok && c->origin)
        trace_stored(q, SV(c->origin), c->id);
    if (c->ok)
        message_stored(q, c);
    else
        big_unlink(store_big_dir(q->store), c->id);
    if (c->origin) {
        notice_committed(q, SV(c->origin), c->id, c->ok);
        drops_committed(q, SV(c->origin), c->ok);
        forward_committed(q, SV(c->origin), c->id, c->ok);
        requeue_committed(q, SV(c->origin), c->id, c->ok);
    }
    commit_free(&c);
}

/* ---- the channel ---- */

static void on_query(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct submitter *s = arg;
    struct mailq *q = s->q;
    uint64_t id = ipc_get_u64(in, TAG_ID);
    struct waiter *w;

    (void)ch;
    if (dict_get_u64(q->pending, id)) {
        w = mem_new(sizeof *w);
        *w = (struct waiter){ q->waiters, id, in->txn, s->number };
        q->waiters = w;
        return;
    }
    if (ledger_find(&q->ledger, id) || ids_has(&q->recent, id)) {
        answer(s, in->txn, VERDICT_ACCEPT, NULL);
        return;
    }
    /* "No" is final: the client will send it again. */
    ids_push(&q->denied, id);
    answer(s, in->txn, VERDICT_TEMPFAIL, NULL);
}

static void on_notice_failed(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct submitter *s = arg;

    notice_on_failed(s->q, ch, in);
}

static void on_drop_done(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct submitter *s = arg;

    drops_on_done(s->q, ch, in);
}

static void on_forwarded(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct submitter *s = arg;

    if (!requeue_on_done(s->q, ch, in))
        forward_on_done(s->q, ch, in);
}

static void on_left_out(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct submitter *s = arg;

    requeue_on_left(s->q, ch, in);
}

static const struct channel_route routes[] = {
    { IPC_Q_BODY, on_body },
    { IPC_Q_HEADER, on_header },
    { IPC_Q_RCPTS, on_rcpts },
    { IPC_Q_SUBMIT, on_submit },
    { IPC_Q_ABORT, on_abort },
    { IPC_Q_QUERY, on_query },
    { IPC_N_FAILED, on_notice_failed },
    { IPC_DROP_DONE, on_drop_done },
    { IPC_N_FORWARDED, on_forwarded },
    { IPC_N_LEFT_OUT, on_left_out },
    { .type = IPC_NONE },
};

void submit_on_frame(void *arg, struct channel *ch, struct ipc_in *in)
{
    channel_dispatch(routes, arg, ch, in);
}

static void free_tx(void *arg, struct strv key, void *value)
{
    struct submitter *s = arg;
    uint64_t txn;

    memcpy(&txn, key.p, sizeof txn);
    dict_pop_u64(s->txs, txn);
    tx_free(s->q, value);
}

void submit_forget(struct submitter *s)
{
    dict_each(s->txs, free_tx, s);
    dict_free(&s->txs, NULL);
}

void submit_clear(struct mailq *q)
{
    struct waiter *w;

    submitters_clear(q);
    while ((w = q->waiters)) {
        q->waiters = w->next;
        free(w);
    }
    dict_free(&q->pending, NULL);
    dict_free(&q->origins, NULL);
    ids_clear(&q->recent);
    ids_clear(&q->denied);
}
