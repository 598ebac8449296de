/* result_line.c - the log line about one recipient's result */
#include "queued/result_line.h"

#include "common/base/log.h"
#include "common/base/metric.h"
#include "queued/digits.h"
#include "queued/measure.h"
#include "queued/trace.h"

#include <stdio.h>

#define DELAYS_SIZE 128u

static const char *status_word(enum ipc_outcome outcome)
{
    switch (outcome) {
    case OUTCOME_DELIVERED: return "delivered";
    case OUTCOME_FAILED: return "failed";
    case OUTCOME_DEFERRED: return "deferred";
    }
    return "unknown";
}

/* "0.010/0.002/0.300/0.120": before the queue manager, in it, connecting, transmitting */
static void delays_text(const struct result_line *l, char dst[DELAYS_SIZE])
{
    const int64_t ms[] = { l->before, l->queue, l->connect, l->send };
    size_t n = 0;

    for (int i = 0; i < 4; i++) {
        uint64_t v = ms[i] > 0 ? (uint64_t)ms[i] : 0;

        if (i > 0)
            dst[n++] = '/';
        n += digits_u64(dst + n, v / 1000);
        dst[n++] = '.';
        for (uint64_t unit = 100; unit > 0; unit /= 10)
            dst[n++] = (char)('0' + v / unit % 10);
    }
    dst[n] = '\0';
}

static struct strv if_any(struct strv s)
{
    return s.n ? s : strv_make(NULL, 0);
}

void result_line_log(const struct mailq *q, const struct result_line *l)
{
    bool deferred = l->v->outcome == OUTCOME_DEFERRED;
    char id[ID_TEXT_SIZE], delays[DELAYS_SIZE], attempt[16], retry[16];
    uint32_t now = mailq_now_s(q);
    int64_t delay = mailq_now_ms(q) - l->since;

    metric_add(METRIC_RESULTS, l->v->outcome, 1);
    if (l->v->outcome == OUTCOME_DELIVERED)
        metric_observe(METRIC_DELIVERY_TIME, delay > 0 ? (uint64_t)delay : 0);
    else
        measure_failure(q, l, status_word(l->v->outcome));
    trace_result(q, l);
    id_text(l->id, id);
    if (deferred) {
        snprintf(attempt, sizeof attempt, "%u", l->v->attempts);
        snprintf(retry, sizeof retry, "%u", l->v->due > now ? l->v->due - now : 0);
    }
    if (l->times)
        delays_text(l, delays);
    LOG(INFO, "delivery.result", KS("id", id), KV("to", l->to), KV("orig_to", if_any(l->original)),
        KV("relay", if_any(l->v->relay)), KS("status", status_word(l->v->outcome)),
        KV("dsn", if_any(l->v->enhanced)), KMS("delay", delay),
        KS("delays", l->times ? delays : NULL), KV("reply", if_any(l->v->reply)), KS("notice", l->notice),
        KS("attempt", deferred ? attempt : NULL), KS("retry_in", deferred ? retry : NULL));
}
