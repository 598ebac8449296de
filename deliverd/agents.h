/* agents.h - mansio-agent processes, one per mailbox section and user, and the deposits they work on */
#pragma once

#include "common/base/strv.h"
#include "common/ipc/frame.h"

struct agent;
struct agents;
struct body;
struct deliverd;

#define AGENTS_INFLIGHT_MAX 32u  /* deposits of one agent on their way: it never waits for us */
#define AGENTS_IDLE_MS      5000 /* an agent without work is sent home; before its own patience ends */

/* One message into one mailbox. Embedded by whoever asks, zeroed; must live until done ran or deposit_cancel.
   Views and body are borrowed for as long. */
struct deposit {
    uint64_t id; /* of the message */
    struct strv path, rcpt, sender;
    struct strv user, domain, extension; /* values of a command; else empty */
    long timeout_s;                      /* of a command */
    const struct body *body;
    enum deposit_kind kind;
    unsigned flags; /* DEPOSIT_* */
    enum agent_kind agent_kind;
    struct strv target; /* of AGENT_USER_COMMAND: which; of the alias kinds: as the table has it */
    uint64_t quota;
    /* maybe: the agent was lost with the deposit in its hands. Never before deposit_start returned. */
    void (*done)(void *arg, enum ipc_outcome outcome, struct strv enhanced, struct strv text, bool maybe);
    /* Instead of done: nothing was stored, the frame has the targets of the user's ~/.forward. Only after
       DEPOSIT_ASK_FORWARD, or for a command of the user's that he has no more. */
    void (*forward)(void *arg, const struct ipc_in *in);
    void *arg;

    struct agent *agent; /* from here: of agents.c */
    struct deposit *next, *prev;
    uint64_t txn;  /* 0: not sent */
    uint64_t sent; /* bytes of the memory part */
    bool ended;    /* A_END is out, or was not needed */
};

struct agents *agents_new(struct deliverd *d);
void agents_free(struct agents **as); /* deposits are forgotten without an answer */

/* mailbox: label of the section; user: whose agent, empty for the section's owner. */
void deposit_start(struct agents *as, struct strv mailbox, struct strv user, struct deposit *dep);
void deposit_cancel(struct deposit *dep);

/* mtad's answer to AGENT. */
void agents_reply(struct agents *as, struct ipc_in *in);
