/* transport.c - moving bytes of one connection without waiting: the place where TLS comes in */
#include "common/net/transport.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

enum transfer transport_read(int fd, void *p, size_t n, size_t *done)
{
    ssize_t r;

    do
        r = recv(fd, p, n, MSG_DONTWAIT);
    while (r < 0 && errno == EINTR);
    if (r > 0) {
        *done = (size_t)r;
        return TRANSFER_DONE;
    }
    if (r == 0)
        return TRANSFER_EOF;
    return errno == EAGAIN ? TRANSFER_WAIT : TRANSFER_ERROR;
}

enum transfer transport_write(int fd, const void *p, size_t n, size_t *done)
{
    ssize_t r;

    do
        r = send(fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (r < 0 && errno == EINTR);
    if (r >= 0) {
        *done = (size_t)r;
        return TRANSFER_DONE;
    }
    return errno == EAGAIN || errno == ENOBUFS ? TRANSFER_WAIT : TRANSFER_ERROR;
}

void transport_no_delay(int fd)
{
    int on = 1;

    /* A pipelined group is collected before it is sent; a Unix socket refuses this, which does not matter. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* Binds without choosing a port yet: else the ports of one source address run out at 28,000 connections, to
   all peers together instead of to each. */
static bool bind_from(int fd, const struct netaddr *from)
{
    struct sockaddr_storage ss;
    socklen_t n = netaddr_to_sockaddr(from, &ss);
    int on = 1;

    (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    return bind(fd, (struct sockaddr *)&ss, n) == 0;
}

int transport_from_error(const struct netaddr *from)
{
    int fd = socket(from->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int sys = fd < 0 || !bind_from(fd, from) ? errno : 0;

    if (fd >= 0)
        close(fd);
    return sys;
}

bool transport_connect(int fd, const struct netaddr *to, const struct netaddr *from)
{
    struct sockaddr_storage ss;
    socklen_t n = netaddr_to_sockaddr(to, &ss);

    transport_no_delay(fd);
    if (from && !bind_from(fd, from))
        return false;
    return connect(fd, (struct sockaddr *)&ss, n) == 0 || errno == EINPROGRESS;
}

int transport_connected(int fd)
{
    int sys = 0;
    socklen_t n = sizeof sys;

    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &sys, &n) == 0 ? sys : errno;
}
