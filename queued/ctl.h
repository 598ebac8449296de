/* ctl.h - what an operator may ask of the queue: look, hold, release, delete, return, pause, freeze */
#pragma once

#include "common/ipc/ctl.h"
#include "queued/mailq.h"

void qctl_client(struct mailq *q, int fd); /* takes fd: a caller of the control socket */
void qctl_synced(struct mailq *q); /* more of the journal is durable: answers that wait for that may go */
void qctl_clear(struct mailq *q);

/* select.c: which messages a call means. Views of the call, good until it is done. */
struct selection {
    const struct ctl_call *call;
    struct strv sender, recipient, domain, reason; /* p NULL: any */
    uint64_t older_s, younger_s;                   /* 0: any */
    uint64_t until_ms;                             /* wall: what came later is not meant; 0: any */
    bool sender_exact, recipient_exact;            /* no * in it, so that the ledger can say no */
    uint64_t sender_hash;
    struct strv recipient_domain;
    struct strv state;                             /* "held", "deferred", "running", "active", "damaged" */
    bool ids;                                      /* given one by one: cursor counts them */
    bool any;                                      /* something was given */
    struct ctl_call *absent;                       /* is told of ids that are not there; NULL: nobody is */
    uint64_t id_n;                                 /* ids that were gone through, */
    size_t id_next;                                /* and where in the call the next one is */
};
/* False: err tells what is wrong with the arguments. */
bool selection_read(struct selection *s, const struct ctl_call *call, struct err *err);
/* How long one call may keep the loop, for mail goes on meanwhile: whoever goes through many messages looks
   at the clock after each. */
#define TURN_MS 4
/* The next message; *cursor goes on; *budget falls by what it cost, 0: the portion is over. 0 at the end. */
uint32_t selection_next(struct mailq *q, struct selection *s, uint64_t *cursor, unsigned *budget);
/* Its envelope (in q->envelope), for who needs names. NULL: unreadable. bytes_unref. */
struct bytes *message_envelope(struct mailq *q, uint32_t message);
/* The same for who goes through many; size: of the message, with its body. False: unreadable. */
bool message_peek(struct mailq *q, uint32_t message, uint64_t *size);
const char *message_state(struct mailq *q, uint32_t message);

/* change.c: one change of one message, by whom; true: something was noted. */
struct change {
    const char *name;
    bool (*run)(struct mailq *q, uint32_t message, unsigned uid, struct strv reason);
};
extern const struct change changes[]; /* ends with name NULL */
