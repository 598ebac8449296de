/* results.c - what became of recipients: into the journal, then acknowledged to deliverd */
#include "common/base/hash.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/ipc/frame.h"
#include "conf/queue.h"
#include "queued/mailq.h"
#include "queued/result_line.h"

#include <stdlib.h>

#define SERVICE_S   5u /* until the next try when one of our own daemons was away, and up to as long again */
#define LOOKUP_SLOW 5000u /* ms: name servers that are far away, or ask again, need less */
#define SUSPEND_MAX 1000u /* lines at once; further ones wait silently for the destination */

bool rcpt_wants(const struct message *m, const struct rcpt *r, unsigned notify_bit)
{
    if (m->flags & MESSAGE_NULL)
        return notify_bit == NOTIFY_FAILURE && m->flags & MESSAGE_DOUBLE;
    return r->notify == 0 || r->notify & notify_bit;
}

bool rcpt_wants_receipt(const struct mailq *q, const struct message *m, const struct rcpt *r)
{
    return r->notify & NOTIFY_SUCCESS && !(m->flags & MESSAGE_NULL) && conf_notices_success(q->conf);
}

void verdict_note(struct mailq *q, uint64_t id, struct strv list, const struct verdict *v, bool notice)
{
    struct entry e = {
        .id = id,
        .list = list,
        .time = v->tried,
        .enhanced = v->enhanced,
        .relay = v->relay,
        .reply = v->reply,
        .remote = v->remote,
    };

    switch (v->outcome) {
    case OUTCOME_DELIVERED:
        e.kind = notice ? ENTRY_SUCCEEDED : ENTRY_DELIVERED;
        e.flags = v->success;
        break;
    case OUTCOME_FAILED: e.kind = notice ? ENTRY_FAILED : ENTRY_DROPPED; break;
    case OUTCOME_DEFERRED:
        e.kind = ENTRY_DEFERRED;
        e.attempts = v->attempts;
        e.due = v->due;
        break;
    }
    store_note(q->store, &e);
}

/* ---- a frame of results ---- */

static const struct {
    const char *step;
    enum sched_end end;
} steps[] = {
    { "dns", SCHED_UNRESOLVED },       { "route", SCHED_UNRESOLVED },  { "connect", SCHED_UNREACHABLE },
    { "greeting", SCHED_UNREACHABLE }, { "ehlo", SCHED_UNREACHABLE },  { "helo", SCHED_UNREACHABLE },
    { "tls", SCHED_UNREACHABLE },
};

/* What a deferral at this step says about the destination. */
static enum sched_end end_of_step(struct strv step)
{
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (strv_is(step, steps[i].step))
            return steps[i].end;
    return SCHED_NEUTRAL;
}

struct frame {
    struct mailq *q;
    struct ipc_in *in; /* NULL: there is none, another message took over */
    unsigned deliverd;
    uint64_t id;
    uint32_t message;    /* 0: over */
    struct bytes *bytes; /* counted, for addresses that no job remembers */
    bool failed;         /* somebody's failure is to be told */
};

static void verdict_take(const struct mailq *q, const struct ipc_in *group, struct verdict *v)
{
    *v = (struct verdict){
        .outcome = (enum ipc_outcome)ipc_get_u64(group, TAG_OUTCOME),
        .enhanced = ipc_get(group, TAG_ENHANCED),
        .relay = ipc_get(group, TAG_RELAY),
        .reply = ipc_get(group, TAG_REPLY),
        .remote = ipc_get_u64(group, TAG_REMOTE) != 0,
        .tried = mailq_now_s(q),
    };
}

/* Addresses and times of a recipient that came over from before our start: the envelope has them. */
static void names_find(struct frame *f, uint32_t index, struct result_line *l)
{
    struct mailq *q = f->q;
    struct err err;

    if (!f->bytes)
        f->bytes = message_bytes(q, f->message, &err);
    if (f->bytes && envelope_parse(f->bytes->envelope, &q->envelope, &err) && index < q->envelope.rcpt_n) {
        int64_t arrival = (int64_t)q->envelope.arrival, stored = (int64_t)q->envelope.stored;

        l->to = q->envelope.rcpts[index].to;
        l->original = q->envelope.rcpts[index].original;
        if (stored <= arrival)
            stored = arrival;
        l->before = stored - arrival;
        l->queue = mailq_now_ms(q) - stored - l->connect - l->send;
        l->times = true;
    }
}

static void result_line(struct frame *f, const struct job *job, size_t i, uint32_t index,
                        const struct verdict *v, const char *notice)
{
    struct result_line l = {
        .id = f->id,
        .since = f->message ? ledger_at(&f->q->ledger, f->message)->since : id_wall_ms(f->id),
        .to = SV_LIT("?"),
        .v = v,
        .notice = notice,
        .connect = f->in ? (int64_t)ipc_get_u64(f->in, TAG_MS_CONNECT) : 0,
        .send = f->in ? (int64_t)ipc_get_u64(f->in, TAG_MS_SEND) : 0,
    };

    if (job && job->text) {
        l.to = job->rcpts[i].to;
        l.original = job->rcpts[i].original;
        l.before = job->ms_before;
        l.queue = job->ms_queue;
        l.times = true;
    } else {
        names_find(f, index, &l);
    }
    result_line_log(f->q, &l);
}

static void job_learns(struct frame *f, struct job *job, const struct verdict *v, struct strv step)
{
    struct sched *sched = f->q->ledger.sched;
    struct strv key = ipc_get(f->in, TAG_KEY);
    enum sched_end end = v->outcome == OUTCOME_DEFERRED ? end_of_step(step) : SCHED_SUCCESS;

    if (key.n)
        sched_join(sched, job->part, key);
    job->slow = job->slow || ipc_get_u64(f->in, TAG_MS_LOOKUP) >= LOOKUP_SLOW;
    if (job->side != SIDE_REMOTE && !strv_is(step, "service"))
        sched_asked_lmtp(sched, job->part, strv_is(step, "lmtp"));
    /* The look-up of a host that all of the group have. */
    if (end == SCHED_UNRESOLVED && key.n)
        end = SCHED_UNREACHABLE;
    job->answered = job->answered || end == SCHED_SUCCESS;
    job->unreachable = job->unreachable || end == SCHED_UNREACHABLE;
    job->unresolved = job->unresolved || end == SCHED_UNRESOLVED;
    if (end == SCHED_UNREACHABLE || end == SCHED_UNRESOLVED)
        sched_set_why(sched, job->part, end,
                      words_ref(&f->q->ledger.words, v->enhanced, v->relay, v->reply, v->remote));
}

/* The job only asked for the hosts: the recipient is as if it had not been tried. */
static void rcpt_back(struct frame *f, struct job *job, size_t at, struct rcpt *r)
{
    static const struct verdict none = { .outcome = OUTCOME_DEFERRED };
    uint32_t part = r->part;

    if (!job)
        return;
    job_learns(f, job, &none, SV_LIT("hosts"));
    job->told = true;
    rcpt_state_set(ledger_at(&f->q->ledger, f->message), r, RCPT_OPEN);
    job->rcpts[at].pending = false;
    if (--job->pending == 0)
        job_settle(f->q, job);
    part_settle(f->q, part);
}

/* own: mapd or dnsd was away, which is no attempt and no matter of minutes. */
static void deferred_until(struct mailq *q, struct job *job, uint32_t part, bool own, struct verdict *v)
{
    struct sched *sched = q->ledger.sched;
    unsigned attempts = job ? job->attempt : sched_part(sched, part)->attempts + 1u;
    uint32_t due = job ? job->due : 0;

    if (own) {
        v->attempts = attempts - 1;
        v->due = mailq_now_s(q) + SERVICE_S + (uint32_t)rand_below(SERVICE_S + 1);
        return;
    }
    if (!due)
        due = sched_retry_at(sched, attempts, mailq_now_s(q));
    if (job)
        job->due = due; /* one time for all of the attempt */
    v->attempts = attempts;
    v->due = due;
}

static size_t job_rcpt_at(const struct job *job, uint32_t index)
{
    for (size_t i = 0; i < job->rcpt_n; i++)
        if (job->rcpts[i].index == index)
            return i;
    return job->rcpt_n;
}

/* Is the sender told of this? Of a success only when no server further on does (RFC 3461 5.2.2). */
static bool is_told(const struct mailq *q, const struct message *m, const struct rcpt *r,
                    const struct ipc_in *group, struct verdict *v)
{
    switch (v->outcome) {
    case OUTCOME_DELIVERED:
        v->success = sched_is_local(q->ledger.sched, r->part) ? SUCCESS_DELIVERED : SUCCESS_RELAYED;
        return ipc_get_u64(group, TAG_NOTIFY) == 0 && rcpt_wants_receipt(q, m, r);
    case OUTCOME_FAILED: return rcpt_wants(m, r, NOTIFY_FAILURE);
    case OUTCOME_DEFERRED: break;
    }
    return false;
}

static void result_one(struct frame *f, const struct ipc_in *group)
{
    struct mailq *q = f->q;
    uint32_t index = (uint32_t)ipc_get_u64(group, TAG_RCPT_INDEX), part;
    struct message *m = ledger_at(&q->ledger, f->message);
    struct list_writer list = { .out = &q->list };
    struct job *job;
    struct rcpt *r;
    struct verdict v;
    size_t at = 0;
    bool notice;

    if (index >= m->rcpt_n)
        return;
    r = message_rcpt(m, index);
    job = job_find(q, f->deliverd, f->in->txn, f->id, index);
    if (job && ((at = job_rcpt_at(job, index)) == job->rcpt_n || !job->rcpts[at].pending))
        job = NULL;
    /* A result that was recorded and whose acknowledgement got lost comes again: nothing changes. */
    if (r->state == RCPT_DONE || r->state == RCPT_OWED || (r->state == RCPT_RUNNING && !job))
        return;
    if (strv_is(ipc_get(group, TAG_STEP), "hosts")) {
        rcpt_back(f, job, at, r);
        return;
    }
    part = r->part;
    verdict_take(q, group, &v);
    notice = is_told(q, m, r, group, &v);
    if (v.outcome == OUTCOME_DEFERRED)
        deferred_until(q, job, part, strv_is(ipc_get(group, TAG_STEP), "service"), &v);
    result_line(f, job, at, index, &v, notice ? "owed" : v.outcome == OUTCOME_FAILED ? "none" : NULL);
    if (job) {
        if (!job->txn)
            job->txn = f->in->txn; /* an inherited one: now we know its number */
        job_learns(f, job, &v, ipc_get(group, TAG_STEP));
        job->rcpts[at].pending = false;
        if (--job->pending == 0)
            job_settle(q, job);
    }
    buf_reset(&q->list);
    list_write(&list, index);
    list_finish(&list);
    f->failed = f->failed || notice;
    verdict_note(q, f->id, buf_view(&q->list), &v, notice);
    f->message = ledger_find(&q->ledger, f->id);
    if (f->message)
        part_settle(q, part);
}

/* One for each frame: deliverd counts. */
static void ack_later(struct mailq *q, unsigned deliverd, uint64_t txn)
{
    if (q->ack_n == q->ack_cap) {
        q->ack_cap = q->ack_cap ? q->ack_cap * 2 : 64;
        q->acks = mem_resize(q->acks, q->ack_cap, sizeof *q->acks);
    }
    q->acks[q->ack_n++] = (struct ack){ deliverd, txn };
}

bool results_are_behind(const struct mailq *q)
{
    size_t max = (size_t)q->conf->max_jobs;

    return q->ack_n >= (max > q->unacked_min ? max : q->unacked_min);
}

void results_noted(struct mailq *q)
{
    for (size_t i = 0; i < q->ack_n; i++) {
        struct channel *ch = q->deliverds[q->acks[i].deliverd].ch;

        if (!ch)
            continue;
        ipc_begin(&q->out, IPC_J_RESULT_ACK, q->acks[i].txn);
        channel_send(ch, &q->out);
    }
    if (results_are_behind(q))
        dispatch_soon(q);
    q->ack_n = 0;
}

/* Deliverd speaks of the job no more: recipients without a result are tried again. One whose number no result
   told is this one when nothing of it is left, also because the message was deleted. */
static void job_last(struct mailq *q, unsigned deliverd, uint64_t txn, uint64_t id)
{
    struct job *job, *next;

    for (job = q->deliverds[deliverd].jobs; job; job = next) {
        next = job->next;
        if (job->id != id || (job->txn ? job->txn != txn : job->part && job->pending > 0))
            continue;
        if (job->pending > 0)
            job_return(q, job);
        else
            job_free(q, job);
    }
}

void results_on_frame(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct frame f = {
        .q = arg, .in = in, .deliverd = channel_peer_index(ch), .id = ipc_get_u64(in, TAG_ID)
    };
    struct mailq *q = f.q;
    struct ipc_in group;
    size_t at = 0;

    f.message = ledger_find(&q->ledger, f.id);
    while (f.message && ipc_next_group(in, TAG_RCPT, &at, &group))
        result_one(&f, &group);
    bytes_unref(&f.bytes);
    if (ipc_get_u64(in, TAG_LAST))
        job_last(q, f.deliverd, in->txn, f.id);
    f.message = ledger_find(&q->ledger, f.id);
    if (f.message && ledger_at(&q->ledger, f.message)->jobs == 0)
        notice_want(q, f.message);
    ack_later(q, f.deliverd, in->txn);
    /* Nothing new to write: everything was known before. */
    if (store_noted(q->store))
        results_noted(q);
}

/* ---- recipients whose mail is sent on ---- */

/* Wherever they are tried at the moment. */
static struct job *job_anywhere(struct mailq *q, uint64_t id, uint32_t index)
{
    for (unsigned i = 0; i < q->deliverd_n; i++) {
        struct job *job = job_find(q, i, 0, id, index);
        size_t at = job ? job_rcpt_at(job, index) : 0;

        if (job && at < job->rcpt_n && job->rcpts[at].pending)
            return job;
    }
    return NULL;
}

static void forwarded_one(struct frame *f, uint32_t index, const struct verdict *v, bool receipt)
{
    struct mailq *q = f->q;
    struct rcpt *r = message_rcpt(ledger_at(&q->ledger, f->message), index);
    struct list_writer list = { .out = &q->list };
    struct job *job = job_anywhere(q, f->id, index);
    size_t at = job ? job_rcpt_at(job, index) : 0;
    uint32_t part = r->part;

    if (r->state == RCPT_DONE || r->state == RCPT_OWED)
        return;
    receipt = receipt && rcpt_wants_receipt(q, ledger_at(&q->ledger, f->message), r);
    result_line(f, job, at, index, v, receipt ? "owed" : NULL);
    /* What deliverd says of it later changes nothing any more. */
    if (job) {
        job->answered = true;
        job->rcpts[at].pending = false;
        if (--job->pending == 0)
            job_settle(q, job);
    }
    buf_reset(&q->list);
    list_write(&list, index);
    list_finish(&list);
    verdict_note(q, f->id, buf_view(&q->list), v, receipt);
    f->message = ledger_find(&q->ledger, f->id);
    if (f->message)
        part_settle(q, part);
}

void results_forwarded(struct mailq *q, uint64_t id, struct strv list, struct strv text, unsigned receipt)
{
    struct frame f = { .q = q, .id = id, .message = ledger_find(&q->ledger, id) };
    struct verdict v = {
        .outcome = OUTCOME_DELIVERED,
        .enhanced = SV_LIT("2.0.0"),
        .relay = SV_LIT("forward"),
        .reply = text,
        .tried = mailq_now_s(q),
    };
    uint32_t first, last;

    if (receipt)
        v.success = (enum ipc_success)(receipt - 1);
    while (ranges_next(&list, &first, &last))
        for (uint32_t i = first; i <= last && f.message && i < ledger_at(&q->ledger, f.message)->rcpt_n; i++)
            forwarded_one(&f, i, &v, receipt != 0);
    if (f.message)
        notice_want(q, f.message);
    bytes_unref(&f.bytes);
}

/* ---- destinations that rest ---- */

struct suspension {
    struct mailq *q;
    unsigned count;
};

/* The words of whoever waits for this destination already. */
static const struct words *words_of_dest(struct mailq *q, uint32_t part)
{
    return sched_why(q->ledger.sched, part);
}

static void suspend_log(struct mailq *q, uint32_t message, uint32_t part, const struct verdict *v)
{
    struct message *m = ledger_at(&q->ledger, message);
    struct err err;
    struct bytes *bytes = message_bytes(q, message, &err);

    if (!bytes)
        return;
    if (envelope_parse(bytes->envelope, &q->envelope, &err)) {
        for (uint32_t i = 0; i < m->rcpt_n && i < q->envelope.rcpt_n; i++) {
            struct result_line l = {
                .id = m->id,
                .since = m->since,
                .to = q->envelope.rcpts[i].to,
                .original = q->envelope.rcpts[i].original,
                .v = v,
            };

            if (message_rcpt(m, i)->part == part && message_rcpt(m, i)->state == RCPT_OPEN)
                result_line_log(q, &l);
        }
    }
    bytes_unref(&bytes);
}

void suspend_part(struct mailq *q, uint32_t part)
{
    struct sched *sched = q->ledger.sched;
    struct part *p = sched_part(sched, part);
    struct message *m = ledger_at(&q->ledger, p->message);
    const struct words *w = words_of_dest(q, part);
    struct list_writer list = { .out = &q->list };
    struct buf reply;
    struct verdict v = {
        .outcome = OUTCOME_DEFERRED,
        .enhanced = words_enhanced(w),
        .relay = words_relay(w),
        .attempts = 1,
        .due = sched_retry_at(sched, 1, mailq_now_s(q)),
    };

    buf_init(&reply, 4096);
    buf_adds(&reply, "not tried now, the destination could not be reached a moment ago: ");
    buf_addv(&reply, words_reply(w));
    v.reply = buf_view(&reply);
    suspend_log(q, p->message, part, &v);
    buf_reset(&q->list);
    for (uint32_t i = 0; i < m->rcpt_n; i++)
        if (message_rcpt(m, i)->part == part && message_rcpt(m, i)->state == RCPT_OPEN)
            list_write(&list, i);
    list_finish(&list);
    if (q->list.len)
        verdict_note(q, m->id, buf_view(&q->list), &v, false);
    buf_clear(&reply);
    p->attempts = 1;
    sched_wait(sched, part, v.due);
}

static void on_suspend(void *arg, uint32_t part)
{
    struct suspension *s = arg;
    struct part *p = sched_part(s->q->ledger.sched, part);

    if (p->attempts == 0 && s->count++ < SUSPEND_MAX)
        suspend_part(s->q, part);
}

void suspend_dest(struct mailq *q, uint32_t like)
{
    struct suspension s = { .q = q };

    LOG(WARN, "queue.destination.rests", KV("dest", sched_domain(q->ledger.sched, like)),
        KV("group", sched_resting_group(q->ledger.sched, like)),
        KI("until", sched_rest_until(q->ledger.sched, like)),
        KV("reply", words_reply(words_of_dest(q, like))));
    sched_each_ready(q->ledger.sched, like, on_suspend, &s);
}
