/* listener.c - accepting connections from a socket that several processes share

   When descriptors run out, the listener rests: connections wait in the kernel's queue or go to another
   process that polls the same socket, and nothing spins (libevent's own listener does, at 100 % CPU). It
   rests already a few descriptors before the limit, because channels still need some to receive descriptors
   from mtad. */
#include "common/net/listener.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/net/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define RESERVE 32 /* descriptors kept for other uses than clients */
#define REST_MS 500
#define HAND_OVER_MAX 1024 /* the backlog: more cannot have been our turn */
#define WARN_MS (60 * 1000) /* one line per minute however long the shortage lasts */

struct listener {
    struct loop *loop;
    struct loop_io io;
    struct loop_timer rest;
    int fd;
    int fd_limit; /* the first descriptor number that is too high */
    unsigned batch;
    bool paused;
    bool freed;
    int64_t warned; /* 0 = never */
    void (*on_accept)(void *arg, int fd, const struct netaddr *peer);
    void *arg;
};

static void listener_watch(struct listener *ls)
{
    loop_io_set(&ls->io, ls->paused || loop_timer_is_set(&ls->rest) ? 0 : LOOP_READ);
}

static void listener_rest(struct listener *ls, const char *why)
{
    int64_t now = loop_now(ls->loop);

    if (!ls->warned || now - ls->warned >= WARN_MS) {
        LOG(WARN, "net.listener.rests", KI("fd", ls->fd), KS("why", why));
        ls->warned = now ? now : 1;
    }
    loop_timer_set(&ls->rest, REST_MS);
    listener_watch(ls);
}

static void on_rest_over(void *arg)
{
    listener_watch(arg);
}

/* What accept4 failed with. True: try the next connection. */
static bool accept_failed(struct listener *ls, int sys)
{
    switch (sys) {
    case EAGAIN: return false;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM: listener_rest(ls, strerror(sys)); return false;
    case EBADF:
    case EINVAL:
    case ENOTSOCK:
    case EFAULT: die("listening socket %d: %s", ls->fd, strerror(sys));
    default:
        return true; /* an error of that connection: ECONNABORTED, EPERM, the network errors of accept(2) */
    }
}

static void on_io(void *arg, int events)
{
    struct listener *ls = arg;

    (void)events;
    for (unsigned i = 0; i < ls->batch && !ls->paused && !ls->freed; i++) {
        struct sockaddr_storage ss;
        socklen_t n = sizeof ss;
        struct netaddr peer = { 0 };
        int fd = accept4(ls->fd, (struct sockaddr *)&ss, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0) {
            if (!accept_failed(ls, errno))
                return;
            continue;
        }
        if (!netaddr_from_sockaddr((struct sockaddr *)&ss, n, &peer))
            peer.family = AF_UNSPEC;
        if (fd >= ls->fd_limit) {
            listener_rest(ls, "descriptors run short");
            ls->on_accept(ls->arg, fd, &peer);
            return;
        }
        ls->on_accept(ls->arg, fd, &peer);
    }
}

struct listener *listener_new(struct loop *l, int fd, unsigned batch,
                              void (*on_accept)(void *arg, int fd, const struct netaddr *peer), void *arg)
{
    struct listener *ls = mem_new(sizeof *ls);
    struct rlimit limit;
    int max = 1024;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < 1u << 30)
        max = (int)limit.rlim_cur;
    ls->loop = l;
    ls->fd = fd;
    ls->fd_limit = max > 2 * RESERVE ? max - RESERVE : max;
    ls->batch = batch ? batch : 1;
    ls->on_accept = on_accept;
    ls->arg = arg;
    loop_timer_init(&ls->rest, l, on_rest_over, ls);
    loop_io_init(&ls->io, l, fd, on_io, ls);
    loop_io_exclusive(&ls->io);
    listener_watch(ls);
    return ls;
}

void listener_pause(struct listener *ls)
{
    ls->paused = true;
    listener_watch(ls);
}

void listener_resume(struct listener *ls)
{
    ls->paused = false;
    loop_timer_stop(&ls->rest);
    listener_watch(ls);
}

static void listener_destroy(void *obj)
{
    free(obj);
}

void listener_free(struct listener **lsp)
{
    struct listener *ls = *lsp;

    if (!ls)
        return;
    *lsp = NULL;
    ls->freed = true;
    loop_timer_stop(&ls->rest);
    loop_io_clear(&ls->io);
    close(ls->fd);
    loop_reap(ls->loop, listener_destroy, ls);
}

void listener_hand_over(struct listener **lsp)
{
    struct listener *ls = *lsp;

    if (!ls)
        return;
    *lsp = NULL;
    loop_timer_stop(&ls->rest);
    loop_io_set(&ls->io, 0); /* from here on others are woken */
    ls->batch = HAND_OVER_MAX;
    if (!ls->paused)
        on_io(ls, LOOP_READ);
    listener_free(&ls);
}
