/* measure.c - the queue's gauges, told when mtad asks: what the ledger counts, and what the sweep finds */
#include "queued/measure.h"

#include <stdio.h>
#include <string.h>

#include "common/base/metric.h"
#include "conf/queue.h"
#include "queued/ctl.h"
#include "queued/drop.h"
#include "queued/result_line.h"

#define TOP      (METRIC_WORDS - 1)
#define DEST_MAX 100000u /* destinations that are worth a walk: some milliseconds */

/* ---- ages ---- */

enum { OWED = STANDING__N, AGES };

#define LATE_MS         60000   /* a sweep of a million messages takes less, and a notice */
#define RUNNING_LATE_MS 3600000 /* what is being sent when its time is over may end */

struct ages {
    uint64_t overdue[AGES];
    int64_t oldest_ms[AGES];
    struct late late;
};
static struct ages counting;
static struct late late;

/* Counted among the active: nothing is to be delivered any more, its sender is to be told. */
static bool only_owes(struct message *m)
{
    for (uint32_t i = 0; i < m->rcpt_n; i++)
        if (message_rcpt(m, i)->state != RCPT_OWED && message_rcpt(m, i)->state != RCPT_DONE)
            return false;
    return m->open > 0;
}

static bool is_late(const struct mailq *q, unsigned state, int64_t over_ms)
{
    if (state == STANDING_HELD || state == STANDING_DAMAGED)
        return false;
    if (state != OWED && (q->ledger.paused || !q->conf->deliver))
        return false;
    return over_ms > (state == STANDING_RUNNING ? RUNNING_LATE_MS : LATE_MS);
}

void measure_message(struct mailq *q, uint32_t handle)
{
    struct message *m = ledger_at(&q->ledger, handle);
    int64_t age = mailq_now_ms(q) - m->since, over = age - q->conf->expire_after * 1000;
    unsigned state = message_standing(m);

    /* Most are young and cost no look at their recipients. */
    if (over <= 0 && age <= counting.oldest_ms[state] &&
        (state != STANDING_ACTIVE || age <= counting.oldest_ms[OWED]))
        return;
    if (state == STANDING_ACTIVE && only_owes(m))
        state = OWED;
    if (age > counting.oldest_ms[state])
        counting.oldest_ms[state] = age;
    counting.overdue[state] += over > 0;
    if (!is_late(q, state, over))
        return;
    if (counting.late.messages++ == 0 || over > counting.late.over_ms) {
        counting.late.id = m->id;
        counting.late.over_ms = over;
        counting.late.owed = state == OWED;
    }
}

void measure_round(struct mailq *q)
{
    int64_t oldest = 0;

    (void)q;
    for (unsigned i = 0; i < AGES; i++) {
        oldest = counting.oldest_ms[i] > oldest ? counting.oldest_ms[i] : oldest;
        metric_set(METRIC_QUEUE_STATE_OLDEST, i, (uint64_t)counting.oldest_ms[i] / 1000);
        metric_set(METRIC_QUEUE_OVERDUE, i, counting.overdue[i]);
    }
    metric_set(METRIC_QUEUE_OLDEST, 0, (uint64_t)oldest / 1000);
    late = counting.late;
    memset(&counting, 0, sizeof counting);
}

const struct late *measure_late(void)
{
    return &late;
}

/* ---- failures ---- */

#define FAILURES 20u

static struct failure {
    uint64_t id;
    uint32_t time; /* seconds */
    char status[12], recipient[128], relay[96], reply[200];
} failures[FAILURES];
static uint64_t failure_n;

static void cut(struct strv s, char *dst, size_t size)
{
    snprintf(dst, size, "%.*s", (int)(s.n < size ? s.n : size - 1), s.n ? s.p : "");
}

void measure_failure(const struct mailq *q, const struct result_line *l, const char *status)
{
    struct failure *f = &failures[failure_n++ % FAILURES];

    f->id = l->id;
    f->time = mailq_now_s(q);
    cut(SV(status), f->status, sizeof f->status);
    cut(l->to, f->recipient, sizeof f->recipient);
    cut(l->v->relay, f->relay, sizeof f->relay);
    cut(l->v->reply, f->reply, sizeof f->reply);
}

void measure_failures(struct ctl_call *call)
{
    for (uint64_t i = failure_n; i > 0 && failure_n - i < FAILURES; i--) {
        const struct failure *f = &failures[(i - 1) % FAILURES];
        char id[ID_TEXT_SIZE];

        id_text(f->id, id);
        ctl_row(call, "failure");
        ctl_put_u64(call, "time", f->time);
        ctl_put(call, "status", SV(f->status));
        ctl_put(call, "id", SV(id));
        ctl_put(call, "recipient", SV(f->recipient));
        ctl_put(call, "relay", SV(f->relay));
        ctl_put(call, "reply", SV(f->reply));
        ctl_row_end(call);
    }
}

/* ---- destinations ---- */

struct top {
    struct {
        struct strv domain;
        uint32_t parts;
    } list[TOP]; /* most first */
    unsigned n;
    uint64_t others;
};

static void on_dest(void *arg, struct strv domain, uint32_t parts)
{
    struct top *top = arg;
    unsigned i;

    if (parts == 0)
        return;
    if (top->n == TOP && parts <= top->list[TOP - 1].parts) {
        top->others += parts;
        return;
    }
    if (top->n == TOP)
        top->others += top->list[--top->n].parts;
    for (i = top->n++; i > 0 && top->list[i - 1].parts < parts; i--)
        top->list[i] = top->list[i - 1];
    top->list[i].domain = domain;
    top->list[i].parts = parts;
}

static void destinations(struct mailq *q)
{
    struct top top = { .n = 0 };

    metric_words_clear(METRIC_QUEUE_DESTINATION);
    if (sched_dest_count(q->ledger.sched) <= DEST_MAX)
        sched_each_dest(q->ledger.sched, on_dest, &top);
    else
        top.others = ledger_count(&q->ledger);
    for (unsigned i = 0; i < top.n; i++)
        metric_add_word(METRIC_QUEUE_DESTINATION, top.list[i].domain, top.list[i].parts);
    if (top.others)
        metric_add_word(METRIC_QUEUE_DESTINATION, SV_LIT("other"), top.others);
}

void measure_queue(struct mailq *q)
{
    struct store_usage usage;

    for (unsigned i = 0; i < STANDING__N; i++)
        metric_set(METRIC_QUEUE_MESSAGES, i, q->ledger.standings[i]);
    destinations(q);
    metric_set(METRIC_QUEUE_DESTINATIONS, 0, sched_dest_count(q->ledger.sched));
    metric_set(METRIC_QUEUE_EXPIRE, 0, (uint64_t)q->conf->expire_after);
    metric_set(METRIC_QUEUE_JOBS, 0, q->job_n);
    metric_set(METRIC_QUEUE_DISK_FREE, 0, store_disk_free(q->store));
    metric_set(METRIC_QUEUE_DROP, 0, drops_waiting(q));
    metric_set(METRIC_QUEUE_DROP, 1, drops_bad(q));
    usage = store_usage(q->store);
    metric_set(METRIC_QUEUE_SEGMENTS, 0, usage.segments);
    metric_set(METRIC_QUEUE_SEGMENT_BYTES, 0, usage.written);
    metric_set(METRIC_QUEUE_LIVE_BYTES, 0, usage.live);
}
