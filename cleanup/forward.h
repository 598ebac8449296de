/* forward.h - messages that a recipient sends on: queued's copy of the message, to new targets */
#pragma once

#include "cleanup/txn.h"

struct channel;
struct forward;
struct ipc_in;
struct resolve_result;

/* N_FORWARD. */
void forward_on_open(void *arg, struct channel *ch, struct ipc_in *in);

/* Part of txn_finish: queued is told how it ended. */
void forward_finished(struct txn *t);
void forward_resolved(struct txn_rcpt *r, const struct resolve_result *result);
/* queued has room again: reads on. */
void forward_pump(struct txn *t);

void forward_free(struct forward **f);
void forwards_abort(struct cleanup *cl); /* queued is gone */
