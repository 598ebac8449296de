/* text.c - a message as a mailbox file: canonical CRLF lines in, LF lines out, buffered */
#include "deliverd/agent/text.h"

#include <errno.h>
#include <string.h>

#include "common/os/fault.h"
#include "common/os/fd.h"

void text_init(struct text *t, int fd)
{
    t->fd = fd;
    t->cr = false;
    t->n = 0;
    t->written = 0;
}

static bool flush(struct text *t)
{
    size_t n = t->n;

    t->n = 0;
    errno = FAULT_POINT("agent.file.write");
    return errno == 0 && (n == 0 || fd_write_full(t->fd, t->data, n));
}

static bool put(struct text *t, const char *p, size_t n)
{
    t->written += n;
    while (n > 0) {
        size_t room = sizeof t->data - t->n;
        size_t part = n < room ? n : room;

        memcpy(t->data + t->n, p, part);
        t->n += part;
        p += part;
        n -= part;
        if (t->n == sizeof t->data && !flush(t))
            return false;
    }
    return true;
}

bool text_raw(struct text *t, struct strv bytes)
{
    return put(t, bytes.p, bytes.n);
}

bool text_message(struct text *t, struct strv bytes)
{
    const char *p = bytes.p;
    size_t n = bytes.n;

    if (t->cr && n > 0) {
        t->cr = false;
        if (*p != '\n' && !put(t, "\r", 1))
            return false;
    }
    while (n > 0) {
        const char *cr = memchr(p, '\r', n);
        size_t part = cr ? (size_t)(cr - p) : n;

        if (!put(t, p, part))
            return false;
        if (!cr)
            break;
        if (part + 1 == n) {
            t->cr = true;
            break;
        }
        if (cr[1] != '\n' && !put(t, "\r", 1))
            return false;
        p = cr + 1;
        n -= part + 1;
    }
    return true;
}

bool text_end(struct text *t)
{
    if (t->cr) {
        t->cr = false;
        if (!put(t, "\r", 1))
            return false;
    }
    return flush(t);
}
