/* attempt.h - check build, --try-forbidden: every child and thread tries every forbidden act, mtad prints how
 * it went */
#pragma once

#include "common/ipc/channel.h"
#include "mtad/host.h"

/* Everything is READY. Ends the suite when done: status 0 when every act was refused. */
void attempt_begin(struct host *h);
void attempt_tried(struct host *h, struct channel *ch, struct ipc_in *in);
