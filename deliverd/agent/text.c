/* text.c - a message as a mailbox file: canonical CRLF lines in, LF lines out, buffered */
#include "deliverd/agent/text.h"

#include <errno.h>
#include <string.h>

#include "common/os/fault.h"
#include "common/os/fd.h"

void text_init(struct text *t, int fd)
{
    t->fd = fd;
    t->cr = t->quote = t->line_start = false;
    t->match = 0;
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

void text_quote(struct text *t)
{
    t->quote = t->line_start = true;
    t->match = 0;
}

static const char from_word[] = "From ";

/* What waited turned out to be no From_ line. */
static bool match_release(struct text *t)
{
    unsigned n = t->match;

    t->match = 0;
    t->line_start = false;
    return n == 0 || put(t, from_word, n);
}

/* Quoting happens before the "F", wherever pieces are cut: of `>` and `>From ` it does not matter which `>`
   is the new one. A LF alone counts as the end of a line, as it does for who reads the file. */
static bool out(struct text *t, const char *p, size_t n)
{
    while (t->quote && n > 0) {
        const char *lf;
        size_t part = 1;

        if (!t->line_start) {
            lf = memchr(p, '\n', n);
            part = lf ? (size_t)(lf - p) + 1 : n;
            t->line_start = lf != NULL;
            if (!put(t, p, part))
                return false;
        } else if (*p == '>' && t->match == 0) {
            if (!put(t, p, 1))
                return false;
        } else if (*p != from_word[t->match]) {
            if (!match_release(t))
                return false;
            continue;
        } else if (++t->match == sizeof from_word - 1 && !(put(t, ">", 1) && match_release(t))) {
            return false;
        }
        p += part;
        n -= part;
    }
    return n == 0 || put(t, p, n);
}

bool text_message(struct text *t, struct strv bytes)
{
    const char *p = bytes.p;
    size_t n = bytes.n;

    if (t->cr && n > 0) {
        t->cr = false;
        if (*p != '\n' && !out(t, "\r", 1))
            return false;
    }
    while (n > 0) {
        const char *cr = memchr(p, '\r', n);
        size_t part = cr ? (size_t)(cr - p) : n;

        if (!out(t, p, part))
            return false;
        if (!cr)
            break;
        if (part + 1 == n) {
            t->cr = true;
            break;
        }
        if (cr[1] != '\n' && !out(t, "\r", 1))
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
        if (!out(t, "\r", 1))
            return false;
    }
    return match_release(t) && flush(t);
}
