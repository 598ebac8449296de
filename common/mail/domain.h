/* domain.h - syntax of domain names in envelopes, HELO and configuration */
#pragma once

#include "common/base/buf.h"

#define DOMAIN_MAX 255          /* RFC 5321 4.5.3.1.2 */
#define DOMAIN_LABEL_MAX 63     /* RFC 1035 2.3.4 */

#define DOMAIN_UTF8 1u          /* U-labels (RFC 6531) are taken as they are; they must be valid UTF-8 */

/* Labels of letters, digits, inner hyphens and underscores, joined by single dots. No trailing dot: RFC
   5321 has none, and "own.example." would be another name than "own.example" for every table. Underscore:
   not a host name letter, but in real envelope domains and HELO names (Postfix and Exim take it too), and
   harmless. A last label of digits only is refused: no such top-level domain can exist (RFC 3696 2) and
   resolvers read "1.2.3.4" as an address. *why (static text) is set on refusal; why may be NULL. */
bool domain_ok(struct strv s, unsigned flags, const char **why);

/* What we take behind HELO and EHLO: a domain, one unqualified label, or an address literal; more generous
   than RFC 5321 4.1.1.1 in characters (`_`, any bracketed text), never in what could harm a log or a
   header. */
bool helo_ok(struct strv s);

/* The part behind the first dot ("b.c" of "a.b.c"); empty view when there is none. */
struct strv domain_parent(struct strv s);

/* True for sub itself and for everything below it: "a.b.c" and "b.c" under "b.c". Case ignored. */
bool domain_is_under(struct strv s, struct strv top);

/* Appends the ASCII lower-case text. */
void domain_lower(struct strv s, struct buf *out);

/* True for well-formed UTF-8 without surrogates and overlong forms; ASCII is UTF-8. */
bool utf8_ok(struct strv s);
