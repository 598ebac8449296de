/* path.h - the arguments of MAIL FROM and RCPT TO (RFC 5321 4.1.2) */
#pragma once

#include "common/mail/address.h"

enum path_kind { PATH_REVERSE, PATH_FORWARD };

struct path {
    struct address address;     /* owned; ADDRESS_NULL for <> */
    bool had_route;             /* "@a,@b:" stood before the mailbox; dropped as RFC 5321 4.1.1.3 says */
};

/* Parses the argument of a command, keyword included: "FROM:<a@b> SIZE=1", "TO:<@x:a@b>", in any case.
   Blanks behind the colon are tolerated (every other client of the telnet how-tos sends them and they mean
   nothing else); brackets are required, because without them "a@b SIZE=1" and "a b@c" cannot be told apart
   and the RFC leaves no doubt. PATH_REVERSE takes <>. PATH_FORWARD takes <postmaster> (any case) and
   refuses <>. Other local parts without a domain need ADDRESS_LOCAL_OK. *rest is what follows the bracket,
   for params.h; it begins with a blank or is empty. On failure *out is empty and *why (static text, fit for
   a reply) tells the reason. */
bool path_parse(enum path_kind kind, struct strv argument, unsigned flags, struct path *out,
                struct strv *rest, const char **why);

void path_clear(struct path *p);
