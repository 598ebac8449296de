/* mailbox.h - addresses in header fields (RFC 5322 3.4 with its obsolete forms): To, Cc, Bcc, From, Sender */
#pragma once

#include "common/mail/address.h"

#define MAILBOX_NAME_MAX 1024           /* longer display names are cut; nobody routes by them */
#define MAILBOX_COMMENT_DEPTH 32        /* nested comments; deeper is an attack */

struct mailbox {
    struct address address;     /* owned */
    struct strv spec;           /* borrowed: the addr-spec as written, with comments, for rewriting */
    struct buf name;            /* owned: display name, unquoted, unfolded; encoded words untouched */
    struct strv group;          /* borrowed: raw name of the group it stands in; empty: none */
    bool had_route;             /* <@a,@b:c@d> */
};

enum mailbox_step { MAILBOX_END, MAILBOX_OK, MAILBOX_BAD };

struct mailbox_iter {
    struct strv value;          /* borrowed: the raw value of the field */
    size_t at;
    size_t last;                /* start of the element last returned, for messages */
    struct strv group;
    unsigned flags;
};

/* flags as address_parse; ADDRESS_LOCAL_OK for `To: root`. */
void mailbox_iter_init(struct mailbox_iter *it, struct strv value, unsigned flags);

/* The next mailbox. Empty elements and empty groups (`undisclosed-recipients:;`) are passed over.
   MAILBOX_BAD: this element is no address; *why tells the reason, and the next call goes on behind the next
   comma: the caller decides between refusing (sendmail -t) and ignoring. out must be zeroed or used before;
   clear it at the end. */
enum mailbox_step mailbox_next(struct mailbox_iter *it, struct mailbox *out, const char **why);

void mailbox_clear(struct mailbox *m);

/* Appends `"Display Name" <a@b>`, the name quoted when it must be; controls in it become blanks. */
void mailbox_format(struct strv name, const struct address *a, struct buf *out);
