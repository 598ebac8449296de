/* credit.h - how many bytes of a transaction's chunks may be under way (inner part of channel) */
#pragma once

#include "common/ipc/txn.h"

#include <stdbool.h>

struct credit {
    struct txn_node node; /* first: the table finds it */
    size_t charged;       /* we send: bytes queued or sent that the peer has not given back */
    unsigned queued;      /* we send: frames of it in the bulk queue */
    size_t consumed;      /* we receive: bytes consumed that the peer was not told of yet */
    bool over;            /* channel_txn_end while frames were queued */
    bool waits;           /* was refused room because of the channel's whole queue */
    struct credit *next;  /* the others that wait */
};

struct credits {
    struct txn_table table;
    struct credit *waiting;
};

void credits_init(struct credits *c);
void credits_clear(struct credits *c);
struct credit *credit_find(const struct credits *c, uint64_t txn); /* NULL when unknown */
struct credit *credit_get(struct credits *c, uint64_t txn);        /* makes it when unknown */
void credit_end(struct credits *c, struct credit *k);              /* frees, at the latest when unqueued */
void credit_unqueued(struct credits *c, struct credit *k);         /* one of its frames left the queue */
void credit_wait(struct credits *c, struct credit *k);
/* The next one that waited; false when none. */
bool credit_wake(struct credits *c, uint64_t *txn);
