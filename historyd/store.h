/* store.h - blocks on disk: an LMDB file of bounded size, the oldest go first
 *
 * One table, block number -> block. A commit is synced before its meta page is written, so that a power cut
 * costs what was not committed and damages nothing. One thread uses a store, nobody else the file. What
 * cannot be read is moved aside and begun anew: the history is worth less than the trouble.
 */
#pragma once

#include "common/base/err.h"
#include "historyd/block.h"

struct store;

struct store_limits {
    int64_t keep_ms;
    uint64_t size; /* bytes on disk */
};

/* In the current directory. NULL: it cannot be had now. damaged is set when a former file was moved aside
   (to history.damaged, over an older one), with err saying why. */
struct store *store_open(const struct store_limits *limits, bool *damaged, struct err *err);
void store_close(struct store **s);
void store_limit(struct store *s, const struct store_limits *limits);

/* One transaction: blocks as block_write made them, n up to STORE_BATCH. The last one may be open: it takes
   the place of what was written as open before, and the next one takes its place. False: nothing of it is
   there, and the store must be closed; err->cls ERR_LIMIT: the disk is full. */
#define STORE_BATCH 16u
bool store_put(struct store *s, const char *const *blocks, size_t n, bool open, struct err *err)
    __attribute__((warn_unused_result));
/* The number of the last block while it is open, else 0; the same again when the store was opened anew. */
uint64_t store_open_block(const struct store *s);
void store_resume(struct store *s, uint64_t open);
/* Removes what is too old or too much, at most STORE_BATCH blocks; *more: there is more of it. least: so many
   in any case (the disk is full). */
bool store_trim(struct store *s, int64_t now_ms, size_t least, bool *more, struct err *err)
    __attribute__((warn_unused_result));

/* Blocks from `from` down (UINT64_MAX: from the newest), at most `max` of them, that hold any of the keys.
   fn: false ends it. *next: where to go on, 0: that was all. Blocks whose lines are all older than since_ms
   are left out. */
struct store_query {
    const uint32_t *keys;
    size_t key_n;
    int64_t since_ms;
    uint64_t from;
    size_t max;
};
bool store_find(struct store *s, const struct store_query *q,
                bool (*fn)(void *arg, uint64_t number, const struct block_view *v), void *arg, uint64_t *next,
                struct err *err) __attribute__((warn_unused_result));

struct store_state {
    uint64_t blocks, bytes, damaged; /* damaged: blocks that were left out when something was looked for */
    int64_t oldest_ms;               /* 0: nothing is there */
};
bool store_look(struct store *s, struct store_state *out, struct err *err)
    __attribute__((warn_unused_result));
/* Blocks that a history of this size has. */
uint64_t store_blocks_max(uint64_t size);
