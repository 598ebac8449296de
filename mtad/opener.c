/* opener.c - what may lie on a file server is opened by helper processes, with a deadline */
#include "mtad/opener.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/hash.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/os/fd.h"
#include "common/os/priv.h"

#define OPENERS_MAX 32u
#define OPEN_MS     8000  /* with mapd's deadline it fits into deliverd's */
#define WAIT_MS     4000  /* mtad stands still so long */
#define IDLE_MS     60000 /* all but one end then */
#define HUNG_MS     60000 /* so long a path that hung is not tried */
#define HUNG_MAX    64u
#define OPENER_FD   3

/* Both ways one datagram; the program is the same, so its layout is too. */
struct wish {
    int flags;
    char path[PATH_MAX];
};
struct outcome {
    int sys; /* errno, or 0 and a descriptor */
    struct stat st;
};

struct request {
    struct request *next;
    struct openers *all;
    struct opener *by; /* NULL: waits */
    struct wish wish;
    int dirfd; /* owned; -1 */
    opened_fn *done;
    void *arg;
    struct opened result;
    struct loop_timer timer; /* deadline, or now for a refusal */
};

struct opener {
    struct openers *all;
    pid_t pid; /* 0: no process in this slot */
    int fd;    /* owned; -1 when it was told to go */
    struct request *request;
    struct loop_io io;
    struct loop_timer idle;
};

struct openers {
    struct loop *loop;
    bool privileged;
    struct opener list[OPENERS_MAX];
    struct request *requests; /* owned list, oldest first */
    struct {
        uint64_t path;
        int64_t until;
    } hung[HUNG_MAX];
};

/* ---- the process ---- */

/* sendmsg and recvmsg of one datagram with at most one descriptor. */
static ssize_t datagram(int sock, bool out, void *data, size_t n, int *fd)
{
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    struct iovec iov = { data, n };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
    struct cmsghdr *c;
    ssize_t got;

    if (!out || *fd >= 0) {
        msg.msg_control = &control;
        msg.msg_controllen = sizeof control;
    }
    if (out && *fd >= 0) {
        c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), fd, sizeof *fd);
    }
    do {
        got = out ? sendmsg(sock, &msg, MSG_NOSIGNAL) : recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    if (out)
        return got;
    *fd = -1;
    c = got > 0 ? CMSG_FIRSTHDR(&msg) : NULL;
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
        c->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(fd, CMSG_DATA(c), sizeof *fd);
    return got;
}

static void wish_fulfil(const struct wish *w, int dirfd)
{
    struct outcome o = { 0 };
    int fd = dirfd >= 0 ? openat(dirfd, ".", w->flags | O_CLOEXEC) : open(w->path, w->flags | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &o.st) < 0) {
        o.sys = errno;
        fd_close(&fd);
    }
    if (datagram(OPENER_FD, true, &o, sizeof o, &fd) < 0)
        _exit(1);
    fd_close(&fd);
}

/* It has nothing of mtad but its rights to read directories and files, and ends with it. */
static void open_for_ever(void *arg)
{
    const bool *privileged = arg;
    static struct wish w;
    struct err err = { 0 };
    int dirfd;

    if (!fd_nonblock(OPENER_FD, false) ||
        (*privileged && !priv_keep_caps(1ull << CAP_DAC_READ_SEARCH, &err)) || !priv_lock(&err))
        _exit(1);
    while (datagram(OPENER_FD, false, &w, sizeof w, &dirfd) == (ssize_t)sizeof w) {
        w.path[sizeof w.path - 1] = '\0';
        wish_fulfil(&w, dirfd);
        fd_close(&dirfd);
    }
}

struct errand {
    void (*run)(void *arg);
    void *arg;
};

static const int restored[] = { SIGCHLD, SIGTERM, SIGHUP, SIGINT, SIGUSR1 };

static void errand_run(const struct errand *e, int sock, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    prctl(PR_SET_NAME, "mtad-opener", 0, 0, 0);
    if (getppid() != parent || dup2(sock, OPENER_FD) < 0 ||
        syscall(SYS_close_range, OPENER_FD + 1, ~0u, 0) < 0)
        _exit(1);
    e->run(e->arg);
    _exit(0);
}

/* Our end of a channel to a copy of mtad that does something else, or -1. No handler of ours may run in it:
   the loop's writes into a pipe that both hold. */
static int process_start(const struct errand *e, pid_t *pid)
{
    pid_t parent = getpid();
    sigset_t all, old;
    int ends[2];

    if (!fd_seqpacket_pair(ends))
        return -1;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &old);
    *pid = fork();
    if (*pid == 0) {
        for (size_t i = 0; i < sizeof restored / sizeof *restored; i++)
            signal(restored[i], SIG_DFL);
        sigprocmask(SIG_SETMASK, &old, NULL);
        errand_run(e, ends[1], parent);
    }
    sigprocmask(SIG_SETMASK, &old, NULL);
    fd_close(&ends[1]);
    if (*pid < 0)
        fd_close(&ends[0]);
    return ends[0];
}

/* ---- what hung ---- */

static uint64_t path_hash(const struct wish *w)
{
    return hash_sip(SV(w->path));
}

static bool is_hung(const struct openers *all, const struct wish *w)
{
    uint64_t path = path_hash(w);
    unsigned slot = path % HUNG_MAX;

    return all->hung[slot].path == path && loop_now(all->loop) < all->hung[slot].until;
}

static void hung_remember(struct openers *all, const struct wish *w)
{
    uint64_t path = path_hash(w);
    unsigned slot = path % HUNG_MAX;

    all->hung[slot].path = path;
    all->hung[slot].until = loop_now(all->loop) + HUNG_MS;
}

static void hung_error(struct err *err, const char *path)
{
    err_set(err, ERR_TEMP, "%s: its file system does not answer", path);
}

/* ---- processes of the pool ---- */

static void serve(struct openers *all);

static void opener_dismiss(struct opener *p)
{
    if (p->fd >= 0) {
        loop_io_clear(&p->io);
        fd_close(&p->fd);
    }
    loop_timer_stop(&p->idle);
}

static void request_free(struct request *r)
{
    struct request **at = &r->all->requests;

    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    loop_timer_stop(&r->timer);
    fd_close(&r->dirfd);
    free(r);
}

/* The end of a request: its owner is told once, then it is gone. */
static void request_end(struct request *r)
{
    struct opened o = r->result;
    opened_fn *done = r->done;
    void *arg = r->arg;

    request_free(r);
    done(arg, &o);
    fd_close(&o.fd);
}

static void on_readable(void *arg, int events)
{
    struct opener *p = arg;
    struct openers *all = p->all;
    struct request *r = p->request;
    struct outcome o;
    int fd = -1;
    ssize_t n = datagram(p->fd, false, &o, sizeof o, &fd);

    (void)events;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return;
    p->request = NULL;
    if (n != (ssize_t)sizeof o || !r) {
        fd_close(&fd);
        opener_dismiss(p);
        if (r)
            err_set(&r->result.err, ERR_TEMP, "%s: the process that opens files ended", r->wish.path);
    } else {
        loop_timer_set(&p->idle, IDLE_MS);
        r->result.fd = fd;
        r->result.st = o.st;
        errno = o.sys;
        if (fd < 0)
            err_sys(&r->result.err, "%s", r->wish.path);
    }
    if (r)
        request_end(r);
    serve(all);
}

static void on_idle(void *arg)
{
    struct opener *p = arg;

    if (!p->request && p != &p->all->list[0])
        opener_dismiss(p);
}

static bool opener_start(struct opener *p)
{
    const struct errand e = { open_for_ever, &p->all->privileged };

    p->fd = process_start(&e, &p->pid);
    if (p->fd < 0) {
        p->pid = 0;
        return false;
    }
    loop_io_init(&p->io, p->all->loop, p->fd, on_readable, p);
    loop_io_set(&p->io, LOOP_READ);
    loop_timer_init(&p->idle, p->all->loop, on_idle, p);
    return true;
}

/* One that has nothing to do, a new one if need be; NULL: all are busy. */
static struct opener *opener_free(struct openers *all)
{
    struct opener *empty = NULL;

    for (unsigned i = 0; i < OPENERS_MAX; i++) {
        struct opener *p = &all->list[i];

        if (p->pid > 0 && p->fd >= 0 && !p->request)
            return p;
        if (p->pid == 0 && !empty)
            empty = p;
    }
    return empty && opener_start(empty) ? empty : NULL;
}

static void serve(struct openers *all)
{
    for (struct request *r = all->requests; r; r = r->next) {
        struct opener *p;

        if (r->by || r->result.err.cls != ERR_OK)
            continue;
        p = opener_free(all);
        if (!p)
            return;
        loop_timer_stop(&p->idle);
        if (datagram(p->fd, true, &r->wish, sizeof r->wish, &r->dirfd) < 0) {
            opener_dismiss(p); /* it has just ended; the request's deadline is still there */
            continue;
        }
        r->by = p;
        p->request = r;
    }
}

/* Its time is over, or it was refused at once. */
static void on_deadline(void *arg)
{
    struct request *r = arg;
    struct openers *all = r->all;
    struct opener *p = r->by;

    if (p) {
        hung_remember(all, &r->wish);
        LOG(WARN, "mtad.open.hung", KS("path", r->wish.path), KI("pid", p->pid));
        opener_dismiss(p);
        p->request = NULL;
        kill(p->pid, SIGKILL); /* not reaped: the number is still its own */
    }
    if (r->result.err.cls == ERR_OK)
        hung_error(&r->result.err, r->wish.path);
    request_end(r);
    serve(all);
}

void opener_begin(struct host *h)
{
    struct openers *all = mem_new(sizeof *all);

    all->loop = h->loop;
    all->privileged = h->privileged;
    for (unsigned i = 0; i < OPENERS_MAX; i++) {
        all->list[i].all = all;
        all->list[i].fd = -1;
    }
    h->openers = all;
}

void opener_ask(struct host *h, int dirfd, const char *path, int flags, opened_fn *done, void *arg)
{
    struct openers *all = h->openers;
    struct request *r = mem_new(sizeof *r), **at = &all->requests;

    *r = (struct request){ .all = all, .dirfd = -1, .done = done, .arg = arg, .result = { .fd = -1 } };
    r->wish.flags = flags;
    if (dirfd >= 0 && (r->dirfd = fcntl(dirfd, F_DUPFD_CLOEXEC, 0)) < 0)
        err_sys(&r->result.err, "%s", path);
    else if (strlen(path) >= sizeof r->wish.path)
        err_set(&r->result.err, ERR_TEMP, "path too long");
    else
        memcpy(r->wish.path, path, strlen(path));
    if (is_hung(all, &r->wish))
        hung_error(&r->result.err, path);
    while (*at)
        at = &(*at)->next;
    *at = r;
    loop_timer_init(&r->timer, h->loop, on_deadline, r);
    loop_timer_set(&r->timer, r->result.err.cls == ERR_OK ? OPEN_MS : 0);
    serve(all);
}

bool opener_ended(struct host *h, pid_t pid)
{
    for (unsigned i = 0; h->openers && i < OPENERS_MAX; i++) {
        struct opener *p = &h->openers->list[i];
        struct request *r = p->request;

        if (p->pid != pid)
            continue;
        p->pid = 0;
        opener_dismiss(p);
        p->request = NULL;
        if (r) {
            err_set(&r->result.err, ERR_TEMP, "%s: the process that opens files ended", r->wish.path);
            request_end(r);
        }
        serve(h->openers);
        return true;
    }
    return false;
}

/* ---- waiting ---- */

/* Children end all the time: their signal is no answer. */
static bool poll_in(struct pollfd *pfd, int ms)
{
    int64_t until = clock_mono_ms() + ms;
    int n;

    do {
        int64_t left = until - clock_mono_ms();

        n = poll(pfd, 1, left > 0 ? (int)left : 0);
    } while (n < 0 && errno == EINTR);
    return n == 1;
}

int opener_wait(struct host *h, const char *path, int flags, struct err *err)
{
    const struct errand e = { open_for_ever, &h->privileged };
    struct wish w = { .flags = flags };
    struct pollfd pfd = { .events = POLLIN };
    struct outcome o = { .sys = EIO };
    pid_t pid;
    int fd = -1;

    if (!h->openers) {
        fd = open(path, flags | O_CLOEXEC);
        if (fd < 0)
            err_sys(err, "%s", path);
        return fd;
    }
    snprintf(w.path, sizeof w.path, "%s", path);
    if (is_hung(h->openers, &w)) {
        hung_error(err, path);
        return -1;
    }
    pfd.fd = process_start(&e, &pid);
    if (pfd.fd < 0) {
        err_sys(err, "%s: start a process", path);
        return -1;
    }
    if (datagram(pfd.fd, true, &w, sizeof w, &fd) > 0 && poll_in(&pfd, WAIT_MS)) {
        if (datagram(pfd.fd, false, &o, sizeof o, &fd) != (ssize_t)sizeof o)
            o.sys = EIO;
        errno = o.sys;
        if (fd < 0)
            err_sys(err, "%s", path);
    } else {
        hung_remember(h->openers, &w);
        LOG(WARN, "mtad.open.hung", KS("path", path), KI("pid", pid));
        hung_error(err, path);
        kill(pid, SIGKILL);
    }
    fd_close(&pfd.fd); /* its end; it is reaped like every child */
    return fd;
}

bool opener_probe(struct host *h, void (*look)(void *arg), void *arg, struct err *err)
{
    const struct errand e = { look, arg };
    struct pollfd pfd = { .events = POLLIN };
    bool done;
    pid_t pid;

    if (!h->openers)
        return true;
    pfd.fd = process_start(&e, &pid);
    if (pfd.fd < 0)
        return err_sys(err, "start a process");
    done = poll_in(&pfd, WAIT_MS); /* its end closes the channel */
    if (!done)
        kill(pid, SIGKILL);
    fd_close(&pfd.fd);
    return done ||
           err_set(err, ERR_TEMP,
                   "reading the configuration and the files that it names takes longer than %d s: a "
                   "file system or name service does not answer",
                   WAIT_MS / 1000);
}
