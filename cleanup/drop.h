/* drop.h - local submissions: files of drop/ that queued hands over, to messages */
#pragma once

#include "cleanup/txn.h"

struct channel;
struct drop;
struct ipc_in;
struct mailbox;
struct resolve_result;

/* DROP_OPEN. */
void drop_on_open(void *arg, struct channel *ch, struct ipc_in *in);

/* Part of txn_finish: a message that can never be sent becomes a notice to its sender, under the same origin,
   and a transaction of its own; else queued is told how it ended. */
void drop_finished(struct txn *t);
void drop_resolved(struct txn_rcpt *r, const struct resolve_result *result);
/* queued has room again: reads on. */
void drop_pump(struct txn *t);

uint64_t drop_uid(const struct drop *d);
struct strv drop_warning(const struct txn *t); /* what postdrop says about the sender; a view of t */
/* What a missing From says; false for a notice, which has one. The caller clears it. */
bool drop_from(const struct txn *t, struct mailbox *out);

void drop_free(struct drop **d);
void drops_abort(struct cleanup *cl); /* queued is gone */
