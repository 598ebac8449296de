/* loop_scan.h - was this message delivered to this address before? Looks for our Delivered-To */
#pragma once

#include "common/base/strv.h"

#define LOOP_LINE_MAX 2048u     /* of a logical line: an address has at most 1024 bytes */

struct loop_scan {
    struct strv rcpt;           /* borrowed */
    bool found;
    bool over;                  /* the header ended, or more than HEADER_SIZE_MAX of it was seen */
    bool inside;                /* in the middle of a physical line */
    bool cut;                   /* the logical line is longer than line */
    size_t seen;
    size_t n;
    char line[LOOP_LINE_MAX];   /* beginning of the logical line, folds included */
};

void loop_scan_init(struct loop_scan *s, struct strv rcpt);
/* The message from its first byte, cut anywhere. found is final once over is set, or after the end. */
void loop_scan_feed(struct loop_scan *s, struct strv bytes);
void loop_scan_end(struct loop_scan *s);
