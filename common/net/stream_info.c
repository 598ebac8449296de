/* stream_info.c - what a connection can tell about itself, and when */
#include "common/net/stream_inner.h"
#include "common/net/transport.h"

#include <sys/socket.h>

void stream_deadline(struct stream *s, int64_t ms)
{
    if (s->state != STREAM_OPEN && s->state != STREAM_CONNECTING)
        return;
    if (ms > 0)
        loop_timer_set(&s->timer, ms);
    else
        loop_timer_stop(&s->timer);
}

void stream_on_closed(struct stream *s, void (*fn)(void *arg), void *arg)
{
    s->closed = fn;
    s->closed_arg = arg;
}

int stream_from_error(const struct netaddr *from)
{
    return transport_from_error(from);
}

uint64_t stream_bytes_in(const struct stream *s)
{
    return s->bytes_in;
}

uint64_t stream_bytes_out(const struct stream *s)
{
    return s->bytes_out;
}

const struct netaddr *stream_peer(const struct stream *s)
{
    /* An accepted stream asks the kernel when somebody wants to know: most owners know from accept. */
    struct netaddr *peer = (struct netaddr *)&s->peer;
    struct sockaddr_storage ss;
    socklen_t n = sizeof ss;

    if (peer->family == AF_UNSPEC && getpeername(s->fd, (struct sockaddr *)&ss, &n) == 0)
        (void)netaddr_from_sockaddr((struct sockaddr *)&ss, n, peer);
    return peer;
}

bool stream_local(const struct stream *s, struct netaddr *out)
{
    struct sockaddr_storage ss;
    socklen_t n = sizeof ss;

    return getsockname(s->fd, (struct sockaddr *)&ss, &n) == 0 &&
           netaddr_from_sockaddr((struct sockaddr *)&ss, n, out);
}

int stream_fd(const struct stream *s)
{
    return s->fd;
}
