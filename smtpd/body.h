/* body.h - the data of one message on their way in: dot decoding, faults, chunks (pure) */
#pragma once

#include "common/mail/dot.h"

/* Bytes gathered before they travel: a message up to this size is one frame together with its commit. */
#define BODY_CHUNK 61440u

enum body_step {
    BODY_MORE, /* all input is used */
    BODY_FULL, /* data holds a chunk: send it, buf_reset, feed on */
    BODY_END,  /* CRLF.CRLF was seen; data holds the rest */
};

struct body {
    struct dot_decoder dot;
    struct buf data; /* decoded, not sent yet */
    bool discard;    /* the message is lost already: read to its end, keep nothing */
};

void body_begin(struct body *b);
void body_clear(struct body *b);
void body_discard(struct body *b);
/* Results over a whole message do not depend on how the input was cut. */
enum body_step body_feed(struct body *b, struct strv in, size_t *used);
/* Bytes of the message so far, kept or not. */
uint64_t body_size(const struct body *b);
