/* intake.h - a message as programs submit it, to canonical text: CRLF, no NUL, no mbox separator (streaming,
 * pure)
 *
 * Programs end lines with LF, some with CRLF. A CR that ends no line becomes a blank: bytes that other hosts
 * may take for the end of a line or of the data (RFC 5321 2.3.8) never get into the queue, and a progress bar
 * of a cron job stays one line. NUL becomes '?'. A first line as `From user Thu Jan  1 00:00:00 1970`, which
 * mailbox readers hand back, is dropped.
 */
#pragma once

#include "common/base/buf.h"

#define INTAKE_LEAD_MAX 256

struct intake {
    char lead[INTAKE_LEAD_MAX]; /* the first line until it is known what it is */
    size_t lead_n;
    bool begun;    /* the first line was judged */
    bool cr;       /* the last byte was a CR */
    bool in_line;  /* the last line has no end yet */
    bool has_8bit; /* a byte over 127 was seen */
};

void intake_init(struct intake *t);
/* Appends up to two bytes for each of in (and of what was held back). */
void intake_feed(struct intake *t, struct strv in, struct buf *out);
/* The message is over: a last line without an end gets one. */
void intake_end(struct intake *t, struct buf *out);
