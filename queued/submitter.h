/* submitter.h - the processes that submit messages: one cleanup, several while a former generation finishes
 */
#pragma once

#include "queued/mailq.h"

/* One cleanup; there are several while a former generation finishes. */
struct submitter {
    struct mailq *q;
    struct channel *ch; /* owned */
    struct dict *txs;   /* its numbers -> struct tx, owned */
    uint64_t number;    /* never used again: commits know by it whom to answer */
    bool retired;
};

/* The submitter of that number; NULL when it is gone. */
struct submitter *submitter_find(const struct mailq *q, uint64_t number);
void submitters_clear(struct mailq *q);
/* The frame's recipients as lines of an envelope; how many. */
size_t submitter_rcpts_print(struct ipc_in *in, struct buf *out);

/* submit.c */
void submit_on_frame(void *arg, struct channel *ch, struct ipc_in *in); /* arg: struct submitter */
void submit_forget(struct submitter *s); /* its transactions; what was submitted commits */
