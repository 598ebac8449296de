/* reply.h - SMTP replies: the one formatter (server) and the one parser (client) */
#pragma once

#include "common/base/buf.h"
#include "common/mail/status.h"

#define REPLY_LINE_MAX 512              /* RFC 5321 4.5.3.1.5, with code and CRLF: what we send */
#define REPLY_LINE_READ_MAX 2048        /* what we take, without CRLF (line_init); some greet at length */
#define REPLY_LINES_MAX 100             /* of one reply; a longer one is a flood */
#define REPLY_BYTES_MAX (16 * 1024)     /* of one reply's text */

/* --- server side --- */

/* Appends a reply. text may hold several lines separated by '\n'; each gets the code and, when enhanced is
   not NULL, the enhanced status. Any byte that is not printable ASCII is written as '?', so foreign text in
   it can neither end a line nor begin one; long lines are cut into several at blanks. Empty text gives "250
   2.0.0". */
void reply_write(struct buf *out, int code, const char *enhanced, const char *text);

/* The same with a format. A '\n' in foreign text becomes a line break of the reply, nothing worse. */
void reply_writef(struct buf *out, int code, const char *enhanced, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* One reply from count lines, for EHLO: each line is sanitised and cut, none is broken in two. */
void reply_write_lines(struct buf *out, int code, const char *enhanced, const struct strv *lines,
                       size_t count);

/* --- client side --- */

enum reply_step {
    REPLY_MORE,                         /* a continuation line: feed the next */
    REPLY_DONE,
    REPLY_BAD,                          /* protocol error, see reply_error; close the channel */
};

struct reply {
    int code;                           /* 200..599 */
    struct status status;               /* of the first line that has one of the code's class; or none */
    size_t lines;
    struct buf text;                    /* owned: lines without code and separator, joined by '\n'; raw */
    bool done;
    char error[96];
};

void reply_init(struct reply *r);
void reply_reset(struct reply *r);      /* for the next reply; keeps the memory */
void reply_clear(struct reply *r);

/* Feeds one line without its CRLF (line.h). Errors: no three digits, a code outside 200..599, anything but
   '-', ' ' or the end behind the code, another code than that of the first line, NUL, CR or LF in the line,
   too many lines or bytes. Feeding after REPLY_DONE begins the next reply. */
enum reply_step reply_feed(struct reply *r, struct strv line);

/* "line 2: no code" once reply_feed said REPLY_BAD; "" otherwise. */
const char *reply_error(const struct reply *r);

/* The first line's text, enhanced status included; borrowed until the next feed, reset or clear. */
struct strv reply_first_line(const struct reply *r);

/* Appends "CODE text of line 1 / text of line 2": one line of printable ASCII (the rest as '?') for logs,
   notices and stored results. An enhanced status that every line repeats is written once. */
void reply_text_joined(const struct reply *r, struct buf *out);

/* 2, 3, 4 or 5; 0 before the first line. */
static inline int reply_class(const struct reply *r)
{
    return r->code / 100;
}
