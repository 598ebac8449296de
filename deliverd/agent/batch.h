/* batch.h - messages that are whole in tmp/ and become durable together
 *
 * Each is synced by itself, and so is the directory that shows it: nothing is told as delivered before both.
 * But all are on their way to the disk before the first sync waits, so that the file system commits once
 * for many, twice in all: for the files, and for their names. Nobody waits for company: a batch is what came
 * while the one before was being synced.
 *
 * On a disk that takes seconds for each a batch is told in parts: deliverd, which hears nothing for too long,
 * would take us for hanging, end us, and send all of it again.
 */
#pragma once

#include "deliverd/agent/deposit.h"

#define BATCH_MAX 32u           /* AGENTS_INFLIGHT_MAX: deliverd sends no more ahead */
#define BATCH_PART_MS 10000     /* and it waits for a word some times as long */

struct batch_item {
    uint64_t txn;
    char id[16];                /* message id, for the log */
    char rcpt[1025];
    struct maildir box;
    struct maildir_file file;
    uint64_t size;
    bool failed;
    struct deposit_result result;
};

struct batch {
    unsigned n;
    int64_t part_ms;            /* what is not synced after so long follows those that are: BATCH_PART_MS */
    struct batch_item items[BATCH_MAX]; /* zeroed is not open: only the first n count */
};

static inline bool batch_full(const struct batch *b)
{
    return b->n == BATCH_MAX;
}

/* Moves a WRITTEN deposit out, which is IDLE then. There must be room. */
void batch_add(struct batch *b, struct deposit *d, uint64_t txn, const char *id);
/* Withdrawn: nothing of it stays. False: it is not in here. */
bool batch_remove(struct batch *b, uint64_t txn);
/* Makes all durable; tell gets each with its result, in the order in which they came, and NULL when those
   before should be sent now. Empty afterwards. */
void batch_commit(struct batch *b, void (*tell)(void *arg, const struct batch_item *item), void *arg);
/* Forgets all, and what was written of them. */
void batch_drop(struct batch *b);
