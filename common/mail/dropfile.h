/* dropfile.h - the file that postdrop leaves in drop/: an envelope as `key: value` lines, an empty line, the
 * message
 *
 *     mansio-drop: 1
 *     sender: root
 *     rcpt: user@example.com
 *
 *     Subject: as it was submitted, with whatever line ends it has
 *
 * No value holds a control byte, so no value can end its line; nothing is escaped. sendmail writes the head,
 * postdrop reads and writes it again, cleanup reads it: each believes nothing of the one before.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/err.h"

#define DROP_HEAD_MAX    (1024u * 1024u)
#define DROP_RCPTS_MAX   5000u
#define DROP_VALUE_MAX   1024u
#define DROP_MESSAGE_MAX (50u * 1024u * 1024u)

struct drop_head {
    struct strv
        sender; /* without brackets; empty: the null reverse-path; may lack a domain, as recipients may */
    struct strv name; /* full name, for a From that is missing; may be empty */
    struct strv
        login; /* what the submitter says he is called, for the same; who he is tells the file's owner */
    struct strv envid;  /* RFC 3461; may be empty */
    uint64_t notify;    /* RFC 3461 NOTIFY bits as in the queue's envelope; 0: not said */
    uint64_t ret;       /* RFC 3461 RET: 1 full, 2 headers; 0: not said */
    struct strv warning; /* postdrop's, for X-Authentication-Warning; empty: none */
    uint64_t verbose;   /* 1: the submitter watches (postdrop/watch.h) */
    struct strv *rcpts; /* owned array; the texts are borrowed */
    size_t rcpt_n, rcpt_cap;
};

void drop_head_clear(struct drop_head *h);
void drop_head_rcpt(struct drop_head *h, struct strv rcpt); /* adds one */

/* The head with its empty line. False when a value must not stand in one: which, and why, is in err,
 * ERR_PERM. */
bool drop_head_print(const struct drop_head *h, struct buf *out, struct err *err)
    __attribute__((warn_unused_result));

/* False with ERR_OK (and nothing said) when text does not hold the whole head yet. Else *size is its length
   with the empty line, or err says what is wrong with it (ERR_PERM). The views point into text. *out must be
   zeroed or used before; clear it at the end. */
bool drop_head_parse(struct strv text, struct drop_head *out, size_t *size, struct err *err)
    __attribute__((warn_unused_result));
