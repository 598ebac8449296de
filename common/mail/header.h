/* header.h - RFC 5322 header blocks: where they end, their fields, and writing new ones */
#pragma once

#include "common/base/buf.h"

#define HEADER_SIZE_MAX (256 * 1024)    /* of a whole block; Postfix cuts at 100 KiB, Exchange at 256 */
#define HEADER_FIELDS_MAX 2000
#define HEADER_NAME_MAX 200
#define HEADER_LINE_SOFT 78             /* RFC 5322 2.1.1, without CRLF */
#define HEADER_LINE_HARD 998

/* --- where does the header end --- */

enum header_end {
    HEADER_MORE,                /* not seen yet: append more and ask again */
    HEADER_END,                 /* at an empty line */
    HEADER_END_MALFORMED,       /* at a line that is no field: it is the body's first line and the empty line
                                   is missing, as Postfix, Exim and sendmail read it; refusing would lose
                                   real mail, skipping it would hide fields from others who read on */
    HEADER_TOO_BIG,             /* over HEADER_SIZE_MAX or HEADER_FIELDS_MAX */
};

struct header_scan {
    size_t line;                /* start of the first line not yet judged */
    size_t looked;              /* bytes already searched for its end */
    size_t fields;
    size_t header_len;          /* valid once the end was found: the block, each line with its CRLF */
    size_t body_at;             /* where the body begins */
};

void header_scan_init(struct header_scan *s);

/* so_far is the message from its first byte, growing from call to call. A trickled message gives the same
   answer as a whole one. */
enum header_end header_scan(struct header_scan *s, struct strv so_far);

/* The message is over and header_scan still said HEADER_MORE: the rest is judged as it is. A last line
   without CRLF belongs to the header when it is a field (whoever writes it out adds the CRLF). */
enum header_end header_scan_finish(struct header_scan *s, struct strv whole);

/* --- fields --- */

struct header_field {
    struct strv name;           /* as written, without blanks before the colon (obsolete syntax) */
    struct strv value;          /* behind the colon, raw: with folds, without the last CRLF */
    struct strv whole;          /* the field with its last CRLF (when it has one) */
};

/* Takes the next field off *rest; false at the end (or at a malformed line, which header_scan keeps out). */
bool header_next(struct strv *rest, struct header_field *out);

bool header_find(struct strv block, const char *name, struct header_field *out);       /* the first one */
size_t header_count(struct strv block, const char *name);
/* The fields of the last resending, before those of earlier ones (RFC 5322 3.6.6); empty: none. */
struct strv header_resent(struct strv block);

/* 1..HEADER_NAME_MAX of printable ASCII without ':' (RFC 5322 2.2). */
bool header_name_ok(struct strv name);

/* Appends value without its line breaks (each CRLF before a blank vanishes, RFC 5322 2.2.3) and without
   leading and trailing blanks. */
void header_unfold(struct strv value, struct buf *out);

/* --- new blocks; prepend by writing the new field first and appending the old block --- */

/* Appends "Name: value" CRLF, folded at blanks to HEADER_LINE_SOFT where it can be and never over
   HEADER_LINE_HARD. Line breaks in value become one blank and other controls '?': one call writes one field,
   whatever the value holds. Bytes over 127 are kept. Returns false (and writes nothing) for a bad name. */
bool header_add(struct buf *out, const char *name, struct strv value);

/* Appends text of one line as words for an unstructured field or a display name: as it is when it is ASCII
   and has no "=?", else encoded words of RFC 2047 with UTF-8. */
void header_encode(struct strv text, struct buf *out);

/* Appends the block without the fields of that name (all, any case). Returns how many were left out. */
size_t header_copy_without(struct strv block, const char *name, struct buf *out);

/* Appends "Date: " and the time in RFC 5322 form, CRLF. */
void header_add_date(struct buf *out, int64_t wall_ms);
/* Appends "Message-ID: <ID@HOST>" CRLF. */
void header_add_message_id(struct buf *out, struct strv id, struct strv host);
