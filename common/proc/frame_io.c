/* frame_io.c - single frames over a socketpair without a loop */
#include "common/proc/frame_io.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "common/os/fd.h"

union control {
    struct cmsghdr align;
    char space[CMSG_SPACE(sizeof(int) * IPC_FDS_MAX)];
};

static unsigned fds_take(struct msghdr *msg, int fds[IPC_FDS_MAX])
{
    unsigned n = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (n < IPC_FDS_MAX)
                fds[n++] = fd;
            else
                fd_close(&fd);
        }
    }
    return n;
}

static ssize_t recv_wait(int fd, struct msghdr *msg)
{
    for (;;) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        ssize_t n = recvmsg(fd, msg, MSG_CMSG_CLOEXEC);

        if (n >= 0 || (errno != EINTR && errno != EAGAIN))
            return n;
        if (errno == EAGAIN)
            poll(&p, 1, -1);
    }
}

int frame_io_recv(int fd, char *buf, enum role self, enum role peer, struct ipc_in *in, struct err *err)
{
    union control control;
    struct iovec iov = { .iov_base = buf, .iov_len = IPC_FRAME_MAX };
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
    };
    int fds[IPC_FDS_MAX];
    unsigned fd_count;
    ssize_t n;
    bool ok;

    memset(in, 0, sizeof *in);
    n = recv_wait(fd, &msg);
    if (n <= 0) {
        if (n == 0 || errno == ECONNRESET)
            return 0;
        err_sys(err, "read from the other end");
        return -1;
    }
    fd_count = fds_take(&msg, fds);
    ok = !(msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || err_set(err, ERR_PROTO, "a frame was cut");
    ok = ok && ipc_decode(strv_make(buf, (size_t)n), fd_count, in, err);
    if (ok && !ipc_permitted(in->schema, peer, self))
        ok = err_set(err, ERR_PROTO, "%s may not send %s", role_name(peer), in->schema->name);
    memcpy(in->fds, fds, sizeof fds);
    in->fd_count = fd_count;
    if (ok)
        return 1;
    frame_io_drop(in);
    return -1;
}

void frame_io_drop(struct ipc_in *in)
{
    for (unsigned i = 0; i < in->fd_count; i++)
        fd_close(&in->fds[i]);
    in->fd_count = 0;
}

bool frame_io_send(int fd, struct ipc_out *o, struct err *err)
{
    union control control;
    struct iovec iov;
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
    ssize_t n;

    if (!ipc_finish(o, err))
        return false;
    iov = (struct iovec){ .iov_base = o->bytes.data, .iov_len = o->bytes.len };
    if (o->fd_count > 0) {
        struct cmsghdr *c;

        memset(&control, 0, sizeof control);
        msg.msg_control = &control;
        msg.msg_controllen = CMSG_SPACE(sizeof(int) * o->fd_count);
        c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * o->fd_count);
        memcpy(CMSG_DATA(c), o->fds, sizeof(int) * o->fd_count);
    }
    do {
        n = sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        err_sys(err, "send %s", o->schema->name);
    ipc_out_clear(o);
    return n >= 0;
}
