/* pipeline.h - the stages that every message passes, whatever brought it here */
#pragma once

struct txn;

/* A stage gets the complete message and ends with txn_next, now or later, or with txn_stop. */
struct stage {
    const char *name; /* in log lines */
    void (*run)(struct txn *t);
};

extern const struct stage pipeline[];

/* The message is complete: to the first stage. */
void pipeline_start(struct txn *t);
/* The stage that has it is done. Last use for the caller: the transaction may be gone. */
void txn_next(struct txn *t);
/* txn_refuse was called: the client hears it. Last use. */
void txn_stop(struct txn *t);

void headers_run(struct txn *t); /* headers.c */
void resolve_run(struct txn *t); /* recipients.c */
void commit_run(struct txn *t);  /* commit.c */
