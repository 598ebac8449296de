/* forward.h - asking queued to send a message on, to the targets of a recipient's ~/.forward or list */
#pragma once

#include "common/ipc/frame.h"
#include "common/net/loop.h"

struct deliverd;
struct job;

/* One question. Embedded by whoever asks, zeroed; must live until done ran or forwarding_cancel. */
struct forwarding {
    /* ACCEPT: queued has recorded the recipient as done. lost: it was our own service that failed. Never
       before forwarding_start returned. */
    void (*done)(void *arg, enum ipc_verdict verdict, struct strv enhanced, struct strv text, bool lost);
    void *arg;
    char user[65]; /* whose ~/.forward it is: an address of his there is his mailbox; "" */

    struct deliverd *d; /* from here: of forward.c; NULL: it does not run */
    struct forwarding *next, **at;
    uint64_t txn; /* 0: queued is away */
    struct loop_timer timer;
};

/* The i-th recipient of j goes to the TARGET fields of in; NULL: to the members of the list that it is.
   sender: another reverse-path than the message's, p NULL: the same. */
void forwarding_start(struct forwarding *f, struct job *j, size_t i, const struct ipc_in *in,
                      struct strv sender);
void forwarding_cancel(struct forwarding *f);

void forwarding_answered(struct deliverd *d, struct ipc_in *in); /* J_FORWARDED */
void forwardings_lost(struct deliverd *d);                       /* the channel to queued is gone */
