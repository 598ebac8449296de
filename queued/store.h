/* store.h - the durable side of the queue: the only interface to the spool
 *
 * Messages go in as commits and come back durable; what happens to them goes in as journal entries; records
 * and bodies can be read. Everything else (segments, journal files, threads, compaction) is behind it, so
 * that another engine could stand there.
 */
#pragma once

#include "queued/big.h"
#include "queued/recovery.h"

struct loop;
struct store;

struct store_sizes {
    uint64_t segment;      /* bytes of a segment file */
    uint64_t journal_step; /* allocated at once */
    uint64_t snapshot;     /* journal bytes after which a snapshot is made */
    int64_t sync_ms;       /* longest time between a result and its sync */
    int64_t lock_ms;       /* wait for a dying predecessor */
};
extern const struct store_sizes store_sizes_default;

struct store_ops {
    /* A commit is durable (c->ok) or was not stored (c->err, ERR_LIMIT: disk full). The callee owns c;
       c->record is still the whole record. */
    void (*committed)(void *arg, struct commit *c);
    /* Everything noted before is written: what waits for that may go on. */
    void (*noted)(void *arg);
    /* More of what was noted is durable (store_durable). May be NULL. */
    void (*synced)(void *arg);
    /* A message is over and leaves the ledger. */
    void (*gone)(void *arg, const struct message *m);
    /* A segment is about to be unlinked, and with it the proof that what its origins name was submitted.
       False: not now. May be NULL. */
    bool (*unlinking)(void *arg);
};

/* Locks the spool (waits lock_ms for its holder), makes missing directories. spool: borrowed. */
struct store *store_open(int spool, const struct store_sizes *sizes, struct err *err);
/* The two threads; nothing is written by them before the first commit. */
bool store_threads(struct store *s, struct err *err) __attribute__((warn_unused_result));
/* Fills the (empty) ledger, which the store keeps: entries go to both. Then notes and commits are allowed. r
   tells what was found; clear it with recovery_clear. */
bool store_recover(struct store *s, struct loop *loop, struct ledger *ledger, const struct store_ops *ops,
                   void *arg, struct recovery *r, struct err *err) __attribute__((warn_unused_result));
/* Writes and syncs what is still to be, ends the threads, unlocks. */
void store_close(struct store **s);

/* Takes c. Commits with a big body go through the syncer first. Not while store_commit_max is exceeded. */
void store_commit(struct store *s, struct commit *c);
size_t store_commit_max(const struct store *s); /* bytes of a record */
size_t store_pending(const struct store *s);    /* bytes of records that are not answered yet */
bool store_journal_is_down(const struct store *s); /* it is renewed as soon as the disk allows */
/* Completes a message that was committed: the ledger has it, its place counts. Returns its handle. */
uint32_t store_adopt(struct store *s, const struct commit *c, const struct envelope *e);

/* Applies to the ledger and writes at the end of this iteration (then `noted`), durable within sync_ms. */
enum ledger_result store_note(struct store *s, const struct entry *e);
/* For answers that must survive a power cut: what was noted up to this mark is durable. */
uint64_t store_mark(const struct store *s);
bool store_durable(const struct store *s, uint64_t mark);
bool store_noted(const struct store *s); /* nothing noted waits to be written */

/* False below the reserve: new mail must wait. Looks at the disk at most once a second. */
bool store_has_room(struct store *s, int64_t reserve);
uint64_t store_disk_free(const struct store *s); /* bytes of the disk; 0 when it cannot be told */
bool store_lacks_inodes(const struct store *s);
struct store_usage {
    uint64_t segments, written, live; /* files; bytes of records in them, and of those that are not over */
};
struct store_usage store_usage(const struct store *s);

/* The whole record, checked. ERR_TEMP: cannot be read now; ERR_PROTO: it is damaged. */
bool store_read(struct store *s, struct place place, struct buf *bytes, struct record *out, struct err *err)
    __attribute__((warn_unused_result));
/* Its envelope and sizes, for who goes through many messages: cheap when they come in the order of their
   places. A large record is not read to its end and so not checked. The view is good until the next call.
   False: ask store_read what is wrong. */
bool store_peek(struct store *s, struct place place, struct record_sizes *sizes, struct strv *envelope);
int store_big_dir(const struct store *s);
/* A read-only descriptor, its size checked; -1 with ERR_PROTO when the body is missing or not that long. */
int store_big_open(struct store *s, uint64_t id, uint64_t size, struct err *err);

/* Runs fn on thread 1 (committer) or 2 (syncer). */
void store_run_on_thread(struct store *s, unsigned thread, void (*fn)(void *arg), void *arg);
/* True when the operator asked to resume a paused queue (state/resume exists; it is removed). */
bool store_resume_asked(struct store *s);
