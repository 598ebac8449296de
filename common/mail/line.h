/* line.h - the one line reader: a line ends in CRLF and in nothing else */
#pragma once

#include "common/base/strv.h"

enum line_result {
    LINE_NONE,          /* no whole line yet: read more */
    LINE_OK,
    LINE_TOO_LONG,      /* a line over max has ended and is swallowed: answer and go on */
    LINE_NUL,           /* a whole line with a NUL in it, swallowed: answer and go on */
    LINE_BARE_LF,       /* an LF without CR: smuggling or a broken peer. Answer, then close: */
    LINE_BARE_CR,       /* the peer's idea of where lines end is not ours */
    LINE_FLOOD,         /* LINE_SKIP_MAX bytes beyond max without an end: close */
};

#define LINE_SKIP_MAX 65536

struct line_reader {
    size_t max;         /* longest line, without CRLF */
    size_t scanned;     /* bytes of the input already looked at: a trickled line is scanned once */
    size_t skipped;     /* bytes of an overlong line already swallowed */
    bool skipping;
};

void line_init(struct line_reader *r, size_t max);

/* Looks for a line at the start of in, which is everything that the caller has read and not yet consumed.
   Always remove *consumed bytes from the front afterwards, whatever the result (LINE_NONE may swallow,
   too). *line is set for LINE_OK (without CRLF; borrowed from in, so use it before removing) and for
   LINE_BARE_* (what came before, for the log); empty otherwise. The results do not depend on how the bytes
   were cut into reads. */
enum line_result line_next(struct line_reader *r, struct strv in, struct strv *line, size_t *consumed);
