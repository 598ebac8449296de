/* stream_tls.c - how a connection becomes TLS, and how that ends */
#include "common/net/stream_inner.h"

#include <errno.h>

/* Bytes that came before the handshake came in the clear from anybody (INCIDENTS 6). */
static bool has_input(const struct stream *s)
{
    return s->shared_n > 0 || s->in.len > s->in_at;
}

bool stream_start_tls(struct stream *s, struct tls_context *c, const char *name)
{
    struct err err = { 0 };

    if (s->state != STREAM_OPEN || s->tls || s->eof || s->send_dead || has_input(s))
        return false;
    s->tls = tls_new(c, s->fd, name, &err);
    if (!s->tls)
        return false;
    s->secure = SECURE_WAITING;
    s->want_input = false;
    loop_later(s->loop, &s->task);
    return true;
}

static void secured(struct stream *s)
{
    s->secure = SECURE_UP;
    loop_io_set(&s->io, LOOP_READ);
    /* What the client sent right behind its last handshake message lies in the library. */
    loop_later(s->loop, &s->task);
    if (s->ops->secured)
        s->ops->secured(s->arg, s);
}

void stream_shake(struct stream *s)
{
    bool writing = false;

    if (s->state != STREAM_OPEN)
        return;
    s->secure = SECURE_SHAKING;
    switch (tls_handshake(s->tls, &writing)) {
    case TRANSFER_DONE: secured(s); break;
    case TRANSFER_WAIT: loop_io_set(&s->io, writing ? LOOP_WRITE : LOOP_READ); break;
    case TRANSFER_EOF:
    case TRANSFER_ERROR: stream_end_later(s, STREAM_ERROR, errno); break;
    }
}

void stream_tls_end(struct stream *s, bool good)
{
    if (!s->tls)
        return;
    tls_free(&s->tls, good);
    s->secure = SECURE_NOT;
}

bool stream_is_secure(const struct stream *s)
{
    return s->secure == SECURE_UP;
}

bool stream_tls_info(const struct stream *s, struct tls_info *out)
{
    if (s->secure != SECURE_UP)
        return false;
    tls_describe(s->tls, out);
    return true;
}

const char *stream_tls_why(const struct stream *s)
{
    return s->tls ? tls_why(s->tls) : "";
}
