/* requeue_rig.h - a queue, a cleanup and an operator for tests of requeue and edit */
#pragma once

#include "tests/support/unit.h"
#include "tests/unit/queued/operator.h"
#include "tests/unit/queued/rig.h"

#define REQUEUE_MADE 4096

/* What cleanup was given last, as text, and how many it got. */
struct requeue_got {
    char rcpts[262144]; /* "resolve ADDRESS (ORIGINAL) " or "keep ..." */
    char origin[IPC_TEXT_MAX + 1], sender[128], barred[4096];
    uint64_t txn, about;
    unsigned n, frames, most; /* messages; frames of the last one; of the one that had most */
};
extern struct requeue_got got;

extern struct rig *r;
extern bool obedient; /* cleanup submits what it is given, with these ids */
extern uint64_t next_txn, made[REQUEUE_MADE];
extern size_t made_n;

void cleanup_leaves_out(const char *rcpt, enum requeue_left why); /* of the same */
void cleanup_says(enum ipc_verdict verdict); /* about what it got last */

int requeue_setup(void **state);
int requeue_teardown(void **state);

/* The operator: rows of the last call, and why the last message was kept. */
extern struct blocking client;
extern unsigned done, kept, left;
extern char reason[600];
void client_open(void);
/* id 0: all that are there. words: further arguments. */
void send_call(const char *act, uint64_t id, const char *const words[][2], uint64_t cursor);
/* Exit status of a portion; *cursor: of the next, 0: there is none. */
int answer(uint64_t *cursor);
int call(const char *act, uint64_t id, const char *const words[][2]); /* both, to the end */

struct message *message(uint64_t id); /* NULL: it is over */
/* Recipients "l:a@b" or "r:a@b", "=" and the address that the sender wrote when it is another, "=" and one
   more that led to it. */
uint64_t message_new(const char *sender, const char *rcpts, const char *body);
void over(uint64_t id, const char *list); /* these recipients have it */
