/* client.h - questions to mapd: one object per process holds the channel and the questions that are open */
#pragma once

#include "common/base/role.h"
#include "common/ipc/schema.h"
#include "maps/keys.h"

struct loop;
struct maps_client;

struct maps_answer {
    enum ipc_answer answer; /* FAILED also: no channel, channel lost, deadline, chain that did not fit */
    size_t index;           /* FOUND: which item of the chain */
    struct strv value;      /* FOUND; borrowed for the time of the callback, like the others */
    struct strv origin;     /* FOUND: file:line of the entry; may be empty */
    struct strv why;        /* FAILED: for the log; not empty */
    bool broken;            /* FAILED for as long as nobody mends a table or list: waiting does not help */
    bool lost;              /* FAILED because mapd was not there or late, not because a table failed */
};

typedef void maps_done(void *arg, const struct maps_answer *answer);

#define MAPS_DEADLINE_MS                                                                                     \
    20000 /* what callers without a reason of their own use: below every SMTP timeout                        \
           */

struct maps_client *maps_client_new(struct loop *loop, enum role self);
/* The configuration that the asker has: mapd answers from its tables. Without it from the newest. */
void maps_client_snapshot(struct maps_client *mc, uint64_t number);
void maps_client_free(struct maps_client **mc); /* open questions are dropped without an answer */

/* The channel to mapd is there, or was replaced (open questions on the old one fail). Takes fd. */
void maps_client_edge(struct maps_client *mc, int fd);
bool maps_client_is_up(const struct maps_client *mc);

/* Asks. done runs once, from the loop, never before this returns. The chain is copied into the frame and may
   be reset at once. An empty chain is ABSENT. The result is for maps_cancel; never 0. */
uint64_t maps_ask(struct maps_client *mc, const struct key_chain *chain, int64_t deadline_ms, maps_done *done,
                  void *arg);
/* AUTH: is this who it says it is? */
struct maps_auth {
    enum ipc_auth kind;
    struct strv client, login;
    struct strv data;  /* password, or SCRAM's AuthMessage */
    struct strv proof; /* of SCRAM; else empty */
};

struct maps_auth_answer {
    enum ipc_answer answer; /* FOUND: yes */
    struct strv data;       /* salt in base64, or the signature; borrowed */
    unsigned iterations;
    struct strv why; /* FAILED: not empty */
};

typedef void maps_auth_done(void *arg, const struct maps_auth_answer *answer);

/* As maps_ask; the result is for maps_auth_cancel. */
uint64_t maps_auth(struct maps_client *mc, const struct maps_auth *q, int64_t deadline_ms,
                   maps_auth_done *done, void *arg);
void maps_auth_cancel(struct maps_client *mc, uint64_t handle);

/* The callback will not run. Unknown or answered handles are ignored; so is 0. */
void maps_cancel(struct maps_client *mc, uint64_t handle);
