/* change.c - what an operator does to a message; each is journal entries, so that a restart knows it */
#include "common/base/log.h"
#include "common/ipc/schema.h"
#include "queued/ctl.h"

static void change_log(const char *event, uint64_t id, unsigned uid, struct strv reason)
{
    char text[ID_TEXT_SIZE];

    id_text(id, text);
    log_emit(LOG_LV_INFO, event,
             (const struct kv[]){ KS("id", text), KI("uid", uid), KV("reason", reason), { .key = NULL } });
}

static bool hold(struct mailq *q, uint32_t message, unsigned uid, struct strv reason)
{
    struct message *m = ledger_at(&q->ledger, message);

    if (m->flags & MESSAGE_HELD)
        return false;
    store_note(q->store, &(struct entry){ .kind = ENTRY_HOLD,
                                          .id = m->id,
                                          .text = reason.n ? reason : SV_LIT("by the operator") });
    message_settle(q, message);
    change_log("queue.message.held", m->id, uid, reason);
    return true;
}

static bool release(struct mailq *q, uint32_t message, unsigned uid, struct strv reason)
{
    struct message *m = ledger_at(&q->ledger, message);

    if (!(m->flags & (MESSAGE_HELD | MESSAGE_DAMAGED)))
        return false;
    store_note(q->store, &(struct entry){ .kind = ENTRY_RELEASE, .id = m->id });
    message_settle(q, message);
    change_log("queue.message.released", m->id, uid, reason);
    return true;
}

/* Whoever has not begun need not. One that has may still deliver: nobody can take that back. */
static void jobs_cancel(struct mailq *q, const struct message *m)
{
    for (unsigned i = 0; m->jobs > 0 && i < q->deliverd_n; i++) {
        for (const struct job *job = q->deliverds[i].jobs; job && q->deliverds[i].ch; job = job->next) {
            if (job->id != m->id || !job->txn)
                continue;
            ipc_begin(&q->out, IPC_J_CANCEL, job->txn);
            channel_send(q->deliverds[i].ch, &q->out);
        }
    }
}

/* Recipients in one of these states (a mask); wants: 1 those who are told of failures, 0 the others, -1 all.
 */
static bool list_states(struct mailq *q, uint32_t message, unsigned states, int wants)
{
    struct message *m = ledger_at(&q->ledger, message);
    struct list_writer list = { .out = &q->list };

    buf_reset(&q->list);
    for (uint32_t i = 0; i < m->rcpt_n; i++) {
        struct rcpt *r = message_rcpt(m, i);

        if ((states & (1u << r->state)) && (wants < 0 || rcpt_wants(m, r, NOTIFY_FAILURE) == (wants > 0)))
            list_write(&list, i);
    }
    list_finish(&list);
    return q->list.len > 0;
}

static bool delete (struct mailq *q, uint32_t message, unsigned uid, struct strv reason)
{
    uint64_t id = ledger_at(&q->ledger, message)->id;

    if (!list_states(q, message, ~(1u << RCPT_DONE), -1))
        return false;
    change_log("queue.message.deleted", id, uid, reason);
    jobs_cancel(q, ledger_at(&q->ledger, message));
    store_note(q->store,
               &(struct entry){
                   .kind = ENTRY_DROPPED, .id = id, .list = buf_view(&q->list), .time = mailq_now_s(q) });
    return true;
}

/* Recipients that a job has are left to it: its result, a failure too, is news of its own. */
static bool bounce(struct mailq *q, uint32_t message, unsigned uid, struct strv reason)
{
    const unsigned idle = 1u << RCPT_OPEN | 1u << RCPT_WAIT;
    uint64_t id = ledger_at(&q->ledger, message)->id;
    struct verdict v = {
        .outcome = OUTCOME_FAILED,
        .enhanced = SV_LIT("5.7.1"),
        .reply = reason.n ? reason : SV_LIT("returned by the administrator of this host"),
    };
    bool any = false;

    for (int wants = 0; wants <= 1 && ledger_find(&q->ledger, id) == message; wants++) {
        if (!list_states(q, message, idle, wants))
            continue;
        any = true;
        verdict_note(q, id, buf_view(&q->list), &v, wants > 0);
    }
    if (any)
        change_log("queue.message.returned", id, uid, reason);
    if (ledger_find(&q->ledger, id) != message)
        return any;
    message_settle(q, message);
    notice_want(q, message);
    return any;
}

static bool flush(struct mailq *q, uint32_t message, unsigned uid, struct strv reason)
{
    struct message *m = ledger_at(&q->ledger, message);
    bool any = false;

    (void)uid;
    (void)reason;
    if (m->flags & (MESSAGE_HELD | MESSAGE_DAMAGED))
        return false;
    for (uint32_t i = 0; i < m->rcpt_n; i++) {
        struct rcpt *r = message_rcpt(m, i);

        if (r->state != RCPT_WAIT && r->state != RCPT_OPEN)
            continue;
        rcpt_state_set(m, r, RCPT_OPEN);
        sched_wake(q->ledger.sched, r->part);
        any = true;
    }
    if (any) {
        ledger_recount(&q->ledger, m);
        message_settle(q, message);
    }
    return any;
}

const struct change changes[] = {
    { "hold", hold },     { "release", release }, { "delete", delete },
    { "bounce", bounce }, { "flush", flush },     { .name = NULL },
};
