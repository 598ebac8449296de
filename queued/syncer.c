/* syncer.c - the thread for everything slow that is not a segment */
#include "queued/syncer.h"

#include "common/base/mem.h"
#include "common/os/fault.h"
#include "common/os/fd.h"
#include "common/os/thread.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct chain {
    struct sync_job *first, **end;
};

struct syncer {
    struct committer *committer; /* borrowed: outlives us */
    int wake;                    /* owned eventfd */
    pthread_t thread;
    bool started;

    pthread_mutex_t lock;
    pthread_cond_t cond;
    struct chain urgent, pending, finished; /* under lock */
    bool stop;
    void (*run)(void *arg);
    void *run_arg;
};

static void chain_init(struct chain *c)
{
    c->first = NULL;
    c->end = &c->first;
}

static void chain_add(struct chain *c, struct sync_job *job)
{
    job->next = NULL;
    *c->end = job;
    c->end = &job->next;
}

static struct sync_job *chain_take(struct chain *c)
{
    struct sync_job *job = c->first;

    if (job && !(c->first = job->next))
        c->end = &c->first;
    return job;
}

struct syncer *syncer_new(struct committer *committer)
{
    struct syncer *s = mem_new(sizeof *s);

    s->committer = committer;
    s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->wake < 0)
        die("eventfd failed with error %d", errno);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->cond, NULL);
    chain_init(&s->urgent);
    chain_init(&s->pending);
    chain_init(&s->finished);
    return s;
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

static void job_finish(struct syncer *s, struct sync_job *job)
{
    uint64_t one = 1;
    ssize_t n;

    if (job->kind == SYNC_BIG) {
        free(job);
        return;
    }
    pthread_mutex_lock(&s->lock);
    chain_add(&s->finished, job);
    pthread_mutex_unlock(&s->lock);
    do {
        n = write(s->wake, &one, sizeof one);
    } while (n < 0 && errno == EINTR);
}

static void *syncer_main(void *arg)
{
    struct syncer *s = arg;

    pthread_mutex_lock(&s->lock);
    for (;;) {
        struct sync_job *job;

        if (s->run) {
            s->run(s->run_arg);
            s->run = NULL;
            pthread_cond_broadcast(&s->cond);
            continue;
        }
        job = chain_take(&s->urgent);
        if (!job)
            job = chain_take(&s->pending);
        if (job) {
            pthread_mutex_unlock(&s->lock);
            job_do(s, job);
            job_finish(s, job);
            pthread_mutex_lock(&s->lock);
            continue;
        }
        if (s->stop)
            break;
        pthread_cond_wait(&s->cond, &s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

bool syncer_start(struct syncer *s, struct err *err)
{
    s->started = thread_start(&s->thread, "syncer", syncer_main, s, err);
    return s->started;
}

void syncer_stop(struct syncer **sp)
{
    struct syncer *s = *sp;

    *sp = NULL;
    if (!s)
        return;
    if (s->started) {
        pthread_mutex_lock(&s->lock);
        s->stop = true;
        pthread_cond_broadcast(&s->cond);
        pthread_mutex_unlock(&s->lock);
        pthread_join(s->thread, NULL);
    }
    for (struct sync_job *job = syncer_take(s), *next; job; job = next) {
        next = job->next;
        free(job);
    }
    fd_close(&s->wake);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->cond);
    free(s);
}

/* ---- the loop ---- */

void syncer_add(struct syncer *s, struct sync_job *job)
{
    pthread_mutex_lock(&s->lock);
    chain_add(job->kind == SYNC_JOURNAL ? &s->urgent : &s->pending, job);
    pthread_cond_broadcast(&s->cond);
    pthread_mutex_unlock(&s->lock);
}

int syncer_wake_fd(const struct syncer *s)
{
    return s->wake;
}

struct sync_job *syncer_take(struct syncer *s)
{
    struct sync_job *first;
    uint64_t count;
    ssize_t n;

    do {
        n = read(s->wake, &count, sizeof count);
    } while (n < 0 && errno == EINTR);
    pthread_mutex_lock(&s->lock);
    first = s->finished.first;
    chain_init(&s->finished);
    pthread_mutex_unlock(&s->lock);
    return first;
}

void syncer_run(struct syncer *s, void (*fn)(void *arg), void *arg)
{
    pthread_mutex_lock(&s->lock);
    s->run = fn;
    s->run_arg = arg;
    pthread_cond_broadcast(&s->cond);
    while (s->run)
        pthread_cond_wait(&s->cond, &s->lock);
    pthread_mutex_unlock(&s->lock);
}
