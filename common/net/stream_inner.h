/* stream_inner.h - what the parts of a connection share; nobody else includes it */
#pragma once

#include "common/net/loop.h"
#include "common/net/stream.h"
#include "common/net/tls_inner.h"

enum stream_state {
    STREAM_CONNECTING,
    STREAM_OPEN,
    STREAM_CLOSING, /* nobody listens to us any more: output, then linger */
    STREAM_LINGERING,
    STREAM_OVER, /* ended was called or is about to be; stream_free follows */
    STREAM_FREED,
};

/* Between stream_start_tls and the end of the handshake nothing is read or written but TLS's own. */
enum stream_secure {
    SECURE_NOT,
    SECURE_WAITING, /* earlier output leaves first, in the clear */
    SECURE_SHAKING,
    SECURE_UP,
};

struct stream {
    struct loop *loop;
    struct loop_io io;
    struct loop_timer timer;
    struct loop_task task;
    const struct stream_ops *ops;
    void *arg;
    void (*closed)(void *arg); /* may be NULL */
    void *closed_arg;
    int fd;
    enum stream_state state;
    bool paused;
    bool inside;     /* in the input callback: the view may lie in the shared buffer */
    bool eof;        /* the peer sent its last byte */
    bool want_input; /* resumed: call input from the task */
    bool send_dead;  /* a write failed; what the peer said before is still read */
    bool had_output; /* for drained */
    bool ending;     /* the task calls ended with how and sys */
    enum stream_end how;
    int sys;
    const char *shared; /* unconsumed input in the shared buffer, during input only */
    size_t shared_n;
    struct buf in; /* what was left over; in_at bytes of it are consumed */
    size_t in_at;
    size_t in_max;
    struct buf out; /* out_at bytes of it are sent */
    size_t out_at;
    uint64_t bytes_in, bytes_out;
    size_t lingered;
    struct netaddr peer;
    struct tls *tls; /* owned; NULL: plain */
    enum stream_secure secure;
};

static inline enum transfer stream_recv(struct stream *s, void *p, size_t n, size_t *done)
{
    return s->tls ? tls_read(s->tls, p, n, done) : transport_read(s->fd, p, n, done);
}

static inline enum transfer stream_send(struct stream *s, const void *p, size_t n, size_t *done)
{
    return s->secure == SECURE_UP ? tls_write(s->tls, p, n, done) : transport_write(s->fd, p, n, done);
}

/* Bytes of the peer belong to the stream's owner now. */
static inline bool stream_is_readable(const struct stream *s)
{
    return s->secure == SECURE_NOT || s->secure == SECURE_UP;
}

/* ended runs from the task only, so that no function of ours calls back into its caller. */
void stream_end_later(struct stream *s, enum stream_end how, int sys);
/* The handshake goes on: earlier output is gone, or the socket is ready. */
void stream_shake(struct stream *s);
/* Frees the session; good: says goodbye first. */
void stream_tls_end(struct stream *s, bool good);
