/* committer.h - the thread that makes records durable: takes all that waits, writes once, syncs once
 *
 * Whatever arrives while a sync runs is the next batch; nobody waits for a timer. Finished commits come back
 * in the order of their places; the loop is woken through a descriptor.
 */
#pragma once

#include "common/base/err.h"
#include "common/os/handover.h"
#include "queued/record.h"

#include <stdint.h>

enum commit_kind {
    COMMIT_SUBMIT, /* a new message */
    COMMIT_COPY,   /* a live record moves out of an old segment */
};

struct place {
    uint32_t segment, offset, length;
};

struct commit {
    struct handover_job link;
    uint64_t id;
    enum commit_kind kind;
    char *record; /* owned: a whole record whose line waits for nonce and checksum */
    size_t length;
    size_t envelope_n;
    int big_fd; /* owned: synced, with its directory, before the record is written; -1: none */
    /* the answer */
    bool ok;
    bool maybe; /* not ok, but the record may stand at place on the disk */
    struct place place;
    struct err err; /* ERR_LIMIT: disk full */
    unsigned synced; /* how many one sync made durable: on the first of them, for metrics */
    unsigned synced_ms;
    /* the submitter's */
    uint64_t txn, owner;
    char *origin; /* owned, NULL: none */
    char *message_id; /* owned, NULL: none; for the log */
};

struct commit *commit_new(uint64_t id, enum commit_kind kind);
void commit_free(struct commit **c);
/* Largest record that a segment of this size takes. */
size_t commit_max(uint64_t segment_size);

struct committer;

/* first: number of the first segment it may create. segment_dir is borrowed. */
struct committer *committer_new(int segment_dir, uint64_t segment_size, uint32_t first);
bool committer_start(struct committer *c, struct err *err) __attribute__((warn_unused_result));
/* Before the first commit: number of the first segment (recovery knows it later than the thread must exist).
 */
void committer_first(struct committer *c, uint32_t first);
void committer_stop(struct committer **c); /* finishes what it has; frees what nobody took back */

void committer_add(struct committer *c, struct commit *commit);  /* takes; any thread */
void committer_fail(struct committer *c, struct commit *commit); /* any thread: comes back with its err */
int committer_wake_fd(const struct committer *c);                /* readable when something is finished */
/* All finished ones, first first; the caller owns them. Resets the descriptor. */
struct commit *committer_take(struct committer *c);
struct commit *commit_next(const struct commit *c); /* behind it in what committer_take gave */
/* Runs fn on the thread and waits for it (the forbidden-acts test). */
void committer_run(struct committer *c, void (*fn)(void *arg), void *arg);
