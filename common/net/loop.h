/* loop.h - the event loop of a process; the only code that knows libevent together with stream.c */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct loop;

enum { LOOP_READ = 1, LOOP_WRITE = 2 };

struct loop *loop_new(void);
void loop_free(struct loop **l);
void loop_run(struct loop *l); /* until loop_stop */
void loop_stop(struct loop *l);
/* One iteration that waits at most timeout_ms (-1: as long as it takes); for tests and small tools. */
void loop_once(struct loop *l, int timeout_ms);
int64_t loop_now(const struct loop *l); /* monotonic ms, read once per iteration */

/* Readiness of a descriptor. Embed and init; the storage is the owner's and must outlive loop_io_clear. */
struct loop_io {
    _Alignas(16) unsigned char space[2][128]; /* libevent's: one for reading, one for writing */
    struct loop *loop;
    void (*fn)(void *arg, int events);
    void *arg;
    int fd;
    int events; /* what is watched now */
    bool exclusive;
};
void loop_io_init(struct loop_io *io, struct loop *l, int fd, void (*fn)(void *arg, int events), void *arg);
void loop_io_set(struct loop_io *io, int events); /* no system call when unchanged; 0 = none */
void loop_io_clear(struct loop_io *io);           /* the descriptor stays open */
/* For a listening socket that several processes poll, before loop_io_set: a connection wakes one of them
   (EPOLLEXCLUSIVE). Where that cannot be had, all wake: slower, not wrong. */
void loop_io_exclusive(struct loop_io *io);

/* One-shot timer in milliseconds; re-setting moves it. Moving it later (a connection's deadline at each
   command) costs two stores. It runs on clock_mono_ms, so tests with a fake clock drive it. Stop it before
   its storage goes. */
struct loop_timer {
    struct loop *loop;
    void (*fn)(void *arg);
    void *arg;
    int64_t due;    /* when it runs */
    int64_t queued; /* the time it waits under, <= due */
    uint32_t slot;  /* place in the heap + 1; 0 = not in it */
    bool set;
};
void loop_timer_init(struct loop_timer *t, struct loop *l, void (*fn)(void *arg), void *arg);
void loop_timer_set(struct loop_timer *t, int64_t ms);
void loop_timer_stop(struct loop_timer *t);
bool loop_timer_is_set(const struct loop_timer *t);

/* Work for the end of the current iteration, once, in order of registration: flushing, reaping. A task that
   is already registered is not registered twice. Embedded like the others; tasks may register tasks. */
struct loop_task {
    struct loop_task *next;
    void (*fn)(void *arg);
    void *arg;
    bool queued;
};
void loop_later(struct loop *l, struct loop_task *t);
void loop_later_cancel(struct loop *l, struct loop_task *t);

/* Frees an object at the end of the iteration: for objects that must not go while their callbacks run. */
void loop_reap(struct loop *l, void (*free_fn)(void *), void *obj);

/* Signals as events: fn runs from the loop. False when the signal is taken already or cannot be watched. */
bool loop_signal(struct loop *l, int signo, void (*fn)(void *arg, int signo), void *arg);
