/* question.h - questions over a channel: answer, deadline or loss arrive as exactly one callback */
#pragma once

#include "common/ipc/frame.h"

struct loop;
struct channel;
struct asker;

/* answer is NULL when there is none (no channel, lost, deadline passed): always a temporary failure. The
   answer is borrowed until done returns. done never runs before asker_ask has returned. */
typedef void asker_done(void *arg, struct ipc_in *answer);

/* One asker per peer role; it survives the replacement of its channel. It starts without one. */
struct asker *asker_new(struct loop *l);
/* Forgets everything pending without callbacks. Safe inside done. */
void asker_free(struct asker **a);

/* The channel to ask over (borrowed), or NULL after its loss. A change fails everything pending, from the
 * loop. */
void asker_set_channel(struct asker *a, struct channel *ch);
bool asker_ready(const struct asker *a); /* there is a channel */

/* The number to begin the next question with: ipc_begin(&o, IPC_MAP_QUERY, asker_txn(a)). */
uint64_t asker_txn(struct asker *a);
/* Sends o (takes its descriptors). Returns a handle for asker_cancel, never 0. */
uint64_t asker_ask(struct asker *a, struct ipc_out *o, int64_t deadline_ms, asker_done *done, void *arg);
/* Forgets the question: done will not run. A handle that is over already, or 0, is ignored. */
void asker_cancel(struct asker *a, uint64_t handle);
/* For the channel's frame handler: runs done of the question with in's number. False when nobody waits any
   more (cancelled, or its deadline passed): not an error. */
bool asker_answer(struct asker *a, struct ipc_in *in);
size_t asker_pending(const struct asker *a);
