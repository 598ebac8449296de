/* tx.c - transactions over the channel to cleanup */
#include "smtpd/tx.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/ipc/channel.h"
#include "common/net/loop.h"
#include "smtpd/service.h"

#include <stdlib.h>

struct tx_link {
    struct loop *loop;              /* borrowed */
    const struct tx_events *events; /* borrowed */
    struct channel *channel;        /* owned; NULL while cleanup is away */
    struct txn_table open;
    struct tx *doubts; /* list; without a channel to ask over */
    struct ipc_out out;
};

struct tx_link *tx_link_new(struct loop *l, const struct tx_events *events)
{
    struct tx_link *link = mem_new(sizeof *link);

    link->loop = l;
    link->events = events;
    txn_table_init(&link->open);
    ipc_out_init(&link->out);
    return link;
}

bool tx_link_ready(const struct tx_link *link)
{
    return link->channel && !channel_is_congested(link->channel);
}

size_t tx_link_count(const struct tx_link *link)
{
    return link->open.count;
}

static void doubt_leave(struct tx *t)
{
    if (!t->doubt)
        return;
    *t->doubt_at = t->doubt_next;
    if (t->doubt_next)
        t->doubt_next->doubt_at = t->doubt_at;
    t->doubt = false;
}

static void doubt_enter(struct tx *t)
{
    struct tx_link *link = t->link;

    t->doubt = true;
    t->doubt_next = link->doubts;
    t->doubt_at = &link->doubts;
    if (t->doubt_next)
        t->doubt_next->doubt_at = &t->doubt_next;
    link->doubts = t;
}

/* The number is forgotten on this side; cleanup forgets it with its answer, the abort or the channel. */
static void tx_close(struct tx *t)
{
    struct tx_link *link = t->link;

    doubt_leave(t);
    if (t->node.txn == 0)
        return;
    txn_table_remove(&link->open, &t->node);
    if (link->channel)
        channel_txn_end(link->channel, t->node.txn);
    t->node.txn = 0;
    t->asked = 0;
    t->ended = false;
}

static void lose_one(void *arg, struct txn_node *n)
{
    struct tx_link *link = arg;
    struct tx *t = (struct tx *)n;
    bool ended = t->ended;

    tx_close(t);
    if (ended)
        doubt_enter(t);
    if (ended)
        link->events->doubt(t->arg, false);
    else
        link->events->lost(t->arg);
}

/* A new cleanup is there: what became of the messages whose end the old one got? */
static void doubts_ask(struct tx_link *link)
{
    while (link->doubts) {
        struct tx *t = link->doubts;

        doubt_leave(t);
        t->ended = true;
        t->node.txn = txn_number();
        txn_table_add(&link->open, &t->node);
        ipc_begin(&link->out, IPC_TX_QUERY, t->node.txn);
        ipc_put_u64(&link->out, TAG_ID, t->id);
        t->frames = 1;
        channel_send(link->channel, &link->out);
        link->events->doubt(t->arg, true);
    }
}

static void link_drop(struct tx_link *link)
{
    channel_free(&link->channel);
    txn_table_each(&link->open, lose_one, link);
}

static void on_lost(void *arg, struct channel *ch, const char *why)
{
    struct tx_link *link = arg;

    (void)ch;
    LOG(WARN, "smtp.cleanup.lost", KS("why", why), KI("transactions", link->open.count));
    link_drop(link);
}

static void on_ready(void *arg, struct channel *ch, uint64_t txn)
{
    struct tx_link *link = arg;
    struct tx *t = (struct tx *)txn_table_find(&link->open, txn);

    (void)ch;
    if (t)
        link->events->room(t->arg);
}

static struct tx_answer answer_read(const struct ipc_in *in)
{
    static const enum tx_verdict verdicts[] = {
        [VERDICT_ACCEPT] = TX_ACCEPT,
        [VERDICT_REFUSE] = TX_REFUSE,
        [VERDICT_TEMPFAIL] = TX_TEMPFAIL,
    };

    return (struct tx_answer){
        .verdict = verdicts[ipc_get_u64(in, TAG_VERDICT)],
        .code = (int)ipc_get_u64(in, TAG_CODE),
        .enhanced = ipc_get(in, TAG_ENHANCED),
        .text = ipc_get(in, TAG_TEXT),
        .rule = ipc_get(in, TAG_RULE),
    };
}

static void on_rcpt_reply(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct tx_link *link = arg;
    struct tx *t = (struct tx *)txn_table_find(&link->open, in->txn);
    struct tx_answer a;

    if (!t)
        return; /* aborted meanwhile */
    if (t->asked == 0 || ipc_get_u64(in, TAG_RCPT_INDEX) != t->asked) {
        channel_break(ch, "verdict about a recipient that nobody asked for");
        return;
    }
    a = answer_read(in);
    t->asked = 0;
    link->events->rcpt(t->arg, &a);
}

static void on_done(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct tx_link *link = arg;
    struct tx *t = (struct tx *)txn_table_find(&link->open, in->txn);
    struct tx_answer a;

    if (!t)
        return;
    if (!t->ended) {
        channel_break(ch, "verdict about a message that is not complete");
        return;
    }
    a = answer_read(in);
    tx_close(t);
    link->events->done(t->arg, &a);
}

static const struct channel_route routes[] = {
    { IPC_TX_RCPT_REPLY, on_rcpt_reply },
    { IPC_TX_DONE, on_done },
    { 0, NULL },
};

static void on_frame(void *arg, struct channel *ch, struct ipc_in *in)
{
    channel_dispatch(routes, arg, ch, in);
}

static const struct channel_ops channel_ops = { .frame = on_frame, .lost = on_lost, .ready = on_ready };

void tx_link_set(struct tx_link *link, int fd, unsigned peer_index)
{
    if (link->channel)
        link_drop(link);
    link->channel = channel_new(link->loop, fd, ROLE_SMTPD, ROLE_CLEANUP, peer_index, &channel_ops, link);
    doubts_ask(link);
}

void tx_link_free(struct tx_link **link)
{
    if (!*link)
        return;
    if ((*link)->channel)
        channel_flush((*link)->channel);
    channel_free(&(*link)->channel);
    txn_table_clear(&(*link)->open);
    ipc_out_clear(&(*link)->out);
    MEM_FREE(*link);
}

void tx_init(struct tx *t, struct tx_link *link, void *arg)
{
    *t = (struct tx){ .link = link, .arg = arg };
}

bool tx_is_open(const struct tx *t)
{
    return t->node.txn != 0 || t->doubt;
}

static struct strv sender_text(const struct engine *e)
{
    struct buf *text = &e->service->scratch;

    buf_reset(text);
    if (!address_is_null(&e->envelope.sender.address))
        address_format(&e->envelope.sender.address, text);
    return buf_view(text);
}

/* RFC 3848. */
static struct strv protocol(const struct engine *e)
{
    if (!e->esmtp)
        return SV_LIT("SMTP");
    if (e->login)
        return SV_LIT("ESMTPSA"); /* there is no AUTH in the clear */
    return e->tls ? SV_LIT("ESMTPS") : SV_LIT("ESMTP");
}

static void send_frame(struct tx *t)
{
    t->frames++;
    channel_send(t->link->channel, &t->link->out);
}

void tx_open(struct tx *t, const struct engine *e)
{
    struct ipc_out *o = &t->link->out;

    t->frames = 0;
    t->id = e->envelope.id;
    t->node.txn = txn_number();
    txn_table_add(&t->link->open, &t->node);
    ipc_begin(o, IPC_TX_OPEN, t->node.txn);
    ipc_put_text(o, TAG_SID, SV(e->sid));
    ipc_put_u64(o, TAG_ID, e->envelope.id);
    ipc_put_text(o, TAG_CLIENT, SV(e->client_text));
    ipc_put_u64(o, TAG_PORT, e->client.port);
    if (e->client_name)
        ipc_put_clean(o, TAG_CLIENT_NAME, SV(e->client_name));
    if (e->helo)
        ipc_put_clean(o, TAG_HELO, SV(e->helo));
    ipc_put_text(o, TAG_PROTOCOL, protocol(e));
    if (e->cipher)
        ipc_put_clean(o, TAG_DOMAIN, SV(e->cipher));
    ipc_put_text(o, TAG_LISTENER, SV(e->service->listen->head.name));
    ipc_put_u64(o, TAG_OWN, e->own);
    if (e->login)
        ipc_put_clean(o, TAG_LOGIN, SV(e->login));
    ipc_put_text(o, TAG_SENDER, sender_text(e));
    if (e->envelope.declared > 0)
        ipc_put_u64(o, TAG_SIZE, e->envelope.declared);
    ipc_put_u64(o, TAG_BODY_TYPE, e->envelope.eight_bit ? BODY_8BITMIME : BODY_7BIT);
    ipc_put_u64(o, TAG_ARRIVAL, (uint64_t)e->envelope.arrival);
    if (e->envelope.envid)
        ipc_put_clean(o, TAG_ENVID, SV(e->envelope.envid));
    if (e->envelope.ret)
        ipc_put_u64(o, TAG_RET, e->envelope.ret);
    if (e->envelope.priority)
        ipc_put_u64(o, TAG_PRIORITY, e->envelope.priority);
    send_frame(t);
}

void tx_rcpt(struct tx *t, const struct engine *e, unsigned index, struct strv rcpt, bool local)
{
    struct ipc_out *o = &t->link->out;

    t->asked = index;
    ipc_begin(o, IPC_TX_RCPT, t->node.txn);
    ipc_put_u64(o, TAG_RCPT_INDEX, index);
    ipc_put_text(o, TAG_RCPT, rcpt);
    ipc_put_u64(o, TAG_LOCAL, local);
    if (e->envelope.rcpt_notify)
        ipc_put_u64(o, TAG_NOTIFY, e->envelope.rcpt_notify);
    if (e->envelope.rcpt_orcpt)
        ipc_put_clean(o, TAG_ORCPT, SV(e->envelope.rcpt_orcpt));
    send_frame(t);
}

size_t tx_room(const struct tx *t)
{
    return t->link->channel ? channel_credit(t->link->channel, t->node.txn) : 0;
}

void tx_body(struct tx *t, struct strv data)
{
    struct ipc_out *o = &t->link->out;

    ipc_begin(o, IPC_TX_BODY, t->node.txn);
    ipc_put_bytes(o, TAG_DATA, data);
    send_frame(t);
}

void tx_end(struct tx *t, struct strv rest, uint64_t size, unsigned rcpts)
{
    struct ipc_out *o = &t->link->out;

    t->ended = true;
    ipc_begin(o, IPC_TX_END, t->node.txn);
    if (rest.n > 0)
        ipc_put_bytes(o, TAG_DATA, rest);
    ipc_put_u64(o, TAG_SIZE, size);
    ipc_put_u64(o, TAG_COUNT, rcpts);
    send_frame(t);
}

void tx_abort(struct tx *t)
{
    struct tx_link *link = t->link;

    if (!tx_is_open(t))
        return;
    if (link->channel && t->node.txn != 0) {
        /* With a cleanup that hangs, a client that goes round in MAIL and RSET must not fill our memory. */
        if (channel_unsend(link->channel, t->node.txn) < t->frames) {
            ipc_begin(&link->out, IPC_TX_ABORT, t->node.txn);
            channel_send(link->channel, &link->out);
        }
    }
    tx_close(t);
}
