/* loop.c - the event loop of a process: libevent waits, we keep timers and end-of-iteration work

   An iteration: wait, run what is ready, run due timers, run tasks (which flush everything that was queued,
   so that one system call serves a whole batch), free what was handed to loop_reap. */
#include "common/net/loop.h"

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/metric.h"
#include "common/net/timer.h"

#include <event2/event.h>
#include <event2/event_struct.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define SIGNALS_MAX 8
/* Tasks that register tasks run in the same iteration so that no wake-up is lost, but a circle of them must
   not keep the loop from its descriptors. */
#define TASK_ROUNDS 64
/* No wait is longer: libevent takes a struct timeval, and a year is not a wait. */
#define WAIT_MAX_MS (60 * 60 * 1000)

_Static_assert(sizeof(struct event) <= sizeof(((struct loop_io *)0)->space[0]), "loop_io is too small");

struct loop_signal {
    struct event event;
    struct loop *loop;
    void (*fn)(void *arg, int signo);
    void *arg;
    int signo;
};

struct loop_dead {
    void (*free_fn)(void *);
    void *obj;
};

struct loop {
    struct event_base *base;
    struct event wake; /* ends the wait when the first timer is due */
    int epoll_fd;      /* libevent's, as far as we can tell; see loop_io_exclusive */
    struct timer_heap timers;
    struct loop_task *tasks, **tasks_end;
    struct loop_dead *dead; /* owned array */
    size_t dead_count, dead_cap;
    struct loop_signal signals[SIGNALS_MAX];
    unsigned signal_count;
    int64_t now;
    bool fresh;  /* now was read in this iteration */
    bool inside; /* in an iteration */
    bool stop;
};

static void on_libevent_log(int severity, const char *text)
{
    if (severity >= EVENT_LOG_WARN)
        LOG(WARN, "net.libevent", KS("text", text));
}

static void on_libevent_fatal(int code)
{
    die("libevent: fatal error %d", code);
}

static void loop_refresh(struct loop *l)
{
    if (!l->fresh) {
        l->now = clock_mono_ms();
        l->fresh = true;
    }
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
}

struct loop *loop_new(void)
{
    struct loop *l = mem_new(sizeof *l);
    struct event_config *cfg;

    event_set_log_callback(on_libevent_log);
    event_set_fatal_callback(on_libevent_fatal);
    cfg = event_config_new();
    if (!cfg)
        die("libevent: no configuration");
    /* One thread per loop needs no locks; the environment decides nothing in a daemon. */
    event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV);
    event_config_require_features(cfg, EV_FEATURE_O1);
    /* libevent does not tell its epoll descriptor; the lowest free number is the one it will get. */
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (l->epoll_fd >= 0)
        close(l->epoll_fd);
    l->base = event_base_new_with_config(cfg);
    event_config_free(cfg);
    if (!l->base)
        die("libevent: no event base");
    if (evtimer_assign(&l->wake, l->base, on_wake, l) != 0)
        die("libevent: no timer");
    l->tasks_end = &l->tasks;
    return l;
}

static void loop_reap_all(struct loop *l)
{
    /* A destructor may reap more; the array may move meanwhile. */
    for (size_t i = 0; i < l->dead_count; i++)
        l->dead[i].free_fn(l->dead[i].obj);
    l->dead_count = 0;
}

void loop_free(struct loop **lp)
{
    struct loop *l = *lp;

    if (!l)
        return;
    *lp = NULL;
    loop_reap_all(l);
    for (unsigned i = 0; i < l->signal_count; i++)
        event_del(&l->signals[i].event);
    event_del(&l->wake);
    event_base_free(l->base);
    timer_heap_clear(&l->timers);
    free(l->dead);
    free(l);
}

static void loop_run_timers(struct loop *l)
{
    size_t budget = l->timers.count; /* a timer that sets itself to 0 must not keep the loop */
    struct loop_timer *t;

    while (budget > 0 && (t = timer_heap_first(&l->timers)) && t->queued <= l->now) {
        if (t->due > t->queued) { /* was moved since it was queued */
            t->queued = t->due;
            timer_heap_moved(&l->timers, t);
            continue;
        }
        budget--;
        timer_heap_remove(&l->timers, t);
        t->set = false;
        t->fn(t->arg);
    }
}

static void loop_run_tasks(struct loop *l)
{
    for (int round = 0; l->tasks && round < TASK_ROUNDS; round++) {
        struct loop_task **round_end = l->tasks_end, mark = { .queued = true };
        struct loop_task *t;

        /* A mark ends the round: tasks may be cancelled by other tasks, so no pointer to the last would do.
         */
        *round_end = &mark;
        l->tasks_end = &mark.next;
        while ((t = l->tasks) != &mark) {
            l->tasks = t->next; /* the mark is behind it */
            t->next = NULL;
            t->queued = false;
            t->fn(t->arg);
        }
        l->tasks = mark.next;
        if (!l->tasks)
            l->tasks_end = &l->tasks;
    }
}

/* Milliseconds that the next wait may last, -1 = for ever. */
static int64_t loop_patience(struct loop *l, int timeout_ms)
{
    const struct loop_timer *first = timer_heap_first(&l->timers);
    int64_t ms = timeout_ms, left;

    if (l->tasks || l->dead_count)
        return 0;
    if (!first)
        return ms;
    left = first->queued - clock_mono_ms();
    if (left < 0)
        left = 0;
    if (left > WAIT_MAX_MS)
        left = WAIT_MAX_MS;
    return ms < 0 || left < ms ? left : ms;
}

void loop_once(struct loop *l, int timeout_ms)
{
    int64_t ms = loop_patience(l, timeout_ms);
    int64_t turn;
    struct timeval tv;
    int flags = EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY;

    if (ms == 0) {
        flags |= EVLOOP_NONBLOCK; /* without ONCE beside it a flood would never let us out */
    } else if (ms > 0) {
        tv.tv_sec = (time_t)(ms / 1000);
        tv.tv_usec = (suseconds_t)(ms % 1000) * 1000;
        evtimer_add(&l->wake, &tv);
    } else {
        evtimer_del(&l->wake);
    }
    l->inside = true;
    l->fresh = false;
    if (event_base_loop(l->base, flags) < 0)
        die("libevent: cannot wait: errno %d", errno);
    loop_refresh(l);
    loop_run_timers(l);
    loop_run_tasks(l);
    loop_reap_all(l);
    turn = clock_mono_ms() - l->now;
    metric_observe(METRIC_LOOP_TURN, turn > 0 ? (uint64_t)turn : 0);
    l->inside = false;
}

void loop_run(struct loop *l)
{
    l->stop = false;
    while (!l->stop)
        loop_once(l, -1);
}

void loop_stop(struct loop *l)
{
    l->stop = true;
}

int64_t loop_now(const struct loop *l)
{
    /* Outside an iteration (start-up work) the last reading may be seconds old. */
    return l->inside && l->fresh ? l->now : clock_mono_ms();
}

/* ---- descriptors ---- */

static struct event *io_event(struct loop_io *io, int which)
{
    return (struct event *)(void *)io->space[which == LOOP_READ ? 0 : 1];
}

static void on_io(evutil_socket_t fd, short what, void *arg)
{
    struct loop_io *io = arg;

    (void)fd;
    loop_refresh(io->loop);
    io->fn(io->arg, what & EV_READ ? LOOP_READ : LOOP_WRITE);
}

void loop_io_init(struct loop_io *io, struct loop *l, int fd, void (*fn)(void *arg, int events), void *arg)
{
    *io = (struct loop_io){ .loop = l, .fn = fn, .arg = arg, .fd = fd };
    if (event_assign(io_event(io, LOOP_READ), l->base, fd, EV_READ | EV_PERSIST, on_io, io) != 0 ||
        event_assign(io_event(io, LOOP_WRITE), l->base, fd, EV_WRITE | EV_PERSIST, on_io, io) != 0)
        die("libevent: cannot assign descriptor %d", fd);
}

/* libevent 2.1 cannot ask for EPOLLEXCLUSIVE, and an epoll descriptor inside another one loses it (all
   sleepers wake: measured, 8 per connection with 8 processes). So libevent registers the descriptor, and the
   registration is exchanged for an exclusive one with the same data. The removal succeeds only where libevent
   registered it, which proves that the descriptor is its. */
static void io_make_exclusive(const struct loop_io *io)
{
    struct epoll_event ev = { .events = EPOLLIN | EPOLLEXCLUSIVE };

    if (io->loop->epoll_fd < 0 || epoll_ctl(io->loop->epoll_fd, EPOLL_CTL_DEL, io->fd, &ev) != 0)
        return;
    ev.data.fd = io->fd;
    if (epoll_ctl(io->loop->epoll_fd, EPOLL_CTL_ADD, io->fd, &ev) == 0)
        return;
    ev.events = EPOLLIN;
    if (epoll_ctl(io->loop->epoll_fd, EPOLL_CTL_ADD, io->fd, &ev) != 0)
        die("cannot watch a listening socket: errno %d", errno);
}

void loop_io_set(struct loop_io *io, int events)
{
    int change = io->events ^ events;

    if (change & LOOP_READ) {
        if ((events & LOOP_READ ? event_add(io_event(io, LOOP_READ), NULL)
                                : event_del(io_event(io, LOOP_READ))) != 0)
            die("libevent: cannot watch descriptor %d: errno %d", io->fd, errno);
        if ((events & LOOP_READ) && io->exclusive)
            io_make_exclusive(io);
    }
    if (change & LOOP_WRITE)
        if ((events & LOOP_WRITE ? event_add(io_event(io, LOOP_WRITE), NULL)
                                 : event_del(io_event(io, LOOP_WRITE))) != 0)
            die("libevent: cannot watch descriptor %d: errno %d", io->fd, errno);
    io->events = events;
}

void loop_io_clear(struct loop_io *io)
{
    if (io->loop)
        loop_io_set(io, 0);
    io->loop = NULL;
}

void loop_io_exclusive(struct loop_io *io)
{
    io->exclusive = true;
}

/* ---- timers ---- */

void loop_timer_init(struct loop_timer *t, struct loop *l, void (*fn)(void *arg), void *arg)
{
    *t = (struct loop_timer){ .loop = l, .fn = fn, .arg = arg };
}

void loop_timer_set(struct loop_timer *t, int64_t ms)
{
    struct timer_heap *h = &t->loop->timers;

    t->due = loop_now(t->loop) + (ms > 0 ? ms : 0);
    t->set = true;
    if (!t->slot) {
        t->queued = t->due;
        timer_heap_add(h, t);
    } else if (t->due < t->queued) {
        t->queued = t->due;
        timer_heap_moved(h, t);
    }
}

void loop_timer_stop(struct loop_timer *t)
{
    if (t->slot)
        timer_heap_remove(&t->loop->timers, t);
    t->set = false;
}

bool loop_timer_is_set(const struct loop_timer *t)
{
    return t->set;
}

/* ---- end of the iteration ---- */

void loop_later(struct loop *l, struct loop_task *t)
{
    if (t->queued)
        return;
    t->queued = true;
    t->next = NULL;
    *l->tasks_end = t;
    l->tasks_end = &t->next;
}

void loop_later_cancel(struct loop *l, struct loop_task *t)
{
    struct loop_task **at = &l->tasks;

    if (!t->queued)
        return;
    while (*at && *at != t)
        at = &(*at)->next;
    if (!*at)
        return;
    *at = t->next;
    if (l->tasks_end == &t->next)
        l->tasks_end = at;
    t->next = NULL;
    t->queued = false;
}

void loop_reap(struct loop *l, void (*free_fn)(void *), void *obj)
{
    if (l->dead_count == l->dead_cap) {
        l->dead_cap = l->dead_cap ? l->dead_cap * 2 : 16;
        l->dead = mem_resize(l->dead, l->dead_cap, sizeof *l->dead);
    }
    l->dead[l->dead_count++] = (struct loop_dead){ free_fn, obj };
}

/* ---- signals ---- */

static void on_signal(evutil_socket_t signo, short what, void *arg)
{
    struct loop_signal *s = arg;

    (void)what;
    loop_refresh(s->loop);
    s->fn(s->arg, (int)signo);
}

bool loop_signal(struct loop *l, int signo, void (*fn)(void *arg, int signo), void *arg)
{
    struct loop_signal *s;

    for (unsigned i = 0; i < l->signal_count; i++)
        if (l->signals[i].signo == signo)
            return false;
    if (l->signal_count == SIGNALS_MAX)
        return false;
    s = &l->signals[l->signal_count];
    *s = (struct loop_signal){ .loop = l, .fn = fn, .arg = arg, .signo = signo };
    if (evsignal_assign(&s->event, l->base, signo, on_signal, s) != 0 || event_add(&s->event, NULL) != 0)
        return false;
    l->signal_count++;
    return true;
}
