/* store_private.h - the inside of the store, shared by its own files */
#pragma once

#include "common/net/loop.h"
#include "queued/sidecar.h"
#include "queued/store.h"
#include "queued/syncer.h"

#define STORE_READERS 8u /* segments kept open for reading */

struct reader {
    int fd;          /* owned */
    uint32_t number; /* 0: free */
    uint32_t used;   /* clock of last use */
    char nonce[RECORD_NONCE_LEN + 1];
};

struct window { /* bytes of a segment, for who goes through many records */
    char *data; /* owned; NULL: not read yet */
    uint32_t number;
    uint32_t at; /* offset in the segment */
    size_t n;
    char nonce[RECORD_NONCE_LEN + 1];
};

struct doomed { /* a big body to unlink when mark is durable */
    uint64_t id, mark;
};

struct store {
    struct store_sizes sizes;
    int spool;                                 /* borrowed */
    int lock, segment_dir, state_dir, big_dir; /* owned */
    struct committer *committer;
    struct syncer *syncer;
    struct loop *loop; /* borrowed */
    struct loop_io commit_io, sync_io;
    struct ledger *ledger; /* borrowed */
    struct account account;
    const struct store_ops *ops;
    void *arg;
    size_t pending;

    struct reader readers[STORE_READERS];
    uint32_t reader_clock;
    struct window window;
    uint64_t peeks; /* reads of it */
    struct sidecar sidecar;  /* of the current segment */
    uint32_t sidecar_number; /* 0: none */

    struct journal journal;
    struct loop_task write_task;
    struct loop_timer sync_timer, retry_timer, tidy_timer;
    bool syncing, journal_down;
    uint64_t journal_bytes;  /* in all files */
    uint64_t snapshot_bytes; /* of the last snapshot */
    struct doomed *doomed;   /* owned */
    size_t doomed_n;
    struct place *voids; /* owned: refused records that may stand on disk */
    size_t void_n;

    struct loop_task snapshot_task;
    bool snapshotting;
    uint32_t snapshot_cursor;
    struct ledger_seen *snapshot_seen; /* owned */
    size_t snapshot_seen_n;
    uint64_t snapshot_start;
    uint64_t snapshot_mark; /* older files go when it is durable; 0: none */
    uint32_t snapshot_file; /* the file that holds it */
    struct buf scratch;

    struct loop_task compact_task;
    uint32_t compacting; /* segment, 0: none */
    uint32_t compact_cursor;
    unsigned compact_flying; /* copies under way */
    bool compact_bad;        /* a record could not be read: the segment stays */

    int64_t room_checked; /* mono ms */
    bool room, room_full;
    bool closing;
};

/* store_read.c */
void store_read_clear(struct store *s);

/* store_journal.c */
bool store_journal_start(struct store *s, const struct recovery *r, struct err *err);
void store_journal_synced(struct store *s, const struct sync_job *job);
void store_journal_close(struct store *s);
void store_void(struct store *s, struct place place);
void store_release(struct store *s); /* unlinks what durable completions allow */
void store_message_gone(struct store *s, const struct message *m);

/* compact.c */
void compact_init(struct store *s);
void compact_soon(struct store *s); /* at the end of the iteration */
void compact_step(struct store *s); /* looks for a sparse segment, or goes on with one */
void compact_done(struct store *s, struct commit *c);
