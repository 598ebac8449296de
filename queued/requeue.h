/* requeue.h - messages that an operator sends through cleanup again, as they are or with another envelope
 *
 * Cleanup submits the message with the origin "requeue/ID/RECIPIENTS"; that record, once durable, ends those
 * recipients of the old message, and recovery knows it by its origin. Until then they stand still
 * (MESSAGE_MOVING), so nobody gets it twice. queued keeps the envelope: only recipients and sender come back
 * from cleanup.
 */
#pragma once

#include "queued/ctl.h"

/* What `queue edit` asks for; views of the call. */
struct edit {
    const struct ctl_call *call;
    struct strv sender; /* p NULL: as it is; empty: the null sender */
    bool notify;        /* who is removed fails: the sender is told */
    struct strv change; /* for the record and the log: who, what; owned by the run */
};

/* A call of an operator. */
struct requeue_run {
    struct mailq *q;
    struct ctl_call *call; /* NULL: the caller left */
    struct selection selection;
    uint64_t cursor;
    unsigned budget, flying;
    bool over;    /* nothing more is to begin */
    bool pumping; /* inside requeue_run_pump */
    unsigned uid; /* of the caller */
    struct edit *edit; /* owned; NULL: nothing changes */
    struct buf change; /* what edit.change shows */
    struct loop_timer timer;
};

/* A message on its way: all its recipients that wait, at once, so that one transaction of cleanup sees them
   all and nobody gets it twice. */
struct requeue {
    struct requeue *next;
    struct requeue_run *run; /* its flying counts this one */
    uint64_t id, txn;
    const struct channel *ch; /* the cleanup that has it; compared only */
    int64_t deadline;         /* mono ms */
    char *origin;             /* owned */
    struct envelope kept;     /* of the old record */
    struct strv hold;         /* of the new one; empty: it is not held */
    struct buf edited;        /* the same */
    struct buf list;          /* recipients that end with its commit, for the origin */
    struct buf ended, failed; /* of these: without further ado; those that the sender is told of */
    struct buf left; /* who gets nothing of it: requeue_left_add */
    uint32_t moved, running, emitted, left_n;
};

/* What cleanup still has although nobody waits for it: its submission would look like that of the next. */
struct requeue_stale {
    struct requeue_stale *next;
    uint64_t id, txn;
    const struct channel *ch; /* compared only */
};

enum { REQUEUE_GIVEN = 1, REQUEUE_NOTICE = 2 };
/* What the origin of an envelope says of it: its originals are not what tables were asked for; it is a notice
   whose failure is told. */
unsigned requeue_flags(const struct envelope *e, const struct message *m);

/* Why a recipient is left out; the first letter of its entry in requeue.left. */
enum { REQUEUE_LEFT_RUNNING = 'r', REQUEUE_LEFT_HAS_IT = 'h', REQUEUE_LEFT_NOBODY = 'n' };
void requeue_left_add(struct requeue *op, char why, struct strv address, struct strv original);
/* One row and one line in the log for each. */
void requeue_left_tell(struct requeue_run *run, const struct requeue *op, uint64_t new_id);

/* requeue_plan.c: which recipients go through cleanup, and as what. The caller fills in the first five. */
struct requeue_plan {
    struct mailq *q;
    struct requeue *op;
    struct message *m;
    struct edit *edit; /* NULL: nothing changes */
    bool as_given;     /* all stay the addresses they are */
    bool given;        /* some of them do */
    /* inside */
    bool sending;
    struct dict *groups; /* owned */
    struct list_writer ended, failed;
};
/* Fills op's lists and numbers, and barred: recipients that the new message must not have. NULL, or why it
   cannot be. op->emitted 0: nobody is left who could get it. */
const char *requeue_plan_make(struct requeue_plan *p, struct buf *barred);
/* Then: puts the recipients into the frame q->out; when it is full it goes, and another is begun. */
void requeue_plan_emit(struct requeue_plan *p);
void requeue_plan_clear(struct requeue_plan *p);
bool requeue_is_idle(const struct rcpt *r);
/* Is that recipient meant by the address of an operator? */
bool requeue_means(const struct envelope_rcpt *r, struct strv address);

/* requeue.c: begins with one message; NULL or why not. A row follows when it is over. */
const char *requeue_begin(struct requeue_run *run, uint32_t message);

/* requeue_ctl.c */
void requeue_run_pump(struct requeue_run *run); /* begins more, or answers; run may be gone */
void requeue_row_kept(struct requeue_run *run, uint64_t id, struct strv reason);
void requeue_row_done(struct requeue_run *run, const struct requeue *op, uint64_t new_id);
void requeue_act(void *arg, struct ctl_call *call);
void requeue_edit_act(void *arg, struct ctl_call *call);
