/* measure.h - the queue's gauges, told when mtad asks: what the ledger counts, and what the sweep finds */
#pragma once

#include "queued/mailq.h"

struct daemon;

/* The sweep comes by this message. */
void measure_message(struct mailq *q, uint32_t handle);
void measure_round(struct mailq *q); /* the sweep has seen all: what it counted is told from now on */
/* What should have expired: messages older than queue.expire_after by more than a minute (an hour when they
   are being delivered), which neither an operator nor damage nor a pause keeps. As of the last sweep. */
struct late {
    uint64_t messages;
    uint64_t id; /* of the oldest */
    int64_t over_ms;
    bool owed; /* of the oldest: its notice could not be made */
};
const struct late *measure_late(void);
/* A recipient's result that is no delivery: the last ones are remembered. */
struct result_line;
void measure_failure(const struct mailq *q, const struct result_line *l, const char *status);
/* A row for each of them, the newest first. */
struct ctl_call;
void measure_failures(struct ctl_call *call);
void measure_queue(struct mailq *q); /* about to be told */
