/* mailq.c - the queue as a whole: start, time, end */
#include "queued/mailq.h"

#include "common/base/clock.h"
#include "common/base/dict.h"
#include "common/base/hash.h"
#include "common/base/log.h"
#include "conf/conf.h"
#include "conf/queue.h"
#include "queued/ctl.h"
#include "queued/drop.h"
#include "queued/trace.h"

#define RECENT_MAX (1u << 20) /* two minutes, the longest doubt of cleanup, at 8000 messages a second */
#define DENIED_MAX 65536u
#define RECENT_MS  (15 * 60 * 1000)

int64_t mailq_now_ms(const struct mailq *q)
{
    return q->wall0 + loop_now(q->loop) - q->mono0;
}

uint32_t mailq_now_s(const struct mailq *q)
{
    return (uint32_t)(mailq_now_ms(q) / 1000);
}

void mailq_init(struct mailq *q, struct loop *loop, const struct conf_queue *conf)
{
    const struct sched_conf sched = { .retry = conf->retry.v, .retry_n = conf->retry.n, .below = rand_below };

    memset(q, 0, sizeof *q);
    q->loop = loop;
    q->conf = conf;
    q->wall0 = clock_wall_ms();
    q->mono0 = loop_now(loop);
    /* Job numbers of a former queued may still be in use in a deliverd. */
    q->job_number = (uint64_t)q->wall0 << 20;
    ledger_init(&q->ledger, &sched);
    q->ledger.double_bounce = conf_notices_double_bounce(conf)[0] != '\0';
    limits_apply(q);
    ipc_out_init(&q->out);
    envelope_init(&q->envelope);
    buf_init(&q->scratch, ENVELOPE_MAX);
    buf_init(&q->list, ENVELOPE_MAX);
    q->pending = dict_new();
    q->origins = dict_new();
    q->fresh = dict_new();
    q->unacked_min = QUEUE_UNACKED_MIN;
    q->recent.max = RECENT_MAX;
    q->denied.max = DENIED_MAX;
}

void mailq_configure(struct mailq *q, const struct conf *conf)
{
    q->conf = conf->queue;
    q->ledger.double_bounce = conf_notices_double_bounce(q->conf)[0] != '\0';
    q->routes = conf;
    sched_set_retry(q->ledger.sched, conf->queue->retry.v, conf->queue->retry.n);
    limits_apply(q);
    dispatch_soon(q);
}

static void on_committed(void *arg, struct commit *c)
{
    submit_committed(arg, c);
}

static void on_noted(void *arg)
{
    results_noted(arg);
}

static void on_due(void *arg)
{
    dispatch_soon(arg);
}

static void on_gone(void *arg, const struct message *m)
{
    struct mailq *q = arg;
    struct bytes *b = dict_count(q->fresh) ? dict_pop_u64(q->fresh, m->id) : NULL;
    char id[ID_TEXT_SIZE];

    jobs_forget_message(q, m);
    if (b) {
        q->fresh_bytes -= b->size;
        bytes_unref(&b);
    }
    ids_push(&q->recent, m->id);
    id_text(m->id, id);
    LOG(INFO, "queue.message.finished", KS("id", id), KMS("delay", mailq_now_ms(q) - m->since));
}

static bool on_unlinking(void *arg)
{
    return drops_sync(arg);
}

static void on_synced(void *arg)
{
    qctl_synced(arg);
}

static const struct store_ops ops = {
    .synced = on_synced,
    .committed = on_committed, .noted = on_noted, .gone = on_gone, .unlinking = on_unlinking
};

static void on_origin(void *arg, struct strv origin)
{
    drops_recovered(arg, origin);
}

/* Clients may still ask about these: cleanup does not know that they were stored. */
static void on_over(void *arg, uint64_t id)
{
    struct mailq *q = arg;

    if (id_wall_ms(id) > q->wall0 - RECENT_MS)
        ids_push(&q->recent, id);
}

static void recovery_log(const struct mailq *q, const struct recovery *r, int64_t ms)
{
    LOG(INFO, "queue.recovery.done", KI("messages", ledger_count(&q->ledger)), KI("segments", r->segments),
        KI("from_index", r->from_index), KI("records", r->records), KI("bytes", r->bytes),
        KI("damaged", r->damages), KI("torn", r->torn), KI("big_missing", r->big_missing),
        KI("lost", r->lost), KI("journal_files", r->report.files), KI("journal_entries", r->report.entries),
        KI("journal_torn", r->report.torn), KMS("time", ms));
}

bool mailq_start(struct mailq *q, struct err *err)
{
    struct recovery r = { .over = on_over, .origin = on_origin, .arg = q };
    int64_t began = clock_mono_ms();
    uint32_t cursor = 0, handle;

    drops_scan(q);
    if (!store_recover(q->store, q->loop, &q->ledger, &ops, q, &r, err)) {
        recovery_clear(&r);
        return false;
    }
    recovery_log(q, &r, clock_mono_ms() - began);
    q->damages = r.damages + r.lost;
    recovery_clear(&r);
    if (q->ledger.paused)
        LOG0(ERROR, "queue.delivery.paused");
    loop_timer_init(&q->due_timer, q->loop, on_due, q);
    sweep_start(q);
    q->started = true;
    while ((handle = ledger_next(&q->ledger, &cursor))) {
        message_settle(q, handle);
        notice_want(q, handle);
    }
    drops_start(q);
    dispatch_soon(q);
    return true;
}

void mailq_drain(struct mailq *q)
{
    q->draining = true;
}

bool mailq_is_idle(const struct mailq *q)
{
    return q->job_n == 0 && store_pending(q->store) == 0 && store_noted(q->store);
}

void mailq_clear(struct mailq *q)
{
    if (q->started) {
        loop_timer_stop(&q->due_timer);
        loop_timer_stop(&q->sweep_timer);
    }
    q->started = false;
    requeue_clear(q);
    drops_clear(q);
    trace_clear(q);
    store_close(&q->store);
    submit_clear(q);
    for (unsigned i = 0; i < q->deliverd_n; i++) {
        struct deliverd *d = &q->deliverds[i];

        channel_free(&d->ch);
        while (d->jobs)
            job_free(q, d->jobs);
    }
    qctl_clear(q);
    notice_clear(q);
    forward_clear(q);
    dispatch_clear(q);
    ledger_clear(&q->ledger);
    ipc_out_clear(&q->out);
    envelope_clear(&q->envelope);
    buf_clear(&q->scratch);
    buf_clear(&q->list);
}
