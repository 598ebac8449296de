/* requeue.h - messages of the queue that an operator sends through cleanup again */
#pragma once

#include "cleanup/txn.h"

struct channel;
struct ipc_in;
struct resolve_result;

/* N_REQUEUE. */
void requeue_on_open(void *arg, struct channel *ch, struct ipc_in *in);
/* N_REQUEUE_RCPTS. */
void requeue_on_rcpts(void *arg, struct channel *ch, struct ipc_in *in);
void requeue_resolved(struct txn_rcpt *r, const struct resolve_result *result);
/* That address gets nothing of it: queued tells the log and the operator. */
void requeue_left_out(struct txn *t, enum requeue_left why, struct strv address, struct strv original);
