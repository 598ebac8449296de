/* syncer.h - the thread for everything slow that is not a segment
 *
 * The journal's sync goes first: deliveries that only the page cache knows are waiting for it.
 */
#pragma once

#include "common/base/err.h"
#include "common/os/handover.h"
#include "queued/committer.h"

enum sync_kind {
    SYNC_JOURNAL, /* fdatasync of fd */
    SYNC_BIG,     /* fsync of commit->big_fd and the directory dir; then the commit goes to the committer */
    SYNC_UNLINK,  /* unlink name in the directory dir */
};

struct sync_job {
    struct handover_job link;
    enum sync_kind kind;
    int fd, dir;           /* borrowed */
    struct commit *commit; /* owned until it is handed on */
    char name[32];
    uint64_t mark; /* the submitter's */
    bool ok;       /* the answer; SYNC_BIG does not come back, its commit does */
    struct err err;
};

struct syncer;

struct syncer *syncer_new(struct committer *committer);
bool syncer_start(struct syncer *s, struct err *err) __attribute__((warn_unused_result));
void syncer_stop(struct syncer **s);                     /* finishes what it has */
void syncer_add(struct syncer *s, struct sync_job *job); /* takes; heap allocated */
int syncer_wake_fd(const struct syncer *s);
/* All finished jobs; the caller frees them. Resets the descriptor. */
struct sync_job *syncer_take(struct syncer *s);
struct sync_job *sync_job_next(const struct sync_job *job); /* behind it in what syncer_take gave */
void syncer_run(struct syncer *s, void (*fn)(void *arg), void *arg);
