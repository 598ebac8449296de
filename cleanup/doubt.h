/* doubt.h - messages of which nobody here knows whether queued stored them: it is asked, nothing is guessed
 *
 * Two ways into doubt: queued was lost between Q_SUBMIT and its answer; or cleanup was, and smtpd asks the
 * new one (TX_QUERY). 451 for a stored message would make a duplicate, 250 for one that was not would lose
 * it: while queued does not answer, smtpd gets none.
 */
#pragma once

struct channel;
struct cleanup;
struct ipc_in;
struct txn;

/* The transaction was submitted on a channel that is gone. Its content is not needed any more. */
void doubt_begin(struct txn *t);
/* TX_QUERY: arg is the struct peer. */
void doubt_on_query(void *arg, struct channel *ch, struct ipc_in *in);
/* queued is there (again): every doubt is put to it. */
void doubt_ask_all(struct cleanup *cl);
/* Leaves the list; called when the transaction ends. */
void doubt_forget(struct txn *t);
