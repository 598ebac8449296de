/* notice.h - delivery status notices: composed from queued's facts, sent through the pipeline */
#pragma once

struct channel;
struct cleanup;
struct dsn;
struct ipc_in;
struct notice;
struct resolve_result;
struct txn;
struct txn_rcpt;

/* N_COMPOSE: arg is the struct cleanup. */
void notice_on_compose(void *arg, struct channel *ch, struct ipc_in *in);
/* What every notice of this host says: its name, its texts, its postmaster. */
void notice_host(const struct cleanup *cl, struct dsn *d);
/* The address that the notice goes to was looked up. */
void notice_resolved(struct txn_rcpt *r, const struct resolve_result *result);
/* queued takes more of a notice that returns a large body, or refused it. */
void notice_pump(struct txn *t);
/* The notice's transaction is over: queued learns of a failure; a success it knows by the origin it
 * committed. */
void notice_finished(struct txn *t);
void notice_free(struct notice **n);
/* queued is gone: it will ask again, so none of the old requests may be answered to the next one. */
void notices_abort(struct cleanup *cl);
