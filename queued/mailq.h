/* mailq.h - the object of the daemon: what its files share */
#pragma once

#include "common/ipc/channel.h"
#include "common/net/loop.h"
#include "queued/ids.h"
#include "queued/store.h"

struct conf;
struct conf_queue;
struct daemon;
struct dict;
struct drops;

/* Results that wait for the journal: with so many, or max_jobs if that is more, no job begins. A disk that
   hangs must not make mail that is delivered, and that a crash would deliver again, without end. */
#define QUEUE_UNACKED_MIN 10000u
#define QUEUE_DELIVERDS 192u /* three generations of the maximum of processes.deliverd */
#define QUEUE_SHARE                                                                                          \
    5u /* a fifth of all jobs is for other hosts alone, one for our mailboxes, one for LMTP servers:         \
          slow ones cannot stop the others */

/* A whole record in memory, shared by what needs it: the fresh message, its jobs. */
struct bytes {
    unsigned refs;
    char *data; /* owned */
    size_t size;
    struct strv envelope, message; /* views; message: header + CRLF + body (big: without body) */
    struct record_sizes sizes;
};
struct bytes *bytes_new(char *record, size_t size, const struct record *r); /* takes record */
void bytes_unref(struct bytes **b);

/* What a job remembers of a recipient, for log lines. */
struct job_rcpt {
    uint32_t index;
    bool pending;             /* no result yet */
    struct strv to, original; /* views into the job's text; p NULL: unknown (an inherited job) */
};

struct job {
    struct job *prev, *next; /* of its deliverd */
    uint64_t txn;            /* 0: inherited from before our start, known by message and recipients */
    uint64_t id;
    uint32_t message, part; /* 0: settled, the job only waits for its last frame */
    unsigned deliverd;
    enum sched_side side;
    struct job_rcpt *rcpts; /* owned */
    size_t rcpt_n, pending;
    char *text;      /* owned */
    int64_t started; /* mono ms */
    int64_t ms_before, ms_queue;
    unsigned attempt;
    uint32_t due;               /* seconds: next attempt, 0: not drawn yet */
    bool unconfirmed;           /* its deliverd was reconnected and has not spoken of it yet */
    bool answered, unreachable, unresolved; /* what the results say about the destination */
    bool slow;                              /* the look-up of its hosts took long */
    bool told;                              /* which hosts those are, and did no more */
    /* sending what does not fit J_START */
    struct bytes *bytes; /* counted; NULL when all is sent */
    size_t sent;
    int big_fd; /* owned, -1 */
    uint64_t big_left, big_at;
};

enum deliverd_state { DELIVERD_ABSENT, DELIVERD_AWAITED, DELIVERD_READY };

#define QUEUE_CLEANUPS 8u /* generations, and one that comes before another is forgotten */

struct submitter;

struct deliverd {
    struct channel *ch; /* owned; NULL while there is none */
    enum deliverd_state state;
    bool retired;              /* of a former generation: finishes its jobs, gets no more */
    bool unknown;              /* ran before us: it may hold jobs that we know nothing of */
    struct job *jobs;          /* owned */
    unsigned job_n, side_n[SCHED_SIDES];
};

struct ack {
    unsigned deliverd;
    uint64_t txn;
};

struct mailq {
    struct daemon *daemon; /* NULL in tests */
    /* Something does not work, text NULL: it does again. NULL in tests. */
    void (*trouble)(struct mailq *q, const char *what, const char *text, const char *advice);
    struct loop *loop;
    const struct conf_queue *conf; /* borrowed; replaced by mailq_configure */
    const struct conf *routes;     /* the same; NULL in tests: no route has a limit */
    struct store *store;           /* owned */
    struct ledger ledger;
    int64_t wall0, mono0; /* the wall clock is read at the start; the sweep follows its jumps */
    bool draining, started;
    struct ipc_out out;
    struct envelope envelope; /* scratch */
    struct buf scratch, list;

    /* submit.c */
    struct submitter *submitters[QUEUE_CLEANUPS]; /* owned; NULL: not there */
    struct channel *cleanup; /* of the one that composes notices, the newest; NULL while there is none */
    uint64_t submitter_number;
    struct dict *pending;   /* message id -> struct commit (borrowed), until it is durable or not */
    struct dict *origins;   /* origin -> same, of notices being committed */
    struct ids recent;      /* messages that are over, for Q_QUERY */
    struct ids denied;      /* asked for and not there: never to come */
    struct waiter *waiters; /* owned: queries about pending messages */
    size_t memory;          /* bytes that transactions hold */

    struct drops *drops; /* owned, drop.c; NULL: there is no drop/ */
    struct traces *traces; /* owned, trace.c; NULL: nobody watched yet */

    /* dispatch.c */
    struct deliverd deliverds[QUEUE_DELIVERDS];
    unsigned deliverd_n; /* highest index + 1 */
    unsigned job_n, side_n[SCHED_SIDES];
    uint64_t job_number;
    struct dict *fresh; /* message id -> struct bytes, not dispatched yet */
    size_t fresh_bytes;
    struct loop_task dispatch_task;
    struct loop_timer due_timer, sweep_timer;
    struct ack *acks; /* owned: to send once noted */
    size_t ack_n, ack_cap;
    size_t unacked_min; /* QUEUE_UNACKED_MIN; less in tests */

    /* notice.c */
    struct ids owed;        /* messages to compose notices for */
    struct notice *notices; /* owned: composing */
    unsigned notice_n;

    struct forward *forwards; /* owned, forward.c: messages that cleanup submits anew */

    struct requeue *requeues; /* owned, requeue.c: messages that cleanup submits anew for an operator */
    struct requeue_stale *requeue_stale; /* owned: those that were called back, until cleanup is done */

    struct qctl *ctl; /* owned, ctl.c; NULL before the first client */

    /* sweep.c */
    uint32_t sweep_cursor;
    uint32_t verify_cursor;
    bool verified; /* every record that the start found has been read once */
    unsigned sweep_ticks;
    /* health.c */
    unsigned damages;
    char commit_error[160]; /* of the last record that could not be stored, unless one was since */

    int64_t awaited_since; /* mono ms: dispatch waits for an inventory; 0: it does not */
};

/* The whole start of the daemon but its process: recovery, timers. The store is open and has its threads. */
bool mailq_start(struct mailq *q, struct err *err) __attribute__((warn_unused_result));
void mailq_init(struct mailq *q, struct loop *loop, const struct conf_queue *conf);
/* Another configuration between two events; conf stays the caller's and must outlive it. */
void mailq_configure(struct mailq *q, const struct conf *conf);
void mailq_clear(struct mailq *q);
int64_t mailq_now_ms(const struct mailq *q); /* wall, without jumps */
uint32_t mailq_now_s(const struct mailq *q);
void mailq_drain(struct mailq *q);         /* nothing new is dispatched */
bool mailq_is_idle(const struct mailq *q); /* no job runs, no commit is under way */

/* submit.c */
void submit_edge(struct mailq *q, unsigned index, int fd);
/* That cleanup finishes what it has: our own notices go to another one. */
void submit_retired(struct mailq *q, unsigned index);
void submit_committed(struct mailq *q, struct commit *c);
void submit_clear(struct mailq *q);

/* dispatch.c */
void dispatch_soon(struct mailq *q);
/* Brings a part to where its recipients' states want it: ready, waiting, idle. */
void part_settle(struct mailq *q, uint32_t part);
void message_settle(struct mailq *q, uint32_t message); /* all of its parts */
void message_fresh(struct mailq *q, uint32_t message,
                   struct bytes *bytes); /* keeps a reference for the dispatch */
/* The record, from memory or disk; a reference. NULL: err; a damaged message is held and logged here. */
struct bytes *message_bytes(struct mailq *q, uint32_t message, struct err *err);
void dispatch_clear(struct mailq *q);

/* choose.c */
unsigned choose_sides(const struct mailq *q); /* mask of sides that have room for one more job */
unsigned choose_deliverd(const struct mailq *q, uint32_t part); /* of a side that has room */

/* limits.c */
void limits_apply(struct mailq *q); /* those of q->routes, now and for what comes */
size_t limits_rcpts(const struct mailq *q, uint32_t part); /* that one job may have */

/* job.c */
struct job *job_new(struct mailq *q, unsigned deliverd, uint32_t message, uint32_t part, size_t rcpts);
/* The job has no more recipients to wait for: its part and destination are free of it. */
void job_settle(struct mailq *q, struct job *job);
void job_free(struct mailq *q, struct job *job);   /* settled */
void job_stream(struct mailq *q, struct job *job); /* as far as credit reaches */
/* The job was lost with its process or was never heard of there: its recipients are tried again. */
void job_return(struct mailq *q, struct job *job);
struct job *job_find(struct mailq *q, unsigned deliverd, uint64_t txn, uint64_t id, uint32_t rcpt);
void jobs_forget_message(struct mailq *q, const struct message *m);

/* inventory.c */
void deliverd_edge(struct mailq *q, unsigned index, int fd, bool lived);
void deliverd_gone(struct mailq *q, unsigned index);
void deliverd_retired(struct mailq *q, unsigned index); /* gets no more jobs */
bool deliverd_all_known(const struct mailq *q);         /* dispatch is allowed */

/* results.c */
void results_on_frame(void *arg, struct channel *ch, struct ipc_in *in);
void results_noted(struct mailq *q);
/* The journal is slow or down: what more is delivered now waits too long to be recorded. */
bool results_are_behind(const struct mailq *q);
/* The recipients of the list are done: a message that takes their place is durable. */
void results_forwarded(struct mailq *q, uint64_t id, struct strv list, struct strv text,
                       unsigned receipt);
/* What the results of one recipient mean; shared with sweep and suspension. */
struct verdict {
    enum ipc_outcome outcome;
    struct strv enhanced, relay, reply;
    bool remote;
    uint32_t due;   /* of OUTCOME_DEFERRED */
    uint32_t tried; /* seconds, the attempt */
    unsigned attempts;
    enum ipc_success success; /* of OUTCOME_DELIVERED with a notice */
};
/* Notes it for the recipients of the list. */
void verdict_note(struct mailq *q, uint64_t id, struct strv list, const struct verdict *v, bool notice);
/* True when a failure of this recipient is told to the sender. */
bool rcpt_wants(const struct message *m, const struct rcpt *r, unsigned notify_bit);
/* The same of a success. */
bool rcpt_wants_receipt(const struct mailq *q, const struct message *m, const struct rcpt *r);
/* All waiting parts of the destination of `like` that were never tried: deferred with these words. */
void suspend_dest(struct mailq *q, uint32_t like);
void suspend_part(struct mailq *q, uint32_t part);

/* notice.c */
void notice_want(struct mailq *q, uint32_t message);
void notice_pump(struct mailq *q);
void notice_on_failed(void *arg, struct channel *ch, struct ipc_in *in);
void notice_lost(struct mailq *q, const struct channel *ch); /* that channel to cleanup is gone */
/* A notice with this origin was committed as message id (ok) or not. */
void notice_committed(struct mailq *q, struct strv origin, uint64_t id, bool ok);
/* True when nothing is owed any more for which this origin would be right: a second copy. */
bool notice_is_over(struct mailq *q, struct strv origin);
void notice_warn(struct mailq *q,
                 uint32_t message); /* composes the delay notice, when there is somebody to tell */
void notice_sweep(struct mailq *q);
void notice_clear(struct mailq *q);

/* forward.c */
void forward_on_frame(void *arg, struct channel *ch, struct ipc_in *in); /* J_FORWARD */
void forward_on_done(struct mailq *q, const struct channel *ch, const struct ipc_in *in); /* N_FORWARDED */
void forward_lost(struct mailq *q, const struct channel *ch); /* that channel to cleanup is gone */
/* A message with this origin was committed as message id (ok) or not. */
void forward_committed(struct mailq *q, struct strv origin, uint64_t id, bool ok);
/* How often the message of this Q_SUBMIT (`more` recipients came before it) may be sent on further. */
void forward_envelope(struct mailq *q, const struct ipc_in *in, size_t more, struct envelope *e);
/* True when its recipient is done: a second copy. */
bool forward_is_over(struct mailq *q, struct strv origin);
void forward_clear(struct mailq *q);

/* requeue.c */
bool requeue_on_done(struct mailq *q, const struct channel *ch,
                     const struct ipc_in *in); /* N_FORWARDED; false: not of these */
void requeue_on_left(struct mailq *q, const struct channel *ch, const struct ipc_in *in); /* N_LEFT_OUT */
void requeue_lost(struct mailq *q, const struct channel *ch);
bool requeue_expected(struct mailq *q, struct strv origin); /* may be submitted; true for other origins */
void requeue_envelope(struct mailq *q, struct envelope *e); /* what the new record has from the old one */
void requeue_committed(struct mailq *q, struct strv origin, uint64_t id, bool ok);
/* Something else is to be done with the message. False: too late, it is being committed as another. */
bool requeue_stop(struct mailq *q, uint64_t id);
void requeue_sweep(struct mailq *q);
void requeue_clear(struct mailq *q); /* before the store is closed */

/* sweep.c */
void mailq_resume(struct mailq *q); /* delivers again after a pause */
/* "not delivered within 4 days: ..." */
void expiry_text(const struct mailq *q, struct buf *out);
void sweep_start(struct mailq *q);
