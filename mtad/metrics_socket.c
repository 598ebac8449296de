/* metrics_socket.c - ctl/metrics.sock: OpenMetrics text for who connects
 *
 * A client that sends `GET ` is answered as HTTP, so that a collector needs nothing in between; any other
 * line, the end of its data, or a second of silence is answered with the text alone. Nothing of what it sends
 * is looked at but these four bytes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/mem.h"
#include "common/os/fd.h"
#include "mtad/metrics.h"

#define CLIENTS_MAX 8u
#define SILENCE_MS  1000
#define WRITE_MS    10000
#define REQUEST_MAX 16384u
#define OUT_MAX     (16u << 20)

static const char http_head[] = "HTTP/1.0 200 OK\r\n"
                                "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"
                                "Connection: close\r\n\r\n";

struct reader {
    struct host *host;
    int fd; /* owned */
    struct loop_io io;
    struct loop_timer limit;
    char head[4];
    size_t head_n, read_n;
    bool line, asked; /* a byte that is no line end stands in the present line; the numbers were asked for */
    struct buf out;
    size_t sent;
};

static struct {
    struct host *host;
    int fd;
    struct loop_io io;
    struct loop_timer rest;
    unsigned n;
} sock = { .fd = -1 };

static void reader_free(struct reader *r)
{
    metrics_unwatch(r);
    loop_timer_stop(&r->limit);
    loop_io_clear(&r->io);
    fd_close(&r->fd);
    buf_clear(&r->out);
    free(r);
    sock.n--;
    loop_io_set(&sock.io, LOOP_READ);
}

/* ---- the answer ---- */

static void reader_write(struct reader *r)
{
    struct strv rest = strv_from(buf_view(&r->out), r->sent);
    ssize_t n = send(r->fd, rest.p, rest.n, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (n > 0)
        r->sent += (size_t)n;
    if (r->sent == r->out.len || (n < 0 && errno != EAGAIN && errno != EINTR))
        reader_free(r);
    else
        loop_io_set(&r->io, LOOP_WRITE);
}

static void on_text(void *arg, struct strv text)
{
    struct reader *r = arg;

    if (r->head_n == 4 && memcmp(r->head, "GET ", 4) == 0)
        buf_adds(&r->out, http_head);
    buf_addv(&r->out, text);
    loop_timer_set(&r->limit, WRITE_MS);
    reader_write(r);
}

static void answer(struct reader *r)
{
    if (r->asked)
        return;
    r->asked = true;
    loop_io_set(&r->io, 0);
    loop_timer_set(&r->limit, WRITE_MS);
    metrics_collect(r->host, on_text, r);
}

static void on_limit(void *arg)
{
    struct reader *r = arg;

    if (r->asked)
        reader_free(r); /* it does not read */
    else
        answer(r);
}

/* ---- the question ---- */

/* True at the end of the question: an empty line of HTTP, a line of anything else. */
static bool question_take(struct reader *r, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (r->head_n < sizeof r->head)
            r->head[r->head_n++] = bytes[i];
        if (bytes[i] == '\n' && (!r->line || memcmp(r->head, "GET ", sizeof r->head) != 0))
            return true;
        if (bytes[i] == '\n')
            r->line = false;
        else if (bytes[i] != '\r')
            r->line = true;
    }
    r->read_n += n;
    return r->read_n > REQUEST_MAX;
}

static void on_reader(void *arg, int events)
{
    struct reader *r = arg;
    char bytes[1024];
    ssize_t n;

    if (events & LOOP_WRITE) {
        reader_write(r);
        return;
    }
    n = recv(r->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0)
        reader_free(r);
    else if (n == 0 || question_take(r, bytes, (size_t)n))
        answer(r);
}

static void on_client(void *arg, int events)
{
    int fd = accept4(sock.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct reader *r;

    (void)arg;
    (void)events;
    if (fd < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
        loop_io_set(&sock.io, 0); /* no descriptors left: we do not spin */
        loop_timer_set(&sock.rest, SILENCE_MS);
    }
    if (fd < 0)
        return;
    r = mem_new(sizeof *r);
    r->host = sock.host;
    r->fd = fd;
    buf_init(&r->out, OUT_MAX);
    loop_timer_init(&r->limit, r->host->loop, on_limit, r);
    loop_timer_set(&r->limit, SILENCE_MS);
    loop_io_init(&r->io, r->host->loop, fd, on_reader, r);
    loop_io_set(&r->io, LOOP_READ);
    /* Further ones wait in the kernel's queue until one of these is gone, which takes seconds at most. */
    if (++sock.n == CLIENTS_MAX)
        loop_io_set(&sock.io, 0);
}

static void on_rested(void *arg)
{
    (void)arg;
    loop_io_set(&sock.io, sock.n < CLIENTS_MAX ? LOOP_READ : 0);
}

void metrics_socket_watch(struct host *h, int fd)
{
    sock.host = h;
    sock.fd = fd;
    loop_timer_init(&sock.rest, h->loop, on_rested, NULL);
    loop_io_init(&sock.io, h->loop, fd, on_client, NULL);
    loop_io_set(&sock.io, LOOP_READ);
}
