/* address.h - the one address parser: RFC 5321 Mailbox, and what tables and policies need of it */
#pragma once

#include "common/base/buf.h"
#include "common/base/netaddr.h"

/* RFC 5321 4.5.3.1.1 wants 64 bytes of local part as a minimum to be supported and asks for no limit where
   that is possible. VERP and SRS write the whole other address into the local part and pass 64 every day;
   Postfix, Exim and sendmail take them. So 64 is only what we would generate; the bound is that of the
   whole. */
#define ADDRESS_LOCAL_RFC 64
#define ADDRESS_MAX 254         /* RFC 5321 4.5.3.1.3: a path of 256 with its brackets; in written form */

enum address_kind {
    ADDRESS_NULL,               /* the null reverse-path, <> */
    ADDRESS_LOCAL,              /* a local part alone: "postmaster" */
    ADDRESS_DOMAIN,
    ADDRESS_LITERAL,            /* user@[192.0.2.1] */
};

/* Zeroed is ADDRESS_NULL. Copying the struct moves it; address_copy duplicates. */
struct address {
    enum address_kind kind;
    struct strv local;          /* semantic form: unquoted, no backslashes; case kept (RFC 5321 2.4) */
    struct strv domain;         /* lower case; of a literal its canonical text, "[IPv6:2001:db8::1]" */
    struct netaddr ip;          /* of a literal; AF_UNSPEC for a general one ("[tag:text]") */
    char *mem;                  /* owned: where local and domain point to */
};

#define ADDRESS_UTF8 1u         /* SMTPUTF8 was asked for: bytes over 127 are taken when they are UTF-8 */
#define ADDRESS_LOCAL_OK 2u     /* a local part without a domain is taken */

/* Parses the whole text as Mailbox = Local-part "@" ( Domain / address-literal ), RFC 5321 4.1.2:
   Dot-string or Quoted-string, no comments, no blanks outside quotes, no NUL and no controls. Empty text is
   refused (the null path is path.h's), and so is the empty local part `""@d`, which a table would read as
   "everybody at d". On failure *out is the null address and *why (static text; why may be NULL) says what
   is wrong. */
bool address_parse(struct strv text, unsigned flags, struct address *out, const char **why);

/* From a semantic local part and a domain (empty: ADDRESS_LOCAL); same rules, same limits. */
bool address_make(struct strv local, struct strv domain, unsigned flags, struct address *out,
                  const char **why);

void address_clear(struct address *a);
void address_copy(const struct address *from, struct address *to);     /* *to is overwritten, not cleared */

/* Written form, quoted where it must be; nothing for ADDRESS_NULL. parse(format(a)) equals a. */
void address_format(const struct address *a, struct buf *out);
/* The same with brackets: "<a@b>", "<>". */
void address_format_path(const struct address *a, struct buf *out);

/* Key for tables: local "@" domain in lower case and semantic form ("a b@x.org"), or the local part alone. */
void address_key(const struct address *a, struct buf *out);

/* Same domain and byte-equal local part. */
bool address_eq(const struct address *a, const struct address *b);
/* The same, local part compared without case: what own domains mean by "the same mailbox". */
bool address_ieq(const struct address *a, const struct address *b);

bool address_is_null(const struct address *a);
bool address_is_postmaster(const struct address *a);    /* RFC 5321 4.5.1: local part only, any case */
bool address_is_root(const struct address *a);          /* the same for root, to whom a host reports */
bool address_is_mailer_daemon(const struct address *a); /* the same for whom notices are from */

/* True when the local part is one that some mailer would route again: it contains % ! or @
   (a%b@own, b!a@own, "a@b"@own). Relaying by disguise; refused for strangers. */
bool address_local_is_routed(struct strv local);

/* Cuts "user+list" at the first separator byte behind position 0 into "user" and "list"; false when there
   is none (base is then the whole, ext empty). With '-' among the separators "owner-x" and "x-request" stay
   whole: these are list addresses, not extensions. */
bool address_split_extension(struct strv local, struct strv separators, struct strv *base, struct strv *ext);

/* True when the local part needs no quotes. */
bool address_local_is_dotstring(struct strv local, unsigned flags);
