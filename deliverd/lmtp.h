/* lmtp.h - mailboxes that an LMTP server has: the recipients of a job there, in one transaction if it can be
 *
 * One server per section `mailbox` with `method = lmtp`. A server that does not answer is left alone for
 * seconds: what comes meanwhile is deferred at once instead of waiting in line, and one delivery at a time
 * tries whether it is back, so that a hung server does not hold up the other mailboxes of the host.
 */
#pragma once

#include "common/ipc/frame.h"

struct conf_mailbox;
struct deliverd;
struct job;
struct job_outcome;
struct lmtp;
struct lmtp_delivery;

#define LMTP_DOWN_MS  5000  /* a server that failed is asked again after that */
#define LMTP_BLINK_MS 60000 /* down for less than that is a restart: tried again in seconds, not charged */

struct lmtp_ops {
    /* One recipient of the job; each exactly once, perhaps before lmtp_start returned. */
    void (*result)(void *arg, size_t rcpt, const struct job_outcome *o);
    /* The delivery is over and forgotten; from the loop. */
    void (*over)(void *arg, struct lmtp_delivery *delivery);
};

struct lmtp *lmtp_new(struct deliverd *d);
void lmtp_free(struct lmtp **l); /* after all deliveries */

/* rcpts: n indexes of the job's recipients, copied. The job must outlive the delivery. */
struct lmtp_delivery *lmtp_start(struct job *j, const struct conf_mailbox *m, const size_t *rcpts, size_t n,
                                 const struct lmtp_ops *ops, void *arg);
/* No more callbacks. */
void lmtp_cancel(struct lmtp_delivery **delivery);

/* mtad's answer to HELPER. */
void lmtp_helper_reply(struct lmtp *l, struct ipc_in *in);
