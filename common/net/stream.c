/* stream.c - one connection: input read ahead within a bound, output sent once per iteration, one deadline

   An idle connection holds no buffers: bytes are read into memory of the process and copied to the
   connection's own only when the reader leaves some (measured: 0.3 KiB instead of 1.25 KiB with
   bufferevents). */
#include "common/net/stream_inner.h"

#include "common/base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_MAX      65536u /* bytes of one read: other connections want their turn */
#define INPUT_DEFAULT 65536u
#define OUTPUT_MAX    (8u * 1024u * 1024u) /* a peer that does not read its answers ends here */
#define INPUT_JOIN    (READ_MAX / 4)       /* leftovers up to this are read on in the shared memory */
#define OUTPUT_KEEP   1024u                /* output memory that an idle connection keeps */
/* After our last words we read on so that the close is no reset, which could destroy these words on their
   way; not for ever, and not without end. */
#define LINGER_BYTES (4u * 1024u * 1024u)

/* One thread reads, one connection at a time. */
static char read_shared[READ_MAX];

/* ---- ending ---- */

static void stream_destroy(void *obj)
{
    struct stream *s = obj;

    buf_clear(&s->in);
    buf_clear(&s->out);
    free(s);
}

static void stream_release(struct stream *s)
{
    if (s->state == STREAM_FREED)
        return;
    s->state = STREAM_FREED;
    loop_later_cancel(s->loop, &s->task);
    loop_timer_stop(&s->timer);
    loop_io_clear(&s->io);
    stream_tls_end(s, !s->send_dead);
    close(s->fd);
    s->fd = -1;
    loop_reap(s->loop, stream_destroy, s);
    if (s->closed)
        s->closed(s->closed_arg);
}

void stream_end_later(struct stream *s, enum stream_end how, int sys)
{
    if (s->state == STREAM_CLOSING || s->state == STREAM_LINGERING) {
        stream_release(s);
        return;
    }
    if (s->state == STREAM_OVER || s->state == STREAM_FREED)
        return;
    s->state = STREAM_OVER;
    s->how = how;
    s->sys = sys;
    s->ending = true;
    loop_io_set(&s->io, 0);
    loop_timer_stop(&s->timer);
    loop_later(s->loop, &s->task);
}

/* ---- input ---- */

static size_t input_pending(const struct stream *s)
{
    return s->in.len - s->in_at;
}

static bool input_is_wanted(const struct stream *s)
{
    return !s->eof && !s->paused && input_pending(s) < s->in_max;
}

/* What should be watched now. Pausing leaves the registration until the socket really has something: most
   pauses are over before, and cost no system call. */
static void stream_watch(struct stream *s, bool readable_now)
{
    int events = s->io.events & LOOP_READ;
    bool want = s->state == STREAM_OPEN && stream_is_readable(s) && input_is_wanted(s);

    if (s->secure == SECURE_SHAKING)
        return;

    if (want || s->state == STREAM_LINGERING)
        events = LOOP_READ;
    else if (readable_now || s->state != STREAM_OPEN || s->eof)
        events = 0;
    if (s->out.len > s->out_at && s->io.events & LOOP_WRITE)
        events |= LOOP_WRITE;
    if (want && s->tls && tls_read_wants_write(s->tls))
        events |= LOOP_WRITE;
    if (s->state != STREAM_OVER && s->state != STREAM_FREED)
        loop_io_set(&s->io, events);
}

/* Keeps what the reader left. Only here bytes of the input move, so views stay good during a callback. */
static void input_settle(struct stream *s)
{
    if (s->in_at == s->in.len)
        buf_clear(&s->in);
    else
        buf_drop(&s->in, s->in_at);
    s->in_at = 0;
    if (s->shared_n)
        buf_add(&s->in, s->shared, s->shared_n);
    s->shared = NULL;
    s->shared_n = 0;
}

static void input_call(struct stream *s)
{
    s->inside = true;
    s->ops->input(s->arg, s);
    s->inside = false;
    if (s->state == STREAM_FREED || s->state == STREAM_CLOSING || s->state == STREAM_LINGERING)
        return;
    input_settle(s);
}

/* The end of input is told when the reader has had its chance with every byte before it, and the answers have
   left: who hears of the end frees the stream. */
static void input_end_if_due(struct stream *s)
{
    if (s->state != STREAM_OPEN || !s->eof || s->paused || s->want_input)
        return;
    if (s->out.len > s->out_at && !s->send_dead && buf_ok(&s->out)) {
        if (!(s->io.events & LOOP_WRITE))
            loop_later(s->loop, &s->task);
        return;
    }
    stream_end_later(s, s->send_dead ? STREAM_ERROR : STREAM_EOF, s->send_dead ? s->sys : 0);
}

/* Reads once. Small leftovers join the new bytes in the shared memory, so that a slow line does not hold a
   large buffer. */
static enum transfer input_fill(struct stream *s, size_t *n)
{
    size_t pending = input_pending(s), room = s->in_max - pending;
    enum transfer t;
    char *p;

    if (pending <= INPUT_JOIN) {
        if (room > READ_MAX - pending)
            room = READ_MAX - pending;
        t = stream_recv(s, read_shared + pending, room, n);
        if (t != TRANSFER_DONE)
            return t;
        if (pending)
            memcpy(read_shared, s->in.data + s->in_at, pending);
        buf_clear(&s->in);
        s->in_at = 0;
        s->shared = read_shared;
        s->shared_n = pending + *n;
        return t;
    }
    input_settle(s);
    if (room > READ_MAX)
        room = READ_MAX;
    p = buf_reserve(&s->in, room);
    t = stream_recv(s, p, room, n);
    if (t == TRANSFER_DONE)
        buf_commit(&s->in, *n);
    return t;
}

static void input_read(struct stream *s)
{
    size_t n = 0;

    switch (input_fill(s, &n)) {
    case TRANSFER_DONE:
        s->bytes_in += n;
        input_call(s);
        if (s->state == STREAM_OPEN && s->tls && tls_has_more(s->tls))
            loop_later(s->loop, &s->task);
        break;
    case TRANSFER_WAIT: break;
    case TRANSFER_EOF:
        s->eof = true;
        input_end_if_due(s);
        break;
    case TRANSFER_ERROR: stream_end_later(s, STREAM_ERROR, s->send_dead ? s->sys : errno); break;
    }
}

/* ---- output ---- */

static void output_sent_all(struct stream *s)
{
    if (s->out.cap > OUTPUT_KEEP)
        buf_clear(&s->out);
    else
        buf_reset(&s->out);
    s->out_at = 0;
}

static void linger_begin(struct stream *s)
{
    s->state = STREAM_LINGERING;
    stream_tls_end(s, true);
    buf_clear(&s->in);
    buf_clear(&s->out);
    s->in_at = s->out_at = 0;
    if (s->eof || shutdown(s->fd, SHUT_WR) != 0) {
        stream_release(s);
        return;
    }
    stream_watch(s, false);
}

static void linger_read(struct stream *s)
{
    size_t n = 0;
    enum transfer t = transport_read(s->fd, read_shared, READ_MAX, &n);

    s->lingered += n;
    if (t == TRANSFER_EOF || t == TRANSFER_ERROR || s->lingered > LINGER_BYTES)
        stream_release(s);
}

/* The peer is gone, but a "421 too much mail from you" may lie unread in our socket: reading finds it, then
 * the end. */
static void output_failed(struct stream *s, int sys)
{
    output_sent_all(s);
    if (s->state != STREAM_OPEN || s->paused) {
        stream_end_later(s, STREAM_ERROR, sys);
        return;
    }
    s->send_dead = true;
    s->sys = sys;
    loop_io_set(&s->io, LOOP_READ);
}

/* Moving less than was sent since the last move keeps the cost of a long stream linear. */
static void output_compact(struct stream *s)
{
    if (s->out_at < s->out.len - s->out_at)
        return;
    buf_drop(&s->out, s->out_at);
    s->out_at = 0;
}

/* Sends what there is. False when the stream ended meanwhile. */
static bool output_send(struct stream *s)
{
    while (s->out.len > s->out_at) {
        size_t n = 0, left = s->out.len - s->out_at;
        enum transfer t = stream_send(s, s->out.data + s->out_at, left, &n);

        s->out_at += n;
        s->bytes_out += n;
        if (t == TRANSFER_ERROR) {
            output_failed(s, errno);
            return false;
        }
        if (t == TRANSFER_WAIT || n < left) {
            output_compact(s);
            loop_io_set(&s->io, s->io.events | LOOP_WRITE);
            return true;
        }
    }
    output_sent_all(s);
    if (s->io.events & LOOP_WRITE)
        loop_io_set(&s->io, s->io.events & LOOP_READ);
    return true;
}

static void output_flush(struct stream *s)
{
    if (s->state == STREAM_OPEN && !buf_ok(&s->out)) {
        stream_end_later(s, STREAM_OVERFLOW, 0);
        return;
    }
    if (s->send_dead)
        output_sent_all(s);
    if (s->secure == SECURE_SHAKING || s->send_dead || !output_send(s) || s->out.len > s->out_at)
        return;
    if (s->secure == SECURE_WAITING) {
        s->had_output = false;
        stream_shake(s);
        return;
    }
    if (s->state == STREAM_CLOSING) {
        linger_begin(s);
        return;
    }
    if (!s->had_output)
        return;
    s->had_output = false;
    if (s->ops->drained)
        s->ops->drained(s->arg, s);
}

/* ---- events ---- */

/* TLS: bytes that no readiness will be told for, and reading that had to wait for writing. */
static void input_more(struct stream *s)
{
    if (s->state == STREAM_OPEN && s->secure == SECURE_UP && input_is_wanted(s) &&
        (tls_has_more(s->tls) || tls_read_wants_write(s->tls)))
        input_read(s);
}

static void connect_finish(struct stream *s)
{
    int sys = transport_connected(s->fd);

    if (sys) {
        stream_end_later(s, STREAM_ERROR, sys);
        return;
    }
    s->state = STREAM_OPEN;
    loop_timer_stop(&s->timer);
    loop_io_set(&s->io, LOOP_READ);
    if (s->out.len)
        stream_flush(s);
    if (s->ops->connected)
        s->ops->connected(s->arg, s);
}

static void on_io(void *arg, int events)
{
    struct stream *s = arg;

    if (s->state == STREAM_CONNECTING) {
        connect_finish(s);
    } else if (s->secure == SECURE_SHAKING) {
        stream_shake(s);
    } else if (events & LOOP_WRITE) {
        output_flush(s);
        input_more(s);
        input_end_if_due(s);
    } else if (s->state == STREAM_LINGERING) {
        linger_read(s);
    } else if (s->state == STREAM_OPEN) {
        bool wanted = stream_is_readable(s) && !s->paused && input_pending(s) < s->in_max;

        if (wanted)
            input_read(s);
        if (s->state == STREAM_OPEN)
            stream_watch(s, !wanted);
    } else {
        loop_io_set(&s->io, s->io.events & LOOP_WRITE); /* closing: input waits for the linger */
    }
}

static void on_timer(void *arg)
{
    stream_end_later(arg, STREAM_TIMEOUT, ETIMEDOUT);
}

static void on_task(void *arg)
{
    struct stream *s = arg;

    if (s->ending) {
        s->ending = false;
        s->ops->ended(s->arg, s, s->how, s->sys);
        return;
    }
    if (s->want_input && s->state == STREAM_OPEN) {
        s->want_input = false;
        if (!s->paused && input_pending(s))
            input_call(s);
    }
    input_more(s);
    if (s->state == STREAM_OPEN) {
        if (s->in_at)
            input_settle(s);
        stream_watch(s, false);
    }
    if (s->state == STREAM_OPEN || s->state == STREAM_CLOSING)
        output_flush(s);
    input_end_if_due(s);
}

/* ---- life ---- */

static struct stream *stream_make(struct loop *l, int fd, const struct stream_ops *ops, void *arg)
{
    struct stream *s = mem_new(sizeof *s);

    s->loop = l;
    s->fd = fd;
    s->ops = ops;
    s->arg = arg;
    s->state = STREAM_OPEN;
    s->in_max = INPUT_DEFAULT;
    buf_init(&s->in, SIZE_MAX / 2); /* in_max is the bound */
    buf_init(&s->out, OUTPUT_MAX);
    s->task = (struct loop_task){ .fn = on_task, .arg = s };
    loop_timer_init(&s->timer, l, on_timer, s);
    loop_io_init(&s->io, l, fd, on_io, s);
    return s;
}

struct stream *stream_new(struct loop *l, int fd, const struct stream_ops *ops, void *arg)
{
    struct stream *s = stream_make(l, fd, ops, arg);

    transport_no_delay(fd);
    loop_io_set(&s->io, LOOP_READ);
    return s;
}

struct stream *stream_connect(struct loop *l, const struct netaddr *to, const struct netaddr *from,
                              int64_t timeout_ms, const struct stream_ops *ops, void *arg)
{
    struct stream *s;
    int fd = socket(to->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return NULL;
    s = stream_make(l, fd, ops, arg);
    s->state = STREAM_CONNECTING;
    s->peer = *to;
    if (!transport_connect(fd, to, from)) {
        stream_end_later(s, STREAM_ERROR, errno);
        return s;
    }
    loop_io_set(&s->io, LOOP_WRITE);
    loop_timer_set(&s->timer, timeout_ms);
    return s;
}

void stream_free(struct stream **sp)
{
    if (!*sp)
        return;
    stream_release(*sp);
    *sp = NULL;
}

void stream_close_after_output(struct stream **sp, int64_t ms)
{
    struct stream *s = *sp;

    if (!s)
        return;
    *sp = NULL;
    if (s->state != STREAM_OPEN || !stream_is_readable(s)) { /* in a handshake: last words would be plain */
        stream_release(s);
        return;
    }
    s->state = STREAM_CLOSING;
    loop_timer_set(&s->timer, ms);
    loop_later(s->loop, &s->task);
}

/* ---- input, for the owner ---- */

struct strv stream_input(const struct stream *s)
{
    if (s->shared)
        return (struct strv){ s->shared, s->shared_n };
    return (struct strv){ s->in.data ? s->in.data + s->in_at : "", input_pending(s) };
}

void stream_consume(struct stream *s, size_t n)
{
    if (s->shared) {
        n = n < s->shared_n ? n : s->shared_n;
        s->shared += n;
        s->shared_n -= n;
        return;
    }
    s->in_at += n < input_pending(s) ? n : input_pending(s);
    if (!s->inside && s->state == STREAM_OPEN)
        loop_later(s->loop, &s->task); /* memory goes back, reading goes on */
}

void stream_pause(struct stream *s)
{
    s->paused = true;
}

void stream_resume(struct stream *s)
{
    if (!s->paused)
        return;
    s->paused = false;
    if (s->state != STREAM_OPEN)
        return;
    s->want_input = true;
    loop_later(s->loop, &s->task);
}

void stream_set_input_max(struct stream *s, size_t max)
{
    s->in_max = max ? max : 1;
    if (s->state == STREAM_OPEN)
        loop_later(s->loop, &s->task);
}

/* ---- output, for the owner ---- */

void stream_flush(struct stream *s)
{
    if (s->state != STREAM_OPEN)
        return;
    s->had_output = true;
    if (!(s->io.events & LOOP_WRITE) || !buf_ok(&s->out))
        loop_later(s->loop, &s->task);
}

struct buf *stream_out(struct stream *s)
{
    return &s->out;
}

void stream_write(struct stream *s, const void *p, size_t n)
{
    buf_add(&s->out, p, n);
    stream_flush(s);
}

size_t stream_unsent(const struct stream *s)
{
    return s->out.len - s->out_at;
}
