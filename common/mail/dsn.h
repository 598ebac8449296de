/* dsn.h - composer of delivery status notifications (RFC 3461, 3462, 3464); pure: facts in, message out */
#pragma once

#include "common/base/buf.h"
#include "common/mail/dsn_text.h"
#include "common/mail/status.h"

enum dsn_action { DSN_FAILED, DSN_DELAYED, DSN_DELIVERED, DSN_RELAYED, DSN_EXPANDED };

struct dsn_rcpt {
    struct strv rcpt;           /* final recipient, written form without brackets */
    struct strv orcpt;          /* original recipient with its type, "rfc822;a@b"; empty: none known */
    enum dsn_action action;
    struct status status;
    struct strv remote_mta;     /* host name of the server that answered; empty: none */
    struct strv diagnostic;     /* its reply, "550 5.1.1 text / more" or with '\n'; empty: none */
    struct strv reason;         /* our own words when there is no reply ("connection lost after RCPT TO") */
    int64_t last_attempt_ms;    /* wall; 0: none */
    int64_t retry_until_ms;     /* of DSN_DELAYED; 0: none */
};

struct dsn {
    struct strv hostname;       /* ours: Reporting-MTA, From, Message-ID */
    struct strv to;             /* the reverse-path that gets the notice, without brackets */
    struct strv notice_id;      /* identity of the notice: Message-ID, boundary */
    struct strv original_id;    /* our id of the message it is about */
    struct strv envid;          /* ENVID, decoded; empty: none */
    int64_t arrival_ms;         /* wall */
    int64_t now_ms;
    const struct dsn_rcpt *rcpts;
    size_t rcpt_count;          /* > 0 */
    struct strv header;         /* the message's header block, each line with CRLF */
    struct strv body;           /* its body when full; p NULL: only the header is returned */
    const struct dsn_texts *texts;
    struct strv postmaster;     /* an address; empty: postmaster@hostname */
    int64_t expire_s;           /* how long delivery is tried; 0: not known */
    bool is_double;             /* about a notice, to the postmaster */
};

/* Appends the whole message (header, empty line, body; CRLF lines). The boundary is chosen so that it does
   not occur in header or body. Every foreign text is sanitised and folded. The kind of notice (subject,
   text) follows from the actions: failed outranks delayed outranks success. Text that is not ASCII is sent
   quoted-printable: what the next hop takes is known to nobody yet. *has_8bit: the returned content
   holds bytes over 127, the part is labelled 8bit and the notice needs BODY=8BITMIME. Re-encoding is no way
   out: RFC 2046 5.2.1 forbids an encoding on message/rfc822, and mail that came in by 8BITMIME goes back
   where 8BITMIME is spoken almost always. NUL bytes in the content are written as '?'. What
   outgrows the limit of out, or of a text, with the templates of a file is composed with the built-in ones;
   false when that is too long, too. */
bool dsn_compose(const struct dsn *d, struct buf *out, bool *has_8bit) __attribute__((warn_unused_result));

/* The same in pieces, for a body that is not in memory: all before it, and all behind it. d->body is empty,
   not NULL. The boundary must be one that nobody could know when the body was written. The content counts as
   8bit: what it holds is not known yet, and 7bit is 8bit. NUL bytes of the body are the caller's to replace.
   */
#define DSN_BOUNDARY 64
bool dsn_begin(const struct dsn *d, const char *boundary, struct buf *out)
    __attribute__((warn_unused_result));
void dsn_end(const char *boundary, struct buf *out);

const char *dsn_action_name(enum dsn_action action);    /* "failed", ... */
/* Failed outranks delayed outranks the rest: what the sender must act on. */
enum dsn_action dsn_action(const struct dsn *d);
