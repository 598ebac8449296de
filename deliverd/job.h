/* job.h - jobs of queued: from J_START to the acknowledgement of the last result; they outlive the channel */
#pragma once

/* Where an attempt ended that never got so far because mapd or dnsd was away, or descriptors were out: queued
   tries again in seconds, and neither the destination nor the message's retry times are charged. */
#define STEP_SERVICE     "service"
#define SERVICE_AGAIN_MS 250 /* between two questions to a daemon that is away */
/* Of a job that only asks: its hosts are known, nothing was tried. */
#define STEP_HOSTS "hosts"

#include "common/base/id.h"
#include "common/ipc/frame.h"
#include "common/net/loop.h"
#include "conf/queue.h"
#include "deliverd/body.h"
#include "deliverd/client_engine.h"

/* What queued may have here at once: as many running as it can be told to, and as many that wait for an
   acknowledgement (QUEUE_UNACKED_MIN is less). More is a queued gone wild. Measured: 2.7 KiB each while they
   wait for a connection, and the message, which is 57 KiB at most in a frame: all of it is below the limit of
   our address space (limit.c). */
#define JOBS_MAX ((size_t)2 * CONF_JOBS_MAX)

struct attempt;
struct channel;
struct deliverd;
struct job;
struct jobs;
struct local;

enum job_rcpt_state {
    JOB_RCPT_OPEN,   /* no result yet; a provisional one may be kept */
    JOB_RCPT_RESULT, /* to be told */
    JOB_RCPT_TOLD,   /* told, not acknowledged */
    JOB_RCPT_KNOWN,  /* acknowledged: nothing is kept */
};

struct job_rcpt {
    uint64_t index;             /* of queued's record */
    struct strv rcpt, original, target; /* borrowed from the job's frame */
    enum job_rcpt_state state;
    enum ipc_outcome outcome;
    char enhanced[STATUS_TEXT];
    char *text, *relay; /* owned; may be NULL */
    const char *step;   /* static */
    bool remote, maybe, dsn;
    struct client_dsn wants; /* borrowed, too */
};

/* A result, or the best knowledge so far. text and relay are copied. */
struct job_outcome {
    enum ipc_outcome outcome;
    struct status status;
    struct strv text, relay;
    const char *step;
    bool remote, maybe;
    bool dsn; /* the next server sends the notices that are wanted */
};

struct job {
    struct deliverd *d;
    struct job *next, *prev;
    uint64_t txn; /* queued's number for it, or ours after the channel was replaced */
    uint64_t id;
    char id_text[ID_TEXT_SIZE];
    struct ipc_in in;         /* the J_START frame; its fields are our copy */
    char *frame;              /* owned: that copy */
    struct strv dest, sender; /* borrowed from it */
    bool local, eight_bit;
    bool has_dsn; /* some recipient's wants are not empty */
    bool traced; /* the submitter watches: job_trace is not for nothing */
    bool asks;   /* only which hosts it would go to */
    struct job_rcpt *rcpts; /* owned */
    size_t rcpt_n, open;
    struct body body;
    size_t reserved; /* memory set aside for chunks */
    bool begun;      /* something was tried: J_CANCEL comes too late */
    bool last_told;
    bool unacked; /* a J_RESULT is on its way: its acknowledgement covers all that was told */
    struct loop_task flush;
    int64_t started, connected; /* loop ms; connected 0: not yet */
    int64_t looked;             /* ms, the longest look-up of hosts */
    struct buf group; /* owned: what the destination has in common with others; empty: not known */
    struct attempt *attempt;    /* owned while it runs */
    struct local *delivery;     /* the same for mailboxes */
};

struct jobs *jobs_new(struct deliverd *d);
void jobs_free(struct jobs **js);
size_t jobs_running(const struct jobs *js); /* with open recipients */
size_t jobs_count(const struct jobs *js);   /* also those that wait for an acknowledgement */
uint64_t jobs_held(const struct jobs *js);  /* bytes of messages and envelopes in memory */
/* Called once when jobs_count falls to 0 while draining. */
void jobs_on_empty(struct jobs *js, void (*fn)(void *arg), void *arg);

/* queued's channel is there or was replaced. Takes fd. Presents what runs and what was not acknowledged. */
void jobs_edge(struct jobs *js, int fd);

/* The channel to queued, NULL while it is away, and a number for a question of ours on it. */
struct channel *jobs_channel(struct jobs *js);
uint64_t jobs_question(struct jobs *js);

/* Keeps what is known about an open recipient, in case nothing better comes. */
void job_note(struct job *j, size_t rcpt, const struct job_outcome *o);
/* The note becomes the result. */
void job_commit(struct job *j, size_t rcpt);
/* job_note and job_commit. */
void job_result(struct job *j, size_t rcpt, const struct job_outcome *o);
/* The same for every recipient still open. */
void job_result_all(struct job *j, const struct job_outcome *o);
/* queued is told: the destination is one of those with this key, which share hosts, policy and limits; "":
   that is not known. */
void job_group(struct job *j, struct strv key);
enum job_trace { JOB_TRACE_OURS, JOB_TRACE_SENT, JOB_TRACE_RECEIVED };
/* A line for who watches; nothing when nobody does. */
void job_trace(const struct job *j, enum job_trace kind, struct strv line);
/* The attempt or local delivery calls this when it is through; each open recipient without a result is a bug
 * of its. */
void job_over(struct job *j);
