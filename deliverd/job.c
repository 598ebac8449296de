/* job.c - jobs and their results, as queued must know them even when it was away
 *
 * A job's results are sent as they come, at the end of the iteration, and kept until queued says that they
 * are recorded. When the channel is replaced, everything not acknowledged goes to the new queued, which waits
 * for it before it dispatches anything: a restart of queued never makes a second delivery. Jobs of an earlier
 * channel get numbers of ours (highest bit set), because the new queued gives its own numbers from the
 * beginning again.
 */
#include "deliverd/job.h"

#include "common/base/dict.h"
#include "common/base/hash.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/ipc/channel.h"
#include "common/net/loop.h"
#include "deliverd/attempt.h"
#include "deliverd/deliverd.h"
#include "deliverd/forward.h"
#include "deliverd/local.h"

#include <stdlib.h>

#define CHUNKS_MAX (64u * 1024u * 1024u) /* memory for messages that come in chunks, all jobs together */
#define FRAME_SOFT 40000u                /* bytes of one result or inventory frame before the next is begun */
#define TXN_OURS   (UINT64_C(1) << 63)

struct jobs {
    struct deliverd *d;
    struct channel *ch; /* owned; NULL while queued is away */
    struct dict *by_txn;
    struct job *first;
    size_t count, running, reserved;
    uint64_t frames; /* bytes of all jobs' frames */
    uint64_t next_txn;
    void (*on_empty)(void *arg);
    void *on_empty_arg;
};

static void job_flush(struct job *j);

/* ---- life of a job ---- */

/* All that came with the job; what is left is what queued must still be told. */
static void job_shed(struct job *j)
{
    struct jobs *js = j->d->jobs;

    body_clear(&j->body);
    js->reserved -= j->reserved;
    j->reserved = 0;
    js->frames -= j->frame ? j->in.fields.n : 0;
    j->dest = j->sender = SV_LIT("");
    MEM_FREE(j->frame);
}

static void job_free(struct job *j)
{
    struct jobs *js = j->d->jobs;

    *(j->prev ? &j->prev->next : &js->first) = j->next;
    if (j->next)
        j->next->prev = j->prev;
    dict_pop_u64(js->by_txn, j->txn);
    js->count--;
    js->running -= j->open > 0;
    loop_later_cancel(j->d->loop, &j->flush);
    attempt_free(&j->attempt);
    local_free(&j->delivery);
    for (size_t i = 0; i < j->rcpt_n; i++) {
        free(j->rcpts[i].text);
        free(j->rcpts[i].relay);
    }
    job_shed(j);
    buf_clear(&j->group);
    free(j->rcpts);
    free(j);
    if (js->count == 0 && js->on_empty)
        js->on_empty(js->on_empty_arg);
}

static void on_flush(void *arg)
{
    struct job *j = arg;

    /* queued may take long to record results: the messages need not wait for that. */
    if (j->open == 0 && !j->attempt && !j->delivery)
        job_shed(j);
    job_flush(j);
}

static struct job *job_new(struct jobs *js, const struct ipc_in *in)
{
    struct job *j = mem_new(sizeof *j);

    j->d = js->d;
    j->txn = in->txn;
    j->in = *in;
    j->in.fd_count = 0;
    j->frame = mem_copy(in->fields.p, in->fields.n);
    j->in.fields.p = j->frame;
    js->frames += in->fields.n;
    j->id = ipc_get_u64(in, TAG_ID);
    id_text(j->id, j->id_text);
    j->dest = ipc_get(&j->in, TAG_DEST);
    j->sender = ipc_get(&j->in, TAG_SENDER);
    j->local = ipc_get_u64(in, TAG_LOCAL);
    j->eight_bit = ipc_get_u64(in, TAG_BODY_TYPE);
    j->traced = ipc_get_u64(in, TAG_FLAGS) & 1;
    j->asks = ipc_get_u64(in, TAG_FLAGS) & 2;
    j->flush = (struct loop_task){ .fn = on_flush, .arg = j };
    buf_init(&j->group, IPC_GROUP_MAX);
    j->started = loop_now(js->d->loop);
    j->next = js->first;
    if (j->next)
        j->next->prev = j;
    js->first = j;
    js->count++;
    js->running++;
    dict_set_u64(js->by_txn, j->txn, j);
    return j;
}

static size_t read_rcpts(struct job *j)
{
    struct ipc_in group;
    size_t at = 0, n = 0;

    while (ipc_next_group(&j->in, TAG_RCPT, &at, &group))
        n++;
    j->rcpts = mem_array(n + 1, sizeof *j->rcpts);
    for (at = 0; j->rcpt_n < n && ipc_next_group(&j->in, TAG_RCPT, &at, &group); j->rcpt_n++) {
        j->rcpts[j->rcpt_n].index = ipc_get_u64(&group, TAG_RCPT_INDEX);
        j->rcpts[j->rcpt_n].rcpt = ipc_get(&group, TAG_RCPT);
        j->rcpts[j->rcpt_n].original = ipc_get(&group, TAG_ORIGINAL);
        j->rcpts[j->rcpt_n].target = ipc_get(&group, TAG_TARGET);
        j->rcpts[j->rcpt_n].wants.notify = ipc_get_u64(&group, TAG_NOTIFY);
        j->rcpts[j->rcpt_n].wants.orcpt = ipc_get(&group, TAG_ORCPT);
        j->has_dsn = j->has_dsn || ipc_has(&group, TAG_NOTIFY) || ipc_has(&group, TAG_ORCPT);
    }
    j->open = j->rcpt_n;
    return n;
}

static void job_begin(struct job *j)
{
    j->begun = true;
    if (j->local)
        local_start(j);
    else
        attempt_start(j);
}

/* ---- results ---- */

static void rcpt_forget(struct job_rcpt *r)
{
    MEM_FREE(r->text);
    MEM_FREE(r->relay);
}

static char *dup_or_null(struct strv s)
{
    return s.n ? strv_dup(s) : NULL;
}

void job_note(struct job *j, size_t i, const struct job_outcome *o)
{
    struct job_rcpt *r = &j->rcpts[i];

    if (r->state != JOB_RCPT_OPEN)
        return;
    rcpt_forget(r);
    r->outcome = o->outcome;
    status_text(o->status, r->enhanced);
    r->text = dup_or_null(o->text);
    r->relay = dup_or_null(o->relay);
    r->step = o->step;
    r->remote = o->remote;
    r->maybe = o->maybe;
    r->dsn = o->dsn;
}

void job_commit(struct job *j, size_t i)
{
    struct job_rcpt *r = &j->rcpts[i];

    if (r->state != JOB_RCPT_OPEN)
        return;
    r->state = JOB_RCPT_RESULT;
    if (--j->open == 0)
        j->d->jobs->running--;
    loop_later(j->d->loop, &j->flush);
}

void job_result(struct job *j, size_t i, const struct job_outcome *o)
{
    job_note(j, i, o);
    job_commit(j, i);
}

void job_result_all(struct job *j, const struct job_outcome *o)
{
    for (size_t i = 0; i < j->rcpt_n; i++)
        job_result(j, i, o);
}

void job_group(struct job *j, struct strv key)
{
    buf_reset(&j->group);
    buf_addv(&j->group, key);
}

void job_trace(const struct job *j, enum job_trace kind, struct strv line)
{
    struct ipc_out *o = &j->d->out;

    if (!j->traced || !j->d->jobs->ch)
        return;
    ipc_begin(o, IPC_J_TRACE, j->txn);
    ipc_put_u64(o, TAG_ID, j->id);
    ipc_put_clean(o, TAG_DEST, j->dest);
    ipc_put_u64(o, TAG_KIND, kind);
    ipc_put_clean(o, TAG_TEXT, strv_sub(line, 0, 2000));
    channel_send(j->d->jobs->ch, o);
}

void job_over(struct job *j)
{
    static const struct job_outcome unknown = {
        .outcome = OUTCOME_DEFERRED,
        .status = {4, 3, 0},
        .text = SV_LIT("internal error"),
        .step = "internal",
    };

    for (size_t i = 0; i < j->rcpt_n; i++) {
        if (j->rcpts[i].state != JOB_RCPT_OPEN)
            continue;
        if (!j->rcpts[i].step) {
            LOG(ERROR, "delivery.result.missing", KS("id", j->id_text), KV("to", j->rcpts[i].rcpt));
            job_note(j, i, &unknown);
        }
        job_commit(j, i);
    }
    loop_later(j->d->loop, &j->flush);
}

static void put_result(struct ipc_out *o, const struct job_rcpt *r)
{
    ipc_group_begin(o, TAG_RCPT);
    ipc_put_u64(o, TAG_RCPT_INDEX, r->index);
    ipc_put_u64(o, TAG_OUTCOME, r->outcome);
    ipc_put_text(o, TAG_ENHANCED, SV(r->enhanced));
    if (r->text)
        ipc_put_clean(o, TAG_REPLY, SV(r->text));
    if (r->relay)
        ipc_put_clean(o, TAG_RELAY, SV(r->relay));
    if (r->remote)
        ipc_put_u64(o, TAG_REMOTE, 1);
    if (r->step)
        ipc_put_text(o, TAG_STEP, SV(r->step));
    if (r->maybe)
        ipc_put_u64(o, TAG_MAYBE, 1);
    if (r->dsn)
        ipc_put_u64(o, TAG_NOTIFY, 1);
    ipc_group_end(o);
}

/* One frame of what is to be told; *i goes on. True: the job has no more. */
static bool put_results(struct job *j, struct ipc_out *o, size_t *i)
{
    int64_t now = loop_now(j->d->loop);

    ipc_begin(o, IPC_J_RESULT, j->txn);
    ipc_put_u64(o, TAG_ID, j->id);
    for (; *i < j->rcpt_n && ipc_out_size(o) < FRAME_SOFT; (*i)++)
        if (j->rcpts[*i].state == JOB_RCPT_RESULT) {
            put_result(o, &j->rcpts[*i]);
            j->rcpts[*i].state = JOB_RCPT_TOLD;
        }
    ipc_put_u64(o, TAG_LAST, *i == j->rcpt_n && j->open == 0);
    ipc_put_u64(o, TAG_MS_CONNECT, (uint64_t)((j->connected ? j->connected : now) - j->started));
    ipc_put_u64(o, TAG_MS_SEND, (uint64_t)(j->connected ? now - j->connected : 0));
    if (j->looked > 0)
        ipc_put_u64(o, TAG_MS_LOOKUP, (uint64_t)j->looked);
    if (j->group.len && buf_ok(&j->group))
        ipc_put_clean(o, TAG_KEY, buf_view(&j->group));
    return *i == j->rcpt_n;
}

static bool has_news(const struct job *j)
{
    for (size_t i = 0; i < j->rcpt_n; i++)
        if (j->rcpts[i].state == JOB_RCPT_RESULT)
            return true;
    return j->open == 0 && !j->last_told;
}

/* One frame at a time: an acknowledgement then means everything that was told. */
static void job_flush(struct job *j)
{
    struct jobs *js = j->d->jobs;
    size_t i = 0;

    if (!js->ch || j->unacked || !has_news(j))
        return;
    j->last_told = put_results(j, &j->d->out, &i) && j->open == 0;
    j->unacked = true;
    channel_send(js->ch, &j->d->out);
}

/* ---- frames of queued ---- */

static void refuse(struct job *j, const char *why)
{
    struct job_outcome o = {
        .outcome = OUTCOME_DEFERRED,
        .status = STATUS(4, 3, 0),
        .text = SV(why),
        .step = "start",
    };

    LOG(ERROR, "delivery.job.refused", KS("id", j->id_text), KS("error", why));
    job_result_all(j, &o);
}

static void on_j_start(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct jobs *js = arg;
    struct job *j;

    if (js->count >= JOBS_MAX || (in->txn & TXN_OURS) || dict_get_u64(js->by_txn, in->txn)) {
        channel_break(ch, js->count >= JOBS_MAX ? "too many jobs" : "job number is used");
        return;
    }
    j = job_new(js, in);
    if (read_rcpts(j) == 0) {
        job_free(j);
        channel_break(ch, "job without recipients");
        return;
    }
    if (!body_init(&j->body, ipc_get_u64(in, TAG_SIZE), ipc_get_u64(in, TAG_BODY_SIZE),
                   ipc_get(&j->in, TAG_DATA), ipc_take_fd(in, 0))) {
        refuse(j, "sizes of the message contradict each other");
        return;
    }
    if (body_is_complete(&j->body)) {
        job_begin(j);
        return;
    }
    channel_consumed(ch, j->txn, in->bulk);
    /* Alone, a message may be larger than the budget: there is no other way for it. */
    if (js->reserved && js->reserved + body_ram_size(&j->body) > CHUNKS_MAX) {
        refuse(j, "too many large messages are on their way");
        return;
    }
    j->reserved = body_ram_size(&j->body);
    js->reserved += j->reserved;
}

static void on_j_body(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct jobs *js = arg;
    struct job *j = dict_get_u64(js->by_txn, in->txn);

    channel_consumed(ch, in->txn, in->bulk);
    if (!j || j->begun || j->open == 0)
        return; /* cancelled, or refused: what was on its way is forgotten */
    if (!body_add(&j->body, ipc_get(in, TAG_DATA)) ||
        (ipc_get_u64(in, TAG_LAST) && !body_is_complete(&j->body))) {
        refuse(j, "the message has not the size that was announced");
        return;
    }
    if (body_is_complete(&j->body)) {
        channel_txn_end(ch, j->txn);
        job_begin(j);
    }
}

static void on_j_result_ack(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct jobs *js = arg;
    struct job *j = dict_get_u64(js->by_txn, in->txn);

    if (!j || !j->unacked)
        return;
    j->unacked = false;
    for (size_t i = 0; i < j->rcpt_n; i++)
        if (j->rcpts[i].state == JOB_RCPT_TOLD) {
            rcpt_forget(&j->rcpts[i]);
            j->rcpts[i].state = JOB_RCPT_KNOWN;
        }
    if (j->last_told) {
        channel_txn_end(ch, j->txn);
        job_free(j);
    } else {
        job_flush(j);
    }
}

/* Only what was not begun can be taken back; the answer is a last result without recipients. */
static void on_j_cancel(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct jobs *js = arg;
    struct job *j = dict_get_u64(js->by_txn, in->txn);

    (void)ch;
    if (!j || j->begun || j->open == 0)
        return;
    for (size_t i = 0; i < j->rcpt_n; i++)
        j->rcpts[i].state = JOB_RCPT_KNOWN;
    j->open = 0;
    js->running--;
    loop_later(j->d->loop, &j->flush);
}

static void on_j_forwarded(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct jobs *js = arg;

    (void)ch;
    forwarding_answered(js->d, in);
}

static const struct channel_route routes[] = {
    { IPC_J_FORWARDED,  on_j_forwarded },
    {IPC_J_START,       on_j_start     },
    { IPC_J_BODY,       on_j_body      },
    { IPC_J_RESULT_ACK, on_j_result_ack},
    { IPC_J_CANCEL,     on_j_cancel    },
    { 0,                NULL           },
};

/* ---- the channel ---- */

static void on_frame(void *arg, struct channel *ch, struct ipc_in *in)
{
    channel_dispatch(routes, arg, ch, in);
}

static bool told_hosts_only(const struct job *j)
{
    for (size_t i = 0; i < j->rcpt_n; i++)
        if (j->rcpts[i].state == JOB_RCPT_OPEN || !j->rcpts[i].step ||
            strcmp(j->rcpts[i].step, STEP_HOSTS) != 0)
            return false;
    return true;
}

/* What queued did not hand over completely never began: it will send it again. What it did not acknowledge is
   to be told again; not that hosts are known, which is no result: the same recipients may run here in the job
   that followed, and the next queued would take it for what became of them there. */
static void channel_gone(struct jobs *js)
{
    channel_free(&js->ch);
    forwardings_lost(js->d);
    for (struct job *j = js->first, *next; j; j = next) {
        next = j->next;
        if ((!j->begun && j->open) || told_hosts_only(j)) {
            job_free(j);
            continue;
        }
        j->unacked = false;
        j->last_told = false;
        for (size_t i = 0; i < j->rcpt_n; i++)
            if (j->rcpts[i].state == JOB_RCPT_TOLD)
                j->rcpts[i].state = JOB_RCPT_RESULT;
    }
}

static void on_lost(void *arg, struct channel *ch, const char *why)
{
    struct jobs *js = arg;

    (void)ch;
    if (js->d->draining)
        LOG(DEBUG, "delivery.queue.left", KI("jobs", js->count));
    else
        LOG(WARN, "delivery.queue.lost", KI("jobs", js->count), KS("error", why));
    channel_gone(js);
}

static const struct channel_ops channel_ops = { .frame = on_frame, .lost = on_lost };

/* ---- inventory ---- */

static void renumber(struct jobs *js)
{
    for (struct job *j = js->first; j; j = j->next) {
        dict_pop_u64(js->by_txn, j->txn);
        j->txn = TXN_OURS | ++js->next_txn;
        dict_set_u64(js->by_txn, j->txn, j);
    }
}

/* Everybody of j whose result queued does not know for certain, from *i on, as far as the frame has room:
   results that are there follow, but not all of them before J_INVENTORY_END. */
static void put_running(struct ipc_out *o, const struct job *j, size_t *i)
{
    ipc_group_begin(o, TAG_RUNNING);
    ipc_put_u64(o, TAG_ID, j->id);
    for (; *i < j->rcpt_n && ipc_out_size(o) < FRAME_SOFT; (*i)++)
        if (j->rcpts[*i].state != JOB_RCPT_KNOWN)
            ipc_put_u64(o, TAG_RCPT_INDEX, j->rcpts[*i].index);
    ipc_group_end(o);
}

static void send_inventory(struct jobs *js)
{
    struct ipc_out *o = &js->d->out;
    uint64_t txn = TXN_OURS | ++js->next_txn;

    ipc_begin(o, IPC_J_INVENTORY, txn);
    for (struct job *j = js->first; j; j = j->next)
        for (size_t i = 0; i < j->rcpt_n;) {
            put_running(o, j, &i);
            if (ipc_out_size(o) < FRAME_SOFT)
                continue;
            channel_send(js->ch, o);
            ipc_begin(o, IPC_J_INVENTORY, txn);
        }
    channel_send(js->ch, o);
    for (struct job *j = js->first; j; j = j->next)
        job_flush(j);
    ipc_begin(o, IPC_J_INVENTORY_END, txn);
    channel_send(js->ch, o);
}

void jobs_edge(struct jobs *js, int fd)
{
    if (js->ch)
        channel_gone(js);
    renumber(js);
    js->ch = channel_new(js->d->loop, fd, ROLE_DELIVERD, ROLE_QUEUED, 0, &channel_ops, js);
    send_inventory(js);
}

struct channel *jobs_channel(struct jobs *js)
{
    return js->ch;
}

uint64_t jobs_question(struct jobs *js)
{
    return TXN_OURS | ++js->next_txn;
}

/* ---- life ---- */

struct jobs *jobs_new(struct deliverd *d)
{
    struct jobs *js = mem_new(sizeof *js);

    js->d = d;
    js->by_txn = dict_new();
    /* What an earlier process in our place asked, queued may answer to us: no number is used again. */
    js->next_txn = rand_u64() >> 2;
    return js;
}

void jobs_free(struct jobs **js)
{
    if (!*js)
        return;
    (*js)->on_empty = NULL;
    while ((*js)->first)
        job_free((*js)->first);
    channel_free(&(*js)->ch);
    dict_free(&(*js)->by_txn, NULL);
    MEM_FREE(*js);
}

size_t jobs_running(const struct jobs *js)
{
    return js->running;
}

uint64_t jobs_held(const struct jobs *js)
{
    return js->frames + js->reserved;
}

size_t jobs_count(const struct jobs *js)
{
    return js->count;
}

void jobs_on_empty(struct jobs *js, void (*fn)(void *arg), void *arg)
{
    js->on_empty = fn;
    js->on_empty_arg = arg;
}
