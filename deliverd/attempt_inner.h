/* attempt_inner.h - what the parts of an attempt share; nobody else includes it */
#pragma once

#include "deliverd/client_engine.h"
#include "deliverd/dial.h"
#include "deliverd/pool.h"
#include "deliverd/route.h"
#include "dnsd/client.h"

struct job;

struct attempt {
    struct job *job;
    struct deliverd *d;
    struct route route;
    struct pool_wait wait;
    int64_t began; /* loop ms; with the slot, or when the line was joined */
    bool slot;     /* ours at wait.dest */
    struct dns_ask ask;
    struct loop_timer again; /* dnsd is away */
    int64_t asked;           /* loop ms, first */
    int64_t asked_last;      /* loop ms: what a domain's name servers took is not what our dnsd was away */
    struct targets targets;
    bool resolved;
    struct netaddr avoid; /* had trouble with us already; AF_UNSPEC: none */
    struct dial dial;
    struct connection *c; /* ours; NULL between */
    bool reused;          /* c comes from the pool */
    bool stale;           /* and was dead already */
    bool followed;        /* its dialogue is logged line by line */
    unsigned transactions;

    uint8_t *todo;          /* owned: per recipient of the job */
    size_t *map;            /* owned: recipient of the transaction -> of the job */
    struct strv *addresses; /* owned */
    struct client_dsn *dsn; /* owned; NULL: nobody wants anything */
    struct client_message m;
    uint64_t body_at;

    struct { /* what hosts said or did instead of taking mail */
        struct buf text;
        char relay[340];
        struct status status;
        const char *step; /* NULL: nothing yet */
        bool remote;
    } failure;
};

/* The same end for every recipient that has no better one. */
void attempt_finish_with(struct attempt *a, enum ipc_outcome outcome, struct status status, const char *step,
                         const char *text);
/* a->targets are there: connects to the best one. */
void attempt_dial(struct attempt *a);

/* The first transaction over a connection of the pool. */
void attempt_use_pooled(struct attempt *a, struct connection *c);

/* ---- of attempt_slot.c ---- */

/* Takes a slot, or a place in the line for one, and goes on from there. */
void attempt_take_slot(struct attempt *a);
/* a->targets are known: from now on the slot is one of all domains that have them. True: this may take a
   while, or brought a connection; false: the slot that we have is right. ttl: seconds that they are good
   for. */
bool attempt_move_slot(struct attempt *a, uint32_t ttl);
/* queued hears with the results what this destination has in common with others. */
void attempt_tell_group(struct attempt *a);

/* ---- of attempt_route.c ---- */

/* Finished, when true: the address that was written down is ours. */
bool attempt_is_loop(struct attempt *a);
/* Looks for targets; what follows comes from the loop, or now when they need no look-up. */
void attempt_resolve(struct attempt *a);
/* The same question again. */
void attempt_ask(struct attempt *a);
/* The route's login was refused a moment ago: attempt_ask ends it. */
bool attempt_login_refused(const struct attempt *a);
