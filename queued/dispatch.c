/* dispatch.c - from what the schedule picks to jobs in a deliverd */
#include "common/base/dict.h"
#include "common/base/hash.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/os/fd.h"
#include "conf/conf.h"
#include "conf/processes.h"
#include "conf/queue.h"
#include "conf/route.h"
#include "queued/trace.h"

#include <stdlib.h>

#define FRESH_MAX   (64u * 1024u * 1024u) /* records kept in memory for their first dispatch */
#define FRAME_ROOM  2048u                 /* J_START without recipients and data: numbers, sender, names */
#define HEADER_ROOM 40000u                /* a larger header of a big message is streamed with its body */
#define AGAIN_S     60u /* a record that could not be read just now */

/* ---- the bytes of a message ---- */

void message_fresh(struct mailq *q, uint32_t message, struct bytes *bytes)
{
    if (q->fresh_bytes + bytes->size > FRESH_MAX)
        return;
    bytes->refs++;
    q->fresh_bytes += bytes->size;
    dict_set_u64(q->fresh, ledger_at(&q->ledger, message)->id, bytes);
}

static void fresh_forget(struct mailq *q, uint64_t id)
{
    struct bytes *b = dict_count(q->fresh) ? dict_pop_u64(q->fresh, id) : NULL;

    if (!b)
        return;
    q->fresh_bytes -= b->size;
    bytes_unref(&b);
}

/* Only until the next start: what a backup brought back is then tried again. */
static void message_damaged(struct mailq *q, uint32_t message, const char *why)
{
    struct message *m = ledger_at(&q->ledger, message);
    char id[ID_TEXT_SIZE];

    id_text(m->id, id);
    LOG(ERROR, "queue.message.unreadable", KS("id", id), KS("reason", why));
    m->flags |= MESSAGE_DAMAGED;
    ledger_recount(&q->ledger, m);
}

struct bytes *message_bytes(struct mailq *q, uint32_t message, struct err *err)
{
    struct message *m = ledger_at(&q->ledger, message);
    struct bytes *b = dict_count(q->fresh) ? dict_get_u64(q->fresh, m->id) : NULL;
    struct record record;
    struct buf bytes;

    if (b) {
        b->refs++;
        return b;
    }
    buf_init(&bytes, (size_t)m->place.length + 1);
    if (!store_read(q->store, m->place, &bytes, &record, err)) {
        buf_clear(&bytes);
        if (err->cls == ERR_PROTO)
            message_damaged(q, message, err->text);
        return NULL;
    }
    /* The buffer's memory becomes the bytes'. */
    return bytes_new(bytes.data, bytes.len, &record);
}

/* ---- where parts are ---- */

void part_settle(struct mailq *q, uint32_t part)
{
    struct sched *sched = q->ledger.sched;
    struct part *p = sched_part(sched, part);
    const struct message *m = ledger_at(&q->ledger, p->message);

    if (m->flags & (MESSAGE_HELD | MESSAGE_DAMAGED | MESSAGE_MOVING)) {
        sched_idle(sched, part);
    } else if (part_has(&q->ledger, part, RCPT_OPEN)) {
        if (p->attempts == 0 && sched_rest_until(sched, part))
            suspend_part(q, part);
        else
            sched_ready(sched, part);
    } else if (p->running == 0 && part_has(&q->ledger, part, RCPT_WAIT)) {
        uint32_t limit = sched_retry_limit(sched, p->attempts, mailq_now_s(q));

        /* What an older configuration, or a clock that was wrong, promised does not hold longer than today's.
         */
        sched_wait(sched, part, p->due < limit ? p->due : limit);
    } else {
        sched_idle(sched, part);
    }
    dispatch_soon(q);
}

void message_settle(struct mailq *q, uint32_t message)
{
    uint64_t id = ledger_at(&q->ledger, message)->id;

    for (uint32_t part = ledger_at(&q->ledger, message)->part, next; part; part = next) {
        next = sched_part(q->ledger.sched, part)->sibling;
        part_settle(q, part);
        /* Suspension may not end a message, but nothing here depends on that. */
        if (next && ledger_find(&q->ledger, id) != message)
            return;
    }
}

/* ---- starting a job ---- */

/* Everybody whose time has come: those never tried first, the deferred ones when there are none. */
static void rcpts_reopen(struct mailq *q, uint32_t part)
{
    struct message *m = ledger_at(&q->ledger, sched_part(q->ledger.sched, part)->message);

    if (part_has(&q->ledger, part, RCPT_OPEN))
        return;
    for (uint32_t i = 0; i < m->rcpt_n; i++)
        if (message_rcpt(m, i)->part == part && message_rcpt(m, i)->state == RCPT_WAIT)
            rcpt_state_set(m, message_rcpt(m, i), RCPT_OPEN);
    ledger_recount(&q->ledger, m);
}

static void put_rcpt(struct ipc_out *o, const struct envelope_rcpt *r, uint32_t index)
{
    ipc_group_begin(o, TAG_RCPT);
    ipc_put_u64(o, TAG_RCPT_INDEX, index);
    ipc_put_clean(o, TAG_RCPT, r->to);
    if (r->original.n)
        ipc_put_clean(o, TAG_ORIGINAL, r->original);
    if (r->notify)
        ipc_put_u64(o, TAG_NOTIFY, r->notify);
    if (r->orcpt.n)
        ipc_put_clean(o, TAG_ORCPT, r->orcpt);
    if (r->target.n)
        ipc_put_clean(o, TAG_TARGET, r->target);
    ipc_group_end(o);
}

/* Copies of the addresses for log lines: the record may be on disk again when the result comes. */
static void job_names(struct job *job, const struct envelope *e)
{
    size_t n = 0;
    char *p;

    for (size_t i = 0; i < job->rcpt_n; i++)
        n += e->rcpts[job->rcpts[i].index].to.n + e->rcpts[job->rcpts[i].index].original.n;
    p = job->text = mem_new(n + 1);
    for (size_t i = 0; i < job->rcpt_n; i++) {
        const struct envelope_rcpt *r = &e->rcpts[job->rcpts[i].index];

        job->rcpts[i].to = strv_make(p, r->to.n);
        p = mempcpy(p, r->to.p, r->to.n);
        job->rcpts[i].original = strv_make(r->original.n ? p : NULL, r->original.n);
        p = mempcpy(p, r->original.n ? r->original.p : "", r->original.n);
    }
}

/* Takes open recipients of the part into the frame and the job; the bytes they need in the frame. */
static void job_take_rcpts(struct mailq *q, struct job *job, const struct envelope *e)
{
    struct message *m = ledger_at(&q->ledger, job->message);
    size_t room = IPC_FRAME_MAX - FRAME_ROOM - e->sender.n - e->envid.n, max = limits_rcpts(q, job->part);

    for (uint32_t i = 0; i < m->rcpt_n && job->rcpt_n < max; i++) {
        struct rcpt *r = message_rcpt(m, i);
        size_t size = e->rcpts[i].to.n + e->rcpts[i].original.n + e->rcpts[i].orcpt.n +
                      e->rcpts[i].target.n + 64;

        if (r->part != job->part || r->state != RCPT_OPEN)
            continue;
        if (size > room)
            break;
        room -= size;
        put_rcpt(&q->out, &e->rcpts[i], i);
        rcpt_state_set(m, r, RCPT_RUNNING);
        job->rcpts[job->rcpt_n++] = (struct job_rcpt){ .index = i, .pending = true };
    }
    job->pending = job->rcpt_n;
}

/* Whole when it fits; else the rest follows in chunks, or lies in the file whose descriptor goes along. */
static void job_put_message(struct mailq *q, struct job *job, struct bytes *bytes, const struct envelope *e,
                            int big_fd)
{
    struct ipc_out *o = &q->out;
    uint64_t total = bytes->message.n + (e->big ? e->big_size : 0);
    size_t room = IPC_FRAME_MAX - FRAME_ROOM / 2;

    ipc_put_u64(o, TAG_SIZE, total);
    if (bytes->message.n <= IPC_INLINE_MAX && ipc_out_size(o) + bytes->message.n <= room &&
        (!e->big || bytes->message.n <= HEADER_ROOM)) {
        ipc_put_bytes(o, TAG_DATA, bytes->message);
        if (e->big) {
            ipc_put_u64(o, TAG_BODY_SIZE, e->big_size);
            ipc_put_fd(o, big_fd);
        }
        return;
    }
    job->bytes = bytes;
    bytes->refs++;
    job->big_fd = big_fd;
    job->big_left = e->big ? e->big_size : 0;
}

static void job_send(struct mailq *q, struct job *job, struct bytes *bytes, const struct envelope *e,
                     int big_fd)
{
    struct sched *sched = q->ledger.sched;
    struct ipc_out *o = &q->out;
    uint64_t flags;

    job->txn = ++q->job_number;
    ipc_begin(o, IPC_J_START, job->txn);
    ipc_put_u64(o, TAG_ID, job->id);
    ipc_put_clean(o, TAG_DEST, sched_domain(sched, job->part));
    ipc_put_u64(o, TAG_LOCAL, sched_is_local(sched, job->part));
    ipc_put_clean(o, TAG_SENDER, e->sender);
    job_take_rcpts(q, job, e);
    ipc_put_u64(o, TAG_ARRIVAL, e->arrival);
    ipc_put_u64(o, TAG_ATTEMPT, job->attempt);
    ipc_put_u64(o, TAG_EXPIRES,
                (uint64_t)(ledger_at(&q->ledger, job->message)->since + q->conf->expire_after * 1000));
    ipc_put_u64(o, TAG_BODY_TYPE, e->body_type);
    if (e->envid.n)
        ipc_put_clean(o, TAG_ENVID, e->envid);
    if (e->ret)
        ipc_put_u64(o, TAG_RET, e->ret);
    if (e->priority)
        ipc_put_u64(o, TAG_PRIORITY, e->priority & PRIORITY_MAX);
    flags = (trace_wanted(q, job->id) ? 1u : 0) | (sched_asks(sched, job->part) ? 2u : 0);
    if (flags)
        ipc_put_u64(o, TAG_FLAGS, flags);
    job_put_message(q, job, bytes, e, big_fd);
    channel_send(q->deliverds[job->deliverd].ch, o);
    job_names(job, e);
    job->ms_before = e->stored > e->arrival ? (int64_t)(e->stored - e->arrival) : 0;
    job->ms_queue = mailq_now_ms(q) - (int64_t)(e->stored ? e->stored : e->arrival);
}

/* False: the message cannot be read (it is held), or not now (it waits). */
static bool message_open(struct mailq *q, uint32_t message, struct bytes **bytes, int *big_fd)
{
    struct err err = { .cls = ERR_OK };
    bool ok;

    *big_fd = -1;
    *bytes = message_bytes(q, message, &err);
    if (!*bytes)
        return false;
    ok = envelope_parse((*bytes)->envelope, &q->envelope, &err) &&
         q->envelope.rcpt_n == ledger_at(&q->ledger, message)->rcpt_n;
    if (ok && q->envelope.big) {
        *big_fd = store_big_open(q->store, ledger_at(&q->ledger, message)->id, q->envelope.big_size, &err);
        ok = *big_fd >= 0;
    }
    if (ok)
        return true;
    if (err.cls == ERR_PROTO)
        message_damaged(q, message, err.text);
    bytes_unref(bytes);
    return false;
}

static void part_start(struct mailq *q, uint32_t part, unsigned deliverd)
{
    struct sched *sched = q->ledger.sched;
    uint32_t message = sched_part(sched, part)->message;
    struct bytes *bytes;
    struct job *job;
    int big_fd;

    rcpts_reopen(q, part);
    if (!message_open(q, message, &bytes, &big_fd)) {
        sched_ended(sched, part, SCHED_NEUTRAL, mailq_now_s(q));
        if (!(ledger_at(&q->ledger, message)->flags & MESSAGE_DAMAGED))
            sched_wait(sched, part, mailq_now_s(q) + AGAIN_S);
        return;
    }
    job = job_new(q, deliverd, message, part, limits_rcpts(q, part));
    job_send(q, job, bytes, &q->envelope, big_fd);
    bytes_unref(&bytes);
    job_stream(q, job);
    if (part_has(&q->ledger, part, RCPT_OPEN)) {
        sched_ready(sched, part);
        return;
    }
    if (sched_asks(sched, part))
        return; /* the same bytes are wanted again in a moment */
    for (part = ledger_at(&q->ledger, message)->part; part; part = sched_part(sched, part)->sibling)
        if (sched_part(sched, part)->state == PART_READY)
            return;
    fresh_forget(q, job->id);
}

static void due_arm(struct mailq *q)
{
    uint32_t next = sched_next(q->ledger.sched), now = mailq_now_s(q);

    if (!next)
        loop_timer_stop(&q->due_timer);
    else
        loop_timer_set(&q->due_timer, next <= now ? 1 : (int64_t)next * 1000 - mailq_now_ms(q) + 1);
}

static void on_dispatch(void *arg)
{
    struct mailq *q = arg;
    struct sched *sched = q->ledger.sched;

    if (!q->started)
        return;
    sched_tick(sched, mailq_now_s(q));
    while (q->deliverd_n > 0 && deliverd_all_known(q) && !q->ledger.paused && !q->draining &&
           q->conf->deliver) {
        uint32_t part = sched_pick(sched, choose_sides(q));

        if (!part)
            break;
        part_start(q, part, choose_deliverd(q, part));
    }
    due_arm(q);
}

void dispatch_soon(struct mailq *q)
{
    if (!q->dispatch_task.fn)
        q->dispatch_task = (struct loop_task){ .fn = on_dispatch, .arg = q };
    if (q->started)
        loop_later(q->loop, &q->dispatch_task);
}

static void on_fresh_free(void *value)
{
    struct bytes *b = value;

    bytes_unref(&b);
}

void dispatch_clear(struct mailq *q)
{
    loop_later_cancel(q->loop, &q->dispatch_task);
    dict_free(&q->fresh, on_fresh_free);
    free(q->acks);
}
