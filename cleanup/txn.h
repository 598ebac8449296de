/* txn.h - one message on its way: envelope, recipients, header, body, and who waits for it */
#pragma once

#include "common/base/buf.h"
#include "common/base/id.h"
#include "common/ipc/schema.h"
#include "common/mail/header.h"

struct cleanup;
struct drop;
struct forward;
struct notice;
struct peer;
struct resolve;
struct resolve_leaf;

/* Text of the envelope, kept in txn.words: one allocation for all of it. */
struct span {
    size_t at, n;
};

enum rcpt_state { RCPT_RESOLVING, RCPT_ACCEPTED, RCPT_REFUSED };

/* A recipient as the client gave it. */
struct txn_rcpt {
    struct txn *txn;
    uint64_t index; /* the client's number */
    enum rcpt_state state;
    struct span rcpt, orcpt;
    struct span given; /* as the sender knows it, when that is another address; empty: rcpt */
    uint64_t notify;
    bool has_notify, local;
    struct resolve *resolve; /* owned; while it runs */
    uint64_t question;       /* handle of maps_ask: has this alias an owner? 0: not asked */
    bool member;             /* the list was sent on by its owner already: it is expanded */
    struct txn_rcpt *next;
};

/* An address that the message ends at; each once. */
struct txn_final {
    struct span rcpt, original, orcpt;
    struct span target; /* what of it: docs/QUEUE.md; empty: everything */
    uint64_t notify;
    bool has_notify, local;
    uint32_t also; /* of txn.also, 1 + the last address that led here too; 0: there is none */
};

struct txn_also {
    struct span address;
    uint32_t next; /* 1 + the one before it of the same final address; 0: none */
};

enum txn_phase {
    TXN_RECEIVING, /* recipients and data come in */
    TXN_STAGES,    /* complete: the stages work on it */
    TXN_SUBMITTED, /* queued has all of it and has not answered */
};

struct txn_reply {
    enum ipc_verdict verdict;
    int code;
    char enhanced[16];
    char text[320];
    char rule[256];
};

struct txn {
    struct cleanup *cl;  /* borrowed: outlives it */
    struct txn *cl_next; /* in the pool of unused ones */
    enum txn_phase phase;
    size_t stage;    /* row of the pipeline that has it */
    bool waiting;    /* the resolve stage waits for recipients */
    bool committing; /* the commit stage has it: queued gets what is left */

    /* who waits for the answer: one of the four, or nobody any more (submitted, and smtpd was lost) */
    struct peer *peer;
    uint64_t peer_txn;
    struct notice *notice; /* owned */
    struct drop *drop;     /* owned */
    struct forward *forward; /* owned */
    bool again; /* with forward: the whole message passes here once more, and its header stays as it is */

    /* envelope */
    struct buf words;
    uint64_t id;
    char id_text[ID_TEXT_SIZE];
    struct span sid, client, client_name, helo, protocol, login, sender, envid, tls, origin;
    bool own, has_body_type, has_ret;
    uint64_t body_type, ret;
    uint64_t priority; /* common/mail/priority.h */
    int64_t arrival_ms;
    struct txn_rcpt *rcpts, **rcpts_tail; /* owned */
    size_t rcpt_n, accepted, resolving;
    struct txn_final *finals; /* owned */
    size_t final_n, final_cap;
    struct dict *final_index; /* owned; NULL while there are few */
    struct txn_also *also;    /* owned */
    uint32_t also_n, also_cap;

    /* content */
    struct buf head; /* the message until its header's end is known; then the header alone */
    struct header_scan scan;
    bool head_done;
    bool unboxed;        /* a separator line was dropped */
    bool stray;          /* the header ended at a bad line; the lines below it are awaited in head */
    size_t stray_looked; /* bytes of head that were searched for their end */
    struct buf body;              /* body bytes not handed to queued yet */
    uint64_t received, body_size; /* all bytes; those of the body */
    uint64_t credited;            /* of received: given back to the sender as room for more */
    struct buf new_head;          /* what the headers stage made */
    struct txn_reply refused;     /* verdict ACCEPT: not refused; else kept until the client ends its data */

    /* towards queued */
    uint64_t queue_txn; /* 0: none opened */
    size_t head_sent, final_sent;
    bool doubt; /* queued is asked whether it has the message (doubt.c) */
    int64_t doubt_until;
    struct txn *doubt_next, **doubt_at;
};

struct txn *txn_new(struct cleanup *cl);
void txn_free(struct txn **t); /* cancels look-ups; tells nobody */

struct span txn_keep(struct txn *t, struct strv s);
static inline struct strv txn_view(const struct txn *t, struct span s)
{
    return strv_sub(buf_view(&t->words), s.at, s.n);
}

struct txn_rcpt *txn_rcpt_add(struct txn *t, struct strv rcpt);
/* Adds a final address unless it is there (compared as txn_final_add's key: local ones without case). */
void txn_final_add(struct txn *t, const struct txn_rcpt *r, struct strv address, bool local);
/* The same for one target of an own address: another target of it is another recipient. */
void txn_final_add_target(struct txn *t, const struct txn_rcpt *r, struct strv address, struct strv target);
/* Either, as the resolver found it. */
void txn_final_leaf(struct txn *t, const struct txn_rcpt *r, const struct resolve_leaf *leaf);

/* That final address is not wanted: what adds it afterwards adds nothing. */
void txn_final_bar(struct txn *t, struct strv address, bool local, struct strv target);

/* Message bytes, in order. Splits header and body; over-long headers refuse the message. */
void txn_data(struct txn *t, struct strv bytes);
/* The message is complete: judges what is left of its header. */
void txn_data_end(struct txn *t);

/* Remembers the first reason to refuse; texts are copied and cut. */
void txn_refuse(struct txn *t, enum ipc_verdict verdict, int code, const char *enhanced, const char *text,
                const char *rule);
static inline bool txn_is_refused(const struct txn *t)
{
    return t->refused.verdict != VERDICT_ACCEPT;
}
