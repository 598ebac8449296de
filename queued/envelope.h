/* envelope.h - the envelope of a stored message as `key: value` lines (pure)
 *
 * No value can make a line: control bytes, DEL and % are written as %XX. A key that is not known is skipped,
 * so that an older version can read what a newer one wrote.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/mail/priority.h"

#define ENVELOPE_MAX (16u * 1024u * 1024u)

/* RFC 3461 NOTIFY bits; none set: the default, failure and delay */
enum {
    NOTIFY_NEVER = 1,
    NOTIFY_SUCCESS = 2,
    NOTIFY_FAILURE = 4,
    NOTIFY_DELAY = 8,
    NOTIFY_EXPANDED = 16, /* nobody: an alias whose members are the others; its sender is told so */
};

struct envelope_rcpt {
    struct strv to;       /* final recipient */
    struct strv original; /* as it was given in the transaction; empty: the same */
    struct strv orcpt;
    struct strv target; /* what of it: the user's own mailbox, a command, a file; empty: everything */
    struct strv also;   /* other addresses of the transaction that led to it, LF between two; "*": and more */
    uint64_t notify;
    bool local; /* into a mailbox of ours */
};

struct envelope {
    struct strv sender; /* empty: null reverse-path */
    uint64_t arrival;   /* wall ms */
    uint64_t stored;    /* wall ms when queued took it */
    uint64_t since;     /* wall ms from which its age counts, when it was requeued; 0: from its id's */
    struct strv sid, client, client_name, helo, protocol, login, origin, hold, envid;
    struct strv edited; /* by an operator: when, who, what */
    uint64_t body_type, priority, ret;
    uint64_t forwards; /* 1 + how often it may be sent on further, all ways together; 0: it never was */
    bool big; /* the body is in big/ID */
    uint64_t big_size;
    uint32_t big_crc;            /* crc32c of it */
    struct envelope_rcpt *rcpts; /* owned array; kept for reuse by envelope_reset */
    size_t rcpt_n, rcpt_cap;
    char *text; /* owned: what the views of a parsed envelope point to */
    size_t text_cap;
};

void envelope_init(struct envelope *e);
void envelope_reset(struct envelope *e); /* empty, memory kept */
void envelope_clear(struct envelope *e);
struct envelope_rcpt *
envelope_add(struct envelope *e); /* a new recipient, zeroed; valid until the next one */

/* Everything but recipients; recipient lines; the end. Appended in this order they make the text. */
void envelope_print_head(const struct envelope *e, struct buf *out);
void envelope_print_rcpt(const struct envelope_rcpt *r, struct buf *out);
void envelope_print_end(struct buf *out);
void envelope_print(const struct envelope *e, struct buf *out);

/* The views point into memory of e until it is reset, cleared or parsed again. */
bool envelope_parse(struct strv text, struct envelope *e, struct err *err)
    __attribute__((warn_unused_result));

/* %XX for bytes that could end a line or a word; shared with the journal, where blanks are such bytes. */
void envelope_escape(struct strv value, bool blanks, struct buf *out);
/* In place; false for a % without two hex digits. */
bool envelope_unescape(char *p, size_t *n);
