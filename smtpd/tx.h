/* tx.h - transactions over the channel to cleanup: requests, answers by number, loss of all at once */
#pragma once

#include "common/ipc/txn.h"
#include "smtpd/engine.h"

struct loop;
struct tx_link;

/* Embedded in the session. */
struct tx {
    struct txn_node node; /* first; number 0: not open */
    struct tx_link *link; /* borrowed */
    void *arg;
    unsigned asked;  /* index of the recipient that waits for its verdict; 0: none */
    unsigned frames; /* given to the channel */
    bool ended;      /* TX_END was sent */
    uint64_t id;     /* of the message */
    /* Cleanup was lost behind TX_END: whether the message is stored must be asked, never guessed (451 for a
       stored message makes a duplicate, 250 for one that is not loses it). Without a number until then. */
    bool doubt;
    struct tx *doubt_next, **doubt_at;
};

struct tx_events {
    void (*rcpt)(void *arg, const struct tx_answer *a);
    void (*done)(void *arg, const struct tx_answer *a); /* the transaction is closed already */
    void (*room)(void *arg);                            /* data may go on */
    void (*lost)(void *arg); /* cleanup is gone; the transaction is closed already. Must not open another one
                                before it returned */
    void (*doubt)(void *arg, bool asked); /* cleanup is gone behind TX_END. done will come when the new one
                                             was asked; asked: that was done now */
};

/* One per process; starts without a channel. */
struct tx_link *tx_link_new(struct loop *l, const struct tx_events *events);
/* Every transaction must be closed. */
void tx_link_free(struct tx_link **link);
/* Takes fd: cleanup's channel, or its replacement (open transactions of the old one are lost). */
void tx_link_set(struct tx_link *link, int fd, unsigned peer_index);
/* There is a cleanup, and it is not hopelessly behind. */
bool tx_link_ready(const struct tx_link *link);
size_t tx_link_count(const struct tx_link *link); /* open transactions, without those in doubt */

void tx_init(struct tx *t, struct tx_link *link, void *arg);
bool tx_is_open(const struct tx *t);
void tx_open(struct tx *t, const struct engine *e);
void tx_rcpt(struct tx *t, const struct engine *e, unsigned index, struct strv rcpt, bool local);
size_t tx_room(const struct tx *t);
void tx_body(struct tx *t, struct strv data);
void tx_end(struct tx *t, struct strv rest, uint64_t size, unsigned rcpts);
void tx_abort(struct tx *t); /* nothing when it is not open */
