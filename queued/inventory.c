/* inventory.c - the channels to deliverd: what runs there when we come, or they come back
 *
 * A starting queued knows nothing of the jobs that its predecessor gave out. It dispatches nothing until
 * every deliverd that ran before it has said what it still works on, and so never delivers twice.
 */
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/ipc/frame.h"
#include "common/os/fd.h"
#include "queued/trace.h"

bool deliverd_all_known(const struct mailq *q)
{
    for (unsigned i = 0; i < q->deliverd_n; i++)
        if (q->deliverds[i].unknown)
            return false;
    return true;
}

static void jobs_return(struct mailq *q, unsigned index, bool unconfirmed_only)
{
    struct job *job, *next;

    for (job = q->deliverds[index].jobs; job; job = next) {
        next = job->next;
        if (!unconfirmed_only || job->unconfirmed)
            job_return(q, job);
    }
}

/* ---- what deliverd says ---- */

static size_t count_rcpts(const struct ipc_in *group)
{
    uint64_t rcpt;
    size_t at = 0, n = 0;

    while (ipc_next_u64(group, TAG_RCPT_INDEX, &at, &rcpt))
        n++;
    return n;
}

/* Recipients that run there and that we have no job for. What is one job there is one here: how it ends is
 * one thing that is learned of the destination, not one for each recipient. */
static void running_inherit(struct mailq *q, unsigned index, const struct ipc_in *group)
{
    uint32_t handle = ledger_find(&q->ledger, ipc_get_u64(group, TAG_ID));
    struct message *m = handle ? ledger_at(&q->ledger, handle) : NULL;
    struct job *ours = NULL;
    uint64_t rcpt;
    size_t at = 0;

    while (m && ipc_next_u64(group, TAG_RCPT_INDEX, &at, &rcpt)) {
        struct job *job = rcpt < m->rcpt_n ? job_find(q, index, 0, m->id, (uint32_t)rcpt) : NULL;
        struct rcpt *r = rcpt < m->rcpt_n ? message_rcpt(m, (uint32_t)rcpt) : NULL;

        if (job)
            job->unconfirmed = false;
        if (job || !r || (r->state != RCPT_OPEN && r->state != RCPT_WAIT))
            continue;
        if (!ours || ours->part != r->part) {
            sched_started(q->ledger.sched, r->part);
            ours = job_new(q, index, handle, r->part, count_rcpts(group));
        }
        ours->rcpts[ours->rcpt_n++] = (struct job_rcpt){ .index = (uint32_t)rcpt, .pending = true };
        ours->pending++;
        rcpt_state_set(m, r, RCPT_RUNNING);
        part_settle(q, r->part);
    }
}

static void on_inventory(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct mailq *q = arg;
    struct ipc_in group;
    size_t at = 0;

    while (ipc_next_group(in, TAG_RUNNING, &at, &group))
        running_inherit(q, channel_peer_index(ch), &group);
}

static void on_inventory_end(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct mailq *q = arg;
    unsigned index = channel_peer_index(ch);
    struct deliverd *d = &q->deliverds[index];

    (void)in;
    /* What it did not name it never got, or has forgotten with our acknowledgement. */
    jobs_return(q, index, true);
    if (d->unknown)
        LOG(INFO, "queue.inventory.done", KI("deliverd", index), KI("jobs", d->job_n));
    d->unknown = false;
    d->state = DELIVERD_READY;
    dispatch_soon(q);
}

static const struct channel_route routes[] = {
    { IPC_J_RESULT, results_on_frame },
    { IPC_J_FORWARD, forward_on_frame },
    { IPC_J_TRACE, trace_on_frame },
    { IPC_J_INVENTORY, on_inventory },
    { IPC_J_INVENTORY_END, on_inventory_end },
    { .type = IPC_NONE },
};

static void on_frame(void *arg, struct channel *ch, struct ipc_in *in)
{
    channel_dispatch(routes, arg, ch, in);
}

static void channel_gone(struct deliverd *d)
{
    channel_free(&d->ch);
    d->state = DELIVERD_ABSENT;
    /* What was not sent yet cannot be continued on another channel: deliverd drops a job without its end.
       Jobs get new numbers there, which their results tell. */
    for (struct job *job = d->jobs; job; job = job->next) {
        bytes_unref(&job->bytes);
        fd_close(&job->big_fd);
        job->txn = 0;
    }
}

static void on_lost(void *arg, struct channel *ch, const char *why)
{
    struct mailq *q = arg;
    unsigned index = channel_peer_index(ch);

    if (q->deliverds[index].retired)
        LOG(DEBUG, "queue.peer.left", KS("peer", "deliverd"), KI("index", index));
    else
        LOG(WARN, "queue.peer.lost", KS("peer", "deliverd"), KI("index", index), KS("why", why));
    channel_gone(&q->deliverds[index]);
}

static void on_ready(void *arg, struct channel *ch, uint64_t txn)
{
    struct mailq *q = arg;

    for (struct job *job = q->deliverds[channel_peer_index(ch)].jobs; job; job = job->next) {
        if (job->txn == txn) {
            job_stream(q, job);
            return;
        }
    }
}

static const struct channel_ops ops = { .frame = on_frame, .lost = on_lost, .ready = on_ready };

/* ---- what mtad says ---- */

void deliverd_edge(struct mailq *q, unsigned index, int fd, bool lived)
{
    struct deliverd *d = &q->deliverds[index];

    if (d->ch)
        channel_gone(d);
    d->retired = false;
    d->ch = channel_new(q->loop, fd, ROLE_QUEUED, ROLE_DELIVERD, index, &ops, q);
    if (index >= q->deliverd_n)
        q->deliverd_n = index + 1;
    if (lived) {
        /* It presents what it has: jobs of ours that it does not name were lost on the way. */
        d->unknown = d->unknown || !q->started;
        d->state = DELIVERD_AWAITED;
        for (struct job *job = d->jobs; job; job = job->next)
            job->unconfirmed = true;
        return;
    }
    jobs_return(q, index, false);
    d->unknown = false;
    d->state = DELIVERD_READY;
    dispatch_soon(q);
}

void deliverd_retired(struct mailq *q, unsigned index)
{
    q->deliverds[index].retired = true;
}

void deliverd_gone(struct mailq *q, unsigned index)
{
    struct deliverd *d = &q->deliverds[index];

    if (d->ch)
        channel_gone(d);
    jobs_return(q, index, false);
    d->unknown = false;
    dispatch_soon(q);
}
