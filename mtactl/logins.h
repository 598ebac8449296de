/* logins.h - the text of a credentials file: its entries, and the same text with one of them changed (pure)
 */
#pragma once

#include "common/base/buf.h"

/* One line, as the tables' text format reads it (maps/source.h): `login secret`; a line that begins with a
   blank continues the entry before it; comments and empty lines belong to nobody. */
struct login_line {
    struct strv raw;           /* with its end */
    unsigned number;           /* from 1 */
    bool entry;                /* begins one */
    bool more;                 /* continues one */
    struct strv login, secret; /* of an entry; borrowed; login without quotes */
};

struct logins {
    struct strv rest; /* borrowed */
    unsigned number;
};

void logins_init(struct logins *l, struct strv text);
bool logins_next(struct logins *l, struct login_line *out); /* false: the end */

/* "dad" with the realm is "dad@realm"; a login with one stays. False: no login that a client could give and
   a line could hold; *why says it. */
bool login_complete(struct strv given, struct strv realm, struct buf *out, const char **why);
/* Whether an entry is that account's: the completed login, or the bare one where the realm is ours. */
bool login_is(struct strv entry, struct strv completed, struct strv realm);

/* The text with that account's entries replaced by one line at the first one's place (at the end when there
   was none), or without them (secret.p NULL). The number of entries it had. */
unsigned logins_change(struct strv text, struct strv completed, struct strv realm, struct strv secret,
                       struct buf *out);
/* "crypt yescrypt", "scram", "locked", ... */
const char *login_kind(struct strv secret);
