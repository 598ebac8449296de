/* measure.h - what mtad asks of a daemon time and again: whether it lives, and what it counted */
#pragma once

#include "common/ipc/channel.h"

/* Answers a MEASURE with all that metric.h counted in this process. */
void measure_answer(struct channel *ch, const struct ipc_in *in);
/* A handler: PONG. */
void ping_on_frame(void *arg, struct channel *ch, struct ipc_in *in);
