/* commit.h - towards queued: streaming of large bodies, and the one frame that makes a message ours */
#pragma once

#include <stdint.h>

struct cleanup;
struct txn;

/* Body bytes that would not fit the last frame go to queued as they come, as far as its credit reaches. */
void commit_stream(struct txn *t);
/* queued is gone: what it had is undone, nothing of it was acknowledged. */
void commit_queued_lost(struct cleanup *cl);
/* queued has credit for this number again, or its queue fell. */
void commit_ready(struct cleanup *cl, uint64_t queue_txn);
/* Tells queued to forget the transaction, if it knows of it and has not got the whole. */
void commit_abort(struct txn *t);

/* receive.c: gives smtpd room for what left the transaction's memory. */
void receive_credit(struct txn *t);
