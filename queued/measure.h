/* measure.h - the queue's gauges: counted by the sweep, told when mtad asks */
#pragma once

#include "queued/mailq.h"

struct daemon;

/* The sweep comes by this message. */
void measure_message(struct mailq *q, uint32_t handle);
void measure_round(struct mailq *q); /* the sweep has seen all: what it counted is told from now on */
void measure_queue(struct mailq *q); /* about to be told */
