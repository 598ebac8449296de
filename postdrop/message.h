/* message.h - the message on standard input: where it ends, and its header for -t (pure) */
#pragma once

#include "common/base/buf.h"
#include "common/mail/header.h"
#include "common/mail/intake.h"

/* Without -i a line with a dot alone ends the message. */
struct dots {
    enum { DOTS_START, DOTS_DOT, DOTS_DOT_CR, DOTS_LINE, DOTS_END } state;
};

/* Appends what of in belongs to the message; true once it has ended. Call dots_flush at the end of the input.
 */
bool dots_feed(struct dots *d, struct strv in, struct buf *out);
void dots_flush(struct dots *d, struct buf *out);

/* Collects the header block in canonical form. */
struct head_reader {
    struct intake intake;
    struct header_scan scan;
    struct buf text;
    bool done, failed; /* failed: larger than any header may be */
};

void head_reader_init(struct head_reader *h);
void head_reader_clear(struct head_reader *h);
void head_reader_feed(struct head_reader *h, struct strv in);
void head_reader_end(struct head_reader *h);                /* the message is over */
struct strv head_reader_block(const struct head_reader *h); /* when done */
