/* handover.c - jobs that the loop hands to a thread of its own, and gets back when they are done */
#include "common/os/handover.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/os/fd.h"
#include "common/os/thread.h"

struct handover {
    const struct handover_spec *spec; /* borrowed, like arg */
    void *arg;
    int wake; /* owned eventfd */
    pthread_t thread;
    bool started;

    pthread_mutex_t lock;
    pthread_cond_t cond;
    struct handover_chain urgent, pending, finished; /* under lock */
    bool stop;
    void (*run)(void *arg);
    void *run_arg;
};

struct handover *handover_new(const struct handover_spec *spec, void *arg)
{
    struct handover *h = mem_new(sizeof *h);

    h->spec = spec;
    h->arg = arg;
    h->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (h->wake < 0)
        die("eventfd failed with error %d", errno);
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->cond, NULL);
    handover_chain_init(&h->urgent);
    handover_chain_init(&h->pending);
    handover_chain_init(&h->finished);
    return h;
}

/* ---- the thread ---- */

static bool batch_pick(struct handover *h, struct handover_chain *batch)
{
    struct handover_chain *from = h->urgent.first ? &h->urgent : &h->pending;

    if (!from->first)
        return false;
    handover_chain_init(batch);
    if (from == &h->pending && h->spec->pick)
        h->spec->pick(from, batch);
    else
        handover_chain_add(batch, handover_chain_take(from));
    return true;
}

static void *handover_main(void *arg)
{
    struct handover *h = arg;

    pthread_mutex_lock(&h->lock);
    for (;;) {
        struct handover_chain batch;

        if (h->run) {
            h->run(h->run_arg);
            h->run = NULL;
            pthread_cond_broadcast(&h->cond);
            continue;
        }
        if (batch_pick(h, &batch)) {
            pthread_mutex_unlock(&h->lock);
            h->spec->work(h->arg, &batch);
            pthread_mutex_lock(&h->lock);
            continue;
        }
        if (h->stop)
            break;
        pthread_cond_wait(&h->cond, &h->lock);
    }
    pthread_mutex_unlock(&h->lock);
    return NULL;
}

bool handover_start(struct handover *h, struct err *err)
{
    h->started = thread_start(&h->thread, h->spec->name, handover_main, h, err);
    return h->started;
}

static void drop_all(const struct handover *h, struct handover_job *job)
{
    for (struct handover_job *next; job; job = next) {
        next = job->next;
        h->spec->drop(job);
    }
}

void handover_stop(struct handover **hp)
{
    struct handover *h = *hp;

    if (!h)
        return;
    if (h->started) {
        pthread_mutex_lock(&h->lock);
        h->stop = true;
        pthread_cond_broadcast(&h->cond);
        pthread_mutex_unlock(&h->lock);
        pthread_join(h->thread, NULL);
    }
    *hp = NULL; /* work used it until now */
    drop_all(h, h->finished.first);
    drop_all(h, h->urgent.first);
    drop_all(h, h->pending.first);
    fd_close(&h->wake);
    pthread_mutex_destroy(&h->lock);
    pthread_cond_destroy(&h->cond);
    free(h);
}

/* ---- the others ---- */

static void job_add(struct handover *h, struct handover_chain *to, struct handover_job *job)
{
    bool idle;

    pthread_mutex_lock(&h->lock);
    /* Who added the first one has woken the thread already. */
    idle = !h->urgent.first && !h->pending.first;
    handover_chain_add(to, job);
    pthread_mutex_unlock(&h->lock);
    /* Without the lock, which the thread wants as soon as it wakes. */
    if (idle)
        pthread_cond_broadcast(&h->cond);
}

void handover_add(struct handover *h, struct handover_job *job)
{
    job_add(h, &h->pending, job);
}

void handover_add_urgent(struct handover *h, struct handover_job *job)
{
    job_add(h, &h->urgent, job);
}

void handover_done(struct handover *h, struct handover_chain *done)
{
    uint64_t one = 1;
    ssize_t n;

    if (!done->first)
        return;
    pthread_mutex_lock(&h->lock);
    handover_chain_move(done, &h->finished);
    pthread_mutex_unlock(&h->lock);
    do {
        n = write(h->wake, &one, sizeof one);
    } while (n < 0 && errno == EINTR);
}

int handover_wake_fd(const struct handover *h)
{
    return h->wake;
}

struct handover_job *handover_take(struct handover *h)
{
    struct handover_job *first;
    uint64_t count;
    ssize_t n;

    do {
        n = read(h->wake, &count, sizeof count);
    } while (n < 0 && errno == EINTR);
    pthread_mutex_lock(&h->lock);
    first = h->finished.first;
    handover_chain_init(&h->finished);
    pthread_mutex_unlock(&h->lock);
    return first;
}

void handover_run(struct handover *h, void (*fn)(void *arg), void *arg)
{
    pthread_mutex_lock(&h->lock);
    h->run = fn;
    h->run_arg = arg;
    pthread_cond_broadcast(&h->cond);
    while (h->run)
        pthread_cond_wait(&h->cond, &h->lock);
    pthread_mutex_unlock(&h->lock);
}
