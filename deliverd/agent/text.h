/* text.h - a message as a mailbox file: canonical CRLF lines in, LF lines out, buffered */
#pragma once

#include <stdint.h>

#include "common/base/strv.h"

#define TEXT_BUFFER (64u * 1024u)

struct text {
    int fd;                     /* borrowed */
    bool cr;                    /* the last byte was a CR that waits for what follows */
    bool quote;                 /* for an mbox file: lines that look like a From_ line get a ">" */
    bool line_start;            /* of quote: only ">" was seen on this line */
    unsigned match;             /* of quote: bytes of "From " that wait */
    size_t n;                   /* bytes that wait in data */
    uint64_t written;           /* bytes of the file, those that wait included */
    char data[TEXT_BUFFER];
};

void text_init(struct text *t, int fd);
/* From here on text_message makes `>From ` of `From ` at the start of a line, behind any number of `>`: the
   rule of mboxrd, which a reader can undo. */
void text_quote(struct text *t);
/* As it is: for our own lines. All three: false with errno, and the file is worth nothing any more. */
bool text_raw(struct text *t, struct strv bytes) __attribute__((warn_unused_result));
/* Each CRLF becomes LF, wherever pieces are cut; a CR alone stays. */
bool text_message(struct text *t, struct strv bytes) __attribute__((warn_unused_result));
/* The message is over: everything goes to the file. */
bool text_end(struct text *t) __attribute__((warn_unused_result));
