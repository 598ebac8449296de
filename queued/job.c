/* job.c - one delivery attempt in a deliverd: what it holds, how its message gets there, how it ends */
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/os/fd.h"
#include "queued/mailq.h"

#include <stdlib.h>

#define LOST_MAX 2 /* deliverds that may die with a message before it waits like a deferred one */

struct bytes *bytes_new(char *record, size_t size, const struct record *r)
{
    struct bytes *b = mem_new(sizeof *b);

    *b = (struct bytes){ .refs = 1,
                         .data = record,
                         .size = size,
                         .envelope = r->envelope,
                         .message = r->message,
                         .sizes = r->sizes };
    return b;
}

void bytes_unref(struct bytes **bp)
{
    struct bytes *b = *bp;

    *bp = NULL;
    if (!b || --b->refs > 0)
        return;
    free(b->data);
    free(b);
}

struct job *job_new(struct mailq *q, unsigned deliverd, uint32_t message, uint32_t part, size_t rcpts)
{
    struct deliverd *d = &q->deliverds[deliverd];
    struct job *job = mem_new(sizeof *job);

    job->deliverd = deliverd;
    job->message = message;
    job->part = part;
    job->id = ledger_at(&q->ledger, message)->id;
    job->rcpts = mem_array(rcpts, sizeof *job->rcpts);
    job->started = loop_now(q->loop);
    job->attempt = sched_part(q->ledger.sched, part)->attempts + 1u;
    job->big_fd = -1;
    job->next = d->jobs;
    if (d->jobs)
        d->jobs->prev = job;
    d->jobs = job;
    job->side = sched_side(q->ledger.sched, part);
    d->job_n++;
    d->side_n[job->side]++;
    q->job_n++;
    q->side_n[job->side]++;
    sched_part(q->ledger.sched, part)->running++;
    ledger_at(&q->ledger, message)->jobs++;
    ledger_recount(&q->ledger, ledger_at(&q->ledger, message));
    return job;
}

void job_settle(struct mailq *q, struct job *job)
{
    struct sched *sched = q->ledger.sched;
    enum sched_end end = job->answered      ? SCHED_SUCCESS
                         : job->unreachable ? SCHED_UNREACHABLE
                         : job->unresolved  ? SCHED_UNRESOLVED
                         : job->told        ? SCHED_HOSTS
                                            : SCHED_NEUTRAL;

    if (!job->part)
        return;
    sched_part(sched, job->part)->running--;
    ledger_at(&q->ledger, job->message)->jobs--;
    ledger_recount(&q->ledger, ledger_at(&q->ledger, job->message));
    if (job->answered || job->unreachable || job->unresolved || job->told || job->slow)
        sched_looked_up(sched, job->part, job->slow);
    if (sched_ended(sched, job->part, end, mailq_now_s(q)))
        suspend_dest(q, job->part);
    job->part = job->message = 0;
    dispatch_soon(q);
}

static void stream_stop(struct job *job)
{
    bytes_unref(&job->bytes);
    fd_close(&job->big_fd);
}

void job_free(struct mailq *q, struct job *job)
{
    struct deliverd *d = &q->deliverds[job->deliverd];

    if (d->ch && job->txn)
        channel_txn_end(d->ch, job->txn);
    if (job->prev)
        job->prev->next = job->next;
    else
        d->jobs = job->next;
    if (job->next)
        job->next->prev = job->prev;
    d->job_n--;
    d->side_n[job->side]--;
    q->job_n--;
    q->side_n[job->side]--;
    stream_stop(job);
    free(job->rcpts);
    free(job->text);
    free(job);
    dispatch_soon(q);
}

/* ---- sending ---- */

/* The next piece of the message: from memory, then from the file of a big body. */
static bool piece_next(struct job *job, char *space, size_t max, struct strv *piece, bool *last)
{
    struct strv memory = strv_from(job->bytes->message, job->sent);
    ssize_t n;

    if (memory.n > 0) {
        *piece = strv_sub(memory, 0, max);
        job->sent += piece->n;
    } else {
        n = fd_pread_full(job->big_fd, space, job->big_left < max ? (size_t)job->big_left : max,
                          (off_t)job->big_at);
        if (n <= 0)
            return false;
        *piece = strv_make(space, (size_t)n);
        job->big_at += (uint64_t)n;
        job->big_left -= (uint64_t)n;
    }
    *last = job->sent == job->bytes->message.n && job->big_left == 0;
    return true;
}

void job_stream(struct mailq *q, struct job *job)
{
    struct channel *ch = q->deliverds[job->deliverd].ch;
    static char space[IPC_CHUNK_MAX];
    size_t credit;

    while (job->bytes && ch && (credit = channel_credit(ch, job->txn)) > 0) {
        struct strv piece;
        bool last;

        if (!piece_next(job, space, credit < IPC_CHUNK_MAX ? credit : IPC_CHUNK_MAX, &piece, &last)) {
            char id[ID_TEXT_SIZE];

            /* Half a message must not stay there. */
            id_text(job->id, id);
            LOG(ERROR, "queue.message.unreadable", KS("id", id),
                KS("reason", "its body cannot be read any further"));
            stream_stop(job);
            channel_cancel_chunks(ch, job->txn);
            ipc_begin(&q->out, IPC_J_CANCEL, job->txn);
            channel_send(ch, &q->out);
            return;
        }
        ipc_begin(&q->out, IPC_J_BODY, job->txn);
        ipc_put_bytes(&q->out, TAG_DATA, piece);
        ipc_put_u64(&q->out, TAG_LAST, last);
        channel_send(ch, &q->out);
        if (last)
            stream_stop(job);
    }
}

/* ---- jobs whose deliverd is gone ---- */

static void return_deferred(struct mailq *q, struct job *job, struct part *p)
{
    struct verdict v = {
        .outcome = OUTCOME_DEFERRED,
        .enhanced = SV_LIT("4.3.0"),
        .reply = SV_LIT("the delivery process ended during the attempt"),
        .attempts = p->attempts + 1u,
        .tried = mailq_now_s(q),
        .due = sched_retry_at(q->ledger.sched, p->attempts + 1u, mailq_now_s(q)),
    };
    struct list_writer list = { .out = &q->list };

    buf_reset(&q->list);
    for (size_t i = 0; i < job->rcpt_n; i++)
        if (job->rcpts[i].pending)
            list_write(&list, job->rcpts[i].index);
    list_finish(&list);
    if (q->list.len)
        verdict_note(q, job->id, buf_view(&q->list), &v, false);
}

void job_return(struct mailq *q, struct job *job)
{
    uint32_t part = job->part, message = job->message;
    struct message *m;
    char id[ID_TEXT_SIZE];
    struct part *p;

    if (!part) {
        job_free(q, job);
        return;
    }
    p = sched_part(q->ledger.sched, part);
    m = ledger_at(&q->ledger, message);
    id_text(job->id, id);
    LOG(WARN, "queue.job.lost", KS("id", id), KI("deliverd", job->deliverd), KI("rcpts", job->pending));
    for (size_t i = 0; i < job->rcpt_n; i++)
        if (job->rcpts[i].pending)
            rcpt_state_set(m, message_rcpt(m, job->rcpts[i].index), RCPT_OPEN);
    job->answered = job->unreachable = job->unresolved = job->slow = job->told = false;
    job_settle(q, job);
    /* A message that kills its deliverd must not do it all day. */
    if (++p->lost >= LOST_MAX)
        return_deferred(q, job, p);
    part_settle(q, part);
    job_free(q, job);
}

struct job *job_find(struct mailq *q, unsigned deliverd, uint64_t txn, uint64_t id, uint32_t rcpt)
{
    for (struct job *job = q->deliverds[deliverd].jobs; job; job = job->next) {
        if (job->id != id || (txn && job->txn && job->txn != txn))
            continue;
        for (size_t i = 0; i < job->rcpt_n; i++)
            if (job->rcpts[i].index == rcpt)
                return job;
    }
    return NULL;
}

void jobs_forget_message(struct mailq *q, const struct message *m)
{
    if (m->jobs == 0)
        return;
    for (unsigned i = 0; i < q->deliverd_n; i++)
        for (struct job *job = q->deliverds[i].jobs; job; job = job->next)
            if (job->part && job->id == m->id) {
                job->answered = job->unreachable = job->unresolved = job->slow = job->told = false;
                job_settle(q, job);
            }
}
