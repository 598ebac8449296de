/* blocking.c - calls to a running host from a program without a loop: one socket, one deadline per wait */
#include "common/ipc/blocking.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/os/fd.h"

#define CONNECT_STEP_MS 20

static bool address_fill(struct sockaddr_un *sun, const char *dir, const char *name)
{
    int n = snprintf(sun->sun_path, sizeof sun->sun_path, "%s/%s.sock", dir, name);

    sun->sun_family = AF_UNIX;
    return n > 0 && (size_t)n < sizeof sun->sun_path;
}

/* A directory that does not fit a socket address is reached through its descriptor. */
static int connect_below(int fd, const char *dir, const char *name)
{
    struct sockaddr_un sun = { 0 };
    char link[64];
    int dir_fd, result;

    if (address_fill(&sun, dir, name))
        return connect(fd, (struct sockaddr *)&sun, sizeof sun);
    dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0)
        return -1;
    snprintf(link, sizeof link, "/proc/self/fd/%d", dir_fd);
    address_fill(&sun, link, name);
    result = connect(fd, (struct sockaddr *)&sun, sizeof sun);
    fd_close(&dir_fd);
    return result;
}

static enum blocking_trouble connect_failed(const char *dir, const char *name, struct err *err)
{
    int sys = errno;

    switch (sys) {
    case ENOENT:
    case ENOTDIR:
    case ECONNREFUSED:
        err_set(err, ERR_TEMP, "Mansio is not running here (nobody listens at %s/%s.sock)", dir, name);
        return BLOCKING_DOWN;
    case EACCES:
    case EPERM:
        err_set(err, ERR_PERM, "only root and members of the group mansio-admin may ask %s", name);
        return BLOCKING_REFUSED;
    case EAGAIN:
        err_set(err, ERR_TEMP, "mtad does not take calls at the moment: too many wait, or it hangs");
        return BLOCKING_SILENT;
    default:
        errno = sys;
        err_sys(err, "connect to %s/%s.sock", dir, name);
        return BLOCKING_BROKEN;
    }
}

/* EAGAIN: the queue of those who wait for accept() is full, and nothing tells when it is not. */
static bool connect_patiently(const struct blocking *b, const char *dir)
{
    int64_t until = clock_mono_ms() + b->wait_ms;

    while (connect_below(b->fd, dir, role_name(b->peer)) < 0) {
        if ((errno != EAGAIN && errno != EINTR) || clock_mono_ms() >= until)
            return false;
        poll(NULL, 0, CONNECT_STEP_MS);
    }
    return true;
}

enum blocking_trouble blocking_open(struct blocking *b, const char *runtime, enum role peer, int64_t wait_ms,
                                    struct err *err)
{
    enum blocking_trouble trouble;
    char dir[PATH_MAX];

    *b = (struct blocking){ .fd = -1, .peer = peer, .wait_ms = wait_ms };
    ipc_out_init(&b->call);
    if ((size_t)snprintf(dir, sizeof dir, "%s/ctl", runtime) >= sizeof dir) {
        err_set(err, ERR_CONF, "directory name too long: %s", runtime);
        return BLOCKING_BROKEN;
    }
    b->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (b->fd < 0) {
        err_sys(err, "socket");
        return BLOCKING_BROKEN;
    }
    if (!connect_patiently(b, dir)) {
        trouble = connect_failed(dir, role_name(peer), err);
        blocking_close(b);
        return trouble;
    }
    b->frame = mem_new(IPC_FRAME_MAX);
    return BLOCKING_OK;
}

void blocking_close(struct blocking *b)
{
    fd_close(&b->fd);
    ipc_out_clear(&b->call);
    MEM_FREE(b->frame);
}

void blocking_call(struct blocking *b, const char *act, uint64_t cursor)
{
    ipc_begin(&b->call, IPC_CTL_CALL, ++b->txn);
    ipc_put_text(&b->call, TAG_ACT, SV(act));
    if (cursor)
        ipc_put_u64(&b->call, TAG_CURSOR, cursor);
}

void blocking_text(struct blocking *b, const char *name, struct strv value)
{
    ipc_group_begin(&b->call, TAG_ITEM);
    ipc_put_text(&b->call, TAG_NAME, SV(name));
    ipc_put_bytes(&b->call, TAG_VALUE, value);
    ipc_group_end(&b->call);
}

void blocking_number(struct blocking *b, const char *name, uint64_t value)
{
    ipc_group_begin(&b->call, TAG_ITEM);
    ipc_put_text(&b->call, TAG_NAME, SV(name));
    ipc_put_u64(&b->call, TAG_COUNT, value);
    ipc_group_end(&b->call);
}

/* False when the time is over. */
static bool wait_for(const struct blocking *b, short events, int64_t until)
{
    struct pollfd p = { .fd = b->fd, .events = events };

    for (;;) {
        int64_t left = until - clock_mono_ms();
        int n;

        if (left <= 0)
            return false;
        n = poll(&p, 1, left > INT_MAX ? INT_MAX : (int)left);
        if (n > 0)
            return true;
        if (n < 0 && errno != EINTR)
            return true; /* the next call says what it is */
    }
}

static enum blocking_trouble silent(const struct blocking *b, struct err *err)
{
    err_set(err, ERR_TEMP, "%s does not answer (waited %lld s): it hangs, or is stopped", role_name(b->peer),
            (long long)(b->wait_ms / 1000));
    return BLOCKING_SILENT;
}

static enum blocking_trouble ended(const struct blocking *b, struct err *err)
{
    err_set(err, ERR_TEMP,
            "%s closed the connection: it ended, restarts, has too many callers, or is of another version",
            role_name(b->peer));
    return BLOCKING_BROKEN;
}

enum blocking_trouble blocking_send(struct blocking *b, struct err *err)
{
    int64_t until = clock_mono_ms() + b->wait_ms;

    if (!ipc_finish(&b->call, err))
        return BLOCKING_BROKEN;
    for (;;) {
        if (send(b->fd, b->call.bytes.data, b->call.bytes.len, MSG_NOSIGNAL) >= 0)
            return BLOCKING_OK;
        if (errno == EPIPE || errno == ECONNRESET)
            return ended(b, err);
        if (errno != EAGAIN && errno != EINTR) {
            err_sys(err, "send to %s", role_name(b->peer));
            return BLOCKING_BROKEN;
        }
        if (!wait_for(b, POLLOUT, until))
            return silent(b, err);
    }
}

static ssize_t receive(const struct blocking *b, int64_t until, bool *late, int *flags)
{
    bool reset = false;

    for (;;) {
        struct iovec iov = { .iov_base = b->frame, .iov_len = IPC_FRAME_MAX };
        /* Without room for descriptors the kernel closes what came along, and says so. */
        struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
        ssize_t n = recvmsg(b->fd, &msg, MSG_CMSG_CLOEXEC);

        *flags = msg.msg_flags;
        if (n < 0 && errno == ECONNRESET && !reset) {
            /* Told once, before what was sent to us: the other side closed without reading our call, as who
               refuses does. Its words come next. */
            reset = true;
            continue;
        }
        if (n >= 0 || (errno != EAGAIN && errno != EINTR))
            return n;
        if (!wait_for(b, POLLIN, until)) {
            *late = true;
            return -1;
        }
    }
}

enum blocking_trouble blocking_next(struct blocking *b, struct ipc_in *in, struct err *err)
{
    bool late = false;
    int flags = 0;
    ssize_t n = receive(b, clock_mono_ms() + b->wait_ms, &late, &flags);

    if (late)
        return silent(b, err);
    if (n == 0 || (n < 0 && errno == ECONNRESET))
        return ended(b, err);
    if (n < 0) {
        err_sys(err, "read from %s", role_name(b->peer));
        return BLOCKING_BROKEN;
    }
    if ((flags & (MSG_TRUNC | MSG_CTRUNC)) || !ipc_decode(strv_make(b->frame, (size_t)n), 0, in, err)) {
        err_set(err, ERR_PROTO, "%s sent nonsense; is it of another version?", role_name(b->peer));
        return BLOCKING_BROKEN;
    }
    if (!ipc_permitted(in->schema, b->peer, ROLE_MTACTL)) {
        err_set(err, ERR_PROTO, "%s sent %s, which it may not", role_name(b->peer), in->schema->name);
        return BLOCKING_BROKEN;
    }
    return BLOCKING_OK;
}
