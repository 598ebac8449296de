/* replies.h - every reply that smtpd makes itself: one table, listed in docs/REPLIES.md */
#pragma once

#include "common/base/buf.h"

/* clang-format off */
enum reply_id {
    /* the way of a message */
    RE_GREETING, RE_HELO, RE_OK, RE_SENDER_OK, RE_SENDER_LOWERED, RE_RCPT_OK, RE_DATA_GO, RE_QUEUED,
    RE_BYE, RE_VRFY, RE_TLS_GO, RE_AUTH_OK,
    /* syntax and order */
    RE_UNKNOWN, RE_SYNTAX, RE_BARE_LF, RE_BARE_CR, RE_LINE_LONG, RE_LINE_NUL, RE_LINE_FLOOD,
    RE_NOT_IMPLEMENTED, RE_HTTP, RE_BDAT, RE_HELO_SYNTAX, RE_ARGUMENT, RE_NO_ARGUMENT, RE_NEED_HELO,
    RE_NESTED_MAIL, RE_NEED_MAIL, RE_NEED_RCPT, RE_NO_RCPT, RE_BAD_SENDER, RE_BAD_RCPT, RE_BAD_PARAM,
    RE_UNKNOWN_PARAM, RE_SYNC, RE_EARLY, RE_TLS_TWICE, RE_NEED_TLS,
    RE_AUTH_NEEDS_TLS, RE_AUTH_TWICE, RE_AUTH_MECHANISM, RE_AUTH_SYNTAX, RE_AUTH_CANCELLED,
    /* policy and limits */
    RE_AUTH_FAILED, RE_AUTH_TEMPORARY, RE_NEED_AUTH, RE_NOT_YOUR_SENDER,
    RE_RELAY_DENIED, RE_TOO_BIG, RE_TOO_MANY_RCPT, RE_BARE_DATA, RE_NUL_DATA, RE_TOO_MANY_ERRORS,
    RE_TOO_MANY_COMMANDS, RE_IDLE_COMMANDS, RE_TIMEOUT, RE_TOO_SLOW, RE_SESSION_TIME, RE_BUSY, RE_BUSY_CLIENT,
    /* trouble of ours */
    RE_TEMPORARY, RE_SHUTDOWN, RE_NOT_HERE,
    RE__COUNT
};
/* clang-format on */

struct reply_def {
    const char *name; /* the rule in log lines about refusals that no configuration caused */
    int code;
    const char *enhanced; /* NULL: none (greeting, HELO, EHLO and 354: RFC 2034 4) */
    const char *text;     /* '%' stands for the detail */
    const char *when;     /* for docs/REPLIES.md */
};

extern const struct reply_def reply_table[RE__COUNT];

/* Appends the reply; detail (foreign text is fine: the formatter makes it harmless) replaces '%'. */
void reply_put(struct buf *out, enum reply_id id, struct strv detail);

/* The generated part of docs/REPLIES.md. */
void replies_document(struct buf *out);
