/* forward_inner.h - what forward.c and requeue.c share: messages of the queue that are submitted anew */
#pragma once

#include "cleanup/forward.h"

struct dict;

struct forward {
    struct txn *txn;
    struct forward *next, **at; /* in cleanup.forwards */
    uint64_t request;           /* queued's number */
    int fds[2];                 /* owned: the message, and a big body that follows; -1 */
    uint64_t sizes[2], offset;
    unsigned part;     /* of fds, being read */
    struct span rcpt;  /* in txn.words: who sends it on */
    struct span orcpt; /* the same: what its notices name */
    struct span given; /* the same: the address that the sender wrote to; empty: a list's, told of members */
    struct span user;  /* the same: whose ~/.forward it is; empty: a list's */
    uint64_t notify;
    bool has_notify, looked;
    struct dict *users; /* owned: system users among the targets of a ~/.forward; NULL: none so far */
    bool names; /* addresses of others are among the targets: they may send it on to him again */
    /* of a message that passes again */
    struct txn_rcpt **unasked; /* in txn.rcpts: behind it tables were not asked yet */
    bool asking, more;         /* recipients are still to come */
};

/* Of N_FORWARD or N_REQUEUE: has the descriptors and sizes; t->forward afterwards. */
struct forward *forward_new(struct txn *t, struct ipc_in *in);
