/* session.c - the agent's conversation with deliverd: frames in, deposits, results out, and when to end */
#include "deliverd/agent/session.h"

#include <stdio.h>
#include <sys/socket.h>

#include "common/base/id.h"
#include "common/base/log.h"
#include "common/proc/agent_start.h"

/* ---- results ---- */

static void result_put(struct session *s, uint64_t txn, const char *id, const char *rcpt,
                       const struct deposit_result *r)
{
    struct ipc_out o;

    LOG(DEBUG, "agent.deposit.done", KS("id", id), KS("rcpt", rcpt), KI("outcome", r->outcome),
        KS("status", r->enhanced), KS("text", r->text));
    ipc_out_init(&o);
    ipc_begin(&o, IPC_A_RESULT, txn);
    ipc_put_u64(&o, TAG_OUTCOME, r->outcome);
    ipc_put_text(&o, TAG_ENHANCED, SV(r->enhanced));
    ipc_put_clean(&o, TAG_TEXT, SV(r->text));
    for (size_t i = 0; r->forward && i < s->deposit.forward.n; i++)
        ipc_put_clean(&o, TAG_TARGET, dotforward_target(&s->deposit.forward, i));
    channel_send(s->ch, &o);
    ipc_out_clear(&o);
}

static void tell(void *arg, const struct batch_item *item)
{
    struct session *s = arg;

    if (item)
        result_put(s, item->txn, item->id, item->rcpt, &item->result);
    else
        channel_flush(s->ch);
}

static void batch_end(struct session *s)
{
    loop_later_cancel(s->loop, &s->task);
    batch_commit(&s->batch, tell, s);
}

/* What the deposit has become. */
static void deposit_moved(struct session *s, enum deposit_state state)
{
    if (state == DEPOSIT_DONE) {
        s->taking = false;
        result_put(s, s->txn, s->id, s->deposit.rcpt, &s->deposit.result);
        /* At once: the end of the channel may lie in the same batch of frames, and would drop what waits. */
        channel_flush(s->ch);
        deposit_tidy(&s->deposit);
    } else if (state == DEPOSIT_WRITTEN) {
        s->taking = false;
        batch_add(&s->batch, &s->deposit, s->txn, s->id);
        if (s->closing || batch_full(&s->batch)) /* closing: the same, the end is near */
            batch_end(s);
        else
            loop_later(s->loop, &s->task);
    }
}

static void timer_set(struct session *s)
{
    if (!s->closing)
        loop_timer_set(&s->timer, s->taking ? SESSION_STALL_MS : SESSION_IDLE_MS);
}

static void unfinished_drop(struct session *s, const char *why)
{
    if (s->taking)
        LOG(WARN, "agent.deposit.aborted", KS("id", s->id), KS("rcpt", s->deposit.rcpt), KS("why", why));
    s->taking = false;
    deposit_abort(&s->deposit);
}

static void on_task(void *arg)
{
    batch_end(arg);
}

/* ---- frames ---- */

/* One message of A_DEPOSIT; false: nonsense, the channel is being lost. */
static bool request_read(struct channel *ch, struct ipc_in *in, struct deposit_request *r)
{
    *r = (struct deposit_request){
        .path = ipc_get(in, TAG_PATH),
        .rcpt = ipc_get(in, TAG_RCPT),
        .sender = ipc_get(in, TAG_SENDER),
        .data = ipc_get(in, TAG_DATA),
        .user = ipc_get(in, TAG_NAME),
        .domain = ipc_get(in, TAG_DOMAIN),
        .extension = ipc_get(in, TAG_KEY),
        .size = ipc_get_u64(in, TAG_SIZE),
        .kind = ipc_get_u64(in, TAG_KIND),
        .spool = ipc_get_u64(in, TAG_FLAGS) & DEPOSIT_IN_SPOOL,
        .ask_forward = ipc_get_u64(in, TAG_FLAGS) & DEPOSIT_ASK_FORWARD,
        .expanded = ipc_get_u64(in, TAG_FLAGS) & DEPOSIT_EXPANDED,
        .target = ipc_get(in, TAG_TARGET),
        .quota = ipc_get_u64(in, TAG_QUOTA),
        .body_size = ipc_get_u64(in, TAG_BODY_SIZE),
        .body_fd = -1,
    };
    if (in->fd_count > 1 || (in->fd_count == 1) != ipc_has(in, TAG_BODY_SIZE)) {
        channel_break(ch, "A_DEPOSIT: the body's size and its descriptor belong together");
        return false;
    }
    if (r->rcpt.n == 0) {
        channel_break(ch, "A_DEPOSIT to nobody");
        return false;
    }
    r->body_fd = ipc_take_fd(in, 0);
    return true;
}

static void on_deposit(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct session *s = arg;
    struct deposit_request r;

    if (s->taking) {
        channel_break(ch, "A_DEPOSIT before the one before ended");
        return;
    }
    if (!request_read(ch, in, &r))
        return;
    if (s->txn != in->txn)
        channel_txn_end(ch, s->txn);
    s->txn = in->txn;
    s->taking = true;
    id_text(ipc_get_u64(in, TAG_ID), s->id);
    if (r.quota > 0 && s->batch.n > 0)
        batch_end(s); /* what it looks at must be there */
    deposit_moved(s, deposit_begin(&s->deposit, &r));
    channel_consumed(ch, in->txn, in->bulk);
}

/* The frame belongs to the latest deposit; false: the channel is being lost. */
static bool is_latest(const struct session *s, struct channel *ch, const struct ipc_in *in)
{
    if (in->txn == s->txn)
        return true;
    channel_break(ch, "part of a deposit that was not begun");
    return false;
}

static void on_body(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct session *s = arg;

    if (!is_latest(s, ch, in))
        return;
    if (s->taking)
        deposit_moved(s, deposit_chunk(&s->deposit, ipc_get(in, TAG_DATA)));
    channel_consumed(ch, in->txn, in->bulk);
}

static void on_end(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct session *s = arg;

    if (!is_latest(s, ch, in))
        return;
    if (s->taking)
        deposit_moved(s, deposit_end(&s->deposit));
    channel_txn_end(ch, in->txn);
}

/* Of a deposit that has its result, or whose A_DEPOSIT never left deliverd, there is nothing to forget. */
static void on_abort(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct session *s = arg;

    if (in->txn == s->txn && s->taking)
        unfinished_drop(s, "deliverd withdrew it");
    else
        batch_remove(&s->batch, in->txn);
    channel_txn_end(ch, in->txn);
}

static const struct channel_route routes[] = {
    { IPC_A_DEPOSIT, on_deposit },
    { IPC_A_BODY, on_body },
    { IPC_A_END, on_end },
    { IPC_A_ABORT, on_abort },
    { 0, NULL },
};

static void on_frame(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct session *s = arg;

    if (!agent_common_frame(ch, in))
        channel_dispatch(routes, s, ch, in);
    timer_set(s);
}

/* ---- the end ---- */

static void on_lost(void *arg, struct channel *ch, const char *why)
{
    struct session *s = arg;

    (void)ch;
    unfinished_drop(s, why);
    loop_later_cancel(s->loop, &s->task);
    batch_drop(&s->batch); /* nobody would hear of it: not delivered rather than twice */
    loop_stop(s->loop);
}

/* From the shutdown on deliverd's sends fail, so that no frame can lie unread in a channel that goes: what
   came before is still served, and the end of file behind it ends us. */
static void on_timer(void *arg)
{
    struct session *s = arg;
    char byte;

    if (s->batch.n > 0)
        batch_end(s);
    if (s->taking) {
        unfinished_drop(s, "nothing came for too long");
        loop_stop(s->loop);
        return;
    }
    if (!s->closing) {
        s->closing = true;
        shutdown(s->fd, SHUT_RD);
    }
    if (recv(s->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0)
        loop_timer_set(&s->timer, 1000);
    else
        loop_stop(s->loop);
}

static const struct channel_ops ops = { on_frame, on_lost, NULL };

void session_start(struct session *s, struct loop *loop, int fd, enum role peer,
                   const struct maildir_place *place, const struct maildir_place *spool)
{
    s->loop = loop;
    s->fd = fd;
    s->txn = 0;
    s->taking = s->closing = false;
    s->id[0] = '\0';
    s->batch.n = 0;
    s->batch.part_ms = BATCH_PART_MS;
    s->task = (struct loop_task){ .fn = on_task, .arg = s };
    deposit_init(&s->deposit, place);
    s->deposit.later = true;
    if (spool)
        s->deposit.spool = *spool;
    loop_timer_init(&s->timer, loop, on_timer, s);
    s->ch = channel_new(loop, fd, ROLE_AGENT, peer, 0, &ops, s);
    timer_set(s);
}

void session_end(struct session *s)
{
    unfinished_drop(s, "the agent ends");
    loop_later_cancel(s->loop, &s->task);
    batch_drop(&s->batch);
    loop_timer_stop(&s->timer);
    dotforward_clear(&s->deposit.forward);
    channel_free(&s->ch);
}
