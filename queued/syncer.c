/* syncer.c - the thread for everything slow that is not a segment */
#include "queued/syncer.h"

#include "common/base/mem.h"
#include "common/os/fault.h"
#include "common/os/fd.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct syncer {
    struct committer *committer; /* borrowed: outlives us */
    struct handover *hand;       /* owned */
};

static struct sync_job *job_of(struct handover_job *link)
{
    return (struct sync_job *)link;
}

/* ---- the thread ---- */

static void job_big(struct syncer *s, struct sync_job *job)
{
    struct commit *c = job->commit;

    job->commit = NULL;
    if ((errno = FAULT_POINT("queued.big.sync")) != 0 || os_fsync(c->big_fd) < 0 || os_fsync(job->dir) < 0) {
        err_sys(&c->err, "sync a big body");
        if (errno == ENOSPC || errno == EDQUOT)
            c->err.cls = ERR_LIMIT;
        committer_fail(s->committer, c);
        return;
    }
    fd_close(&c->big_fd);
    committer_add(s->committer, c);
}

static void job_do(struct syncer *s, struct sync_job *job)
{
    switch (job->kind) {
    case SYNC_BIG: job_big(s, job); return;
    case SYNC_JOURNAL:
        job->ok = (errno = FAULT_POINT("queued.journal.sync")) == 0 && os_fdatasync(job->fd) == 0;
        if (!job->ok)
            err_sys(&job->err, "sync the journal");
        return;
    case SYNC_UNLINK:
        job->ok = (errno = FAULT_POINT("queued.unlink")) == 0 &&
                  (unlinkat(job->dir, job->name, 0) == 0 || errno == ENOENT);
        if (!job->ok)
            err_sys(&job->err, "unlink %s", job->name);
        return;
    }
}

/* One job at a time: the journal's sync must not wait for more than one. */
static void on_work(void *arg, struct handover_chain *batch)
{
    struct syncer *s = arg;
    struct sync_job *job = job_of(batch->first);

    job_do(s, job);
    if (job->kind == SYNC_BIG)
        free(job);
    else
        handover_done(s->hand, batch);
}

/* ---- the loop ---- */

static void on_drop(struct handover_job *link)
{
    free(job_of(link));
}

struct syncer *syncer_new(struct committer *committer)
{
    static const struct handover_spec spec = { .name = "syncer", .work = on_work, .drop = on_drop };
    struct syncer *s = mem_new(sizeof *s);

    s->committer = committer;
    s->hand = handover_new(&spec, s);
    return s;
}

bool syncer_start(struct syncer *s, struct err *err)
{
    return handover_start(s->hand, err);
}

void syncer_stop(struct syncer **sp)
{
    struct syncer *s = *sp;

    *sp = NULL;
    if (!s)
        return;
    handover_stop(&s->hand);
    free(s);
}

void syncer_add(struct syncer *s, struct sync_job *job)
{
    if (job->kind == SYNC_JOURNAL)
        handover_add_urgent(s->hand, &job->link);
    else
        handover_add(s->hand, &job->link);
}

int syncer_wake_fd(const struct syncer *s)
{
    return handover_wake_fd(s->hand);
}

struct sync_job *syncer_take(struct syncer *s)
{
    return job_of(handover_take(s->hand));
}

struct sync_job *sync_job_next(const struct sync_job *job)
{
    return job_of(job->link.next);
}

void syncer_run(struct syncer *s, void (*fn)(void *arg), void *arg)
{
    handover_run(s->hand, fn, arg);
}
