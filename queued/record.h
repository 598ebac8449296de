/* record.h - one stored message in a segment: its line, its place, how to find it (pure)
 *
 *   MANSIO1 <nonce> <id> <envelope-length> <header-length> <body-length> <crc32c>\n
 *   envelope (text lines and an empty one) | header | CRLF | body | \n
 *
 * The checksum covers the line up to itself, everything behind the line, and the place (segment number and
 * offset in decimal): a copy of a record is no record anywhere else, even when somebody learned the segment's
 * nonce.
 */
#pragma once

#include "common/base/id.h"
#include "common/base/strv.h"

#define RECORD_NONCE_LEN 32u       /* 128 random bits in hex */
#define RECORD_LINE_LEN  91u       /* fixed width, so that the committer can fill in place */
#define RECORD_PART_MAX  99999999u /* what eight digits hold; segments end long before */

struct record_sizes {
    size_t envelope, header, body;
};

struct record {
    uint64_t id;
    size_t len;           /* the whole record */
    struct strv envelope; /* with its empty line */
    struct strv message;  /* header + CRLF + body as one piece */
    struct record_sizes sizes;
};

/* Length of the whole record; 0 when a part is larger than a line can say. */
size_t record_size(const struct record_sizes *sizes);

/* Writes the line with blanks for nonce and checksum to dst[RECORD_LINE_LEN]. */
void record_line(char *dst, uint64_t id, const struct record_sizes *sizes);
/* Completes the line of a whole record for its place: nonce and checksum. */
void record_seal(char *record, size_t len, const char *nonce, uint32_t segment, uint64_t offset);

/* Reads only the line (of a record whose nonce is this): sizes and id, without the checksum. */
bool record_line_parse(struct strv bytes, const char *nonce, uint64_t *id, struct record_sizes *sizes);
/* Reads and checks the record at the start of bytes, which stand at offset of the segment. */
bool record_parse(struct strv bytes, const char *nonce, uint32_t segment, uint64_t offset,
                  struct record *out);

/* The same without any check of where it stands: for a record that was just made. */
bool record_views(struct strv bytes, struct record *out);

enum record_scan_step { RECORD_FOUND, RECORD_DAMAGE, RECORD_END };

/* Walks the bytes of a segment. Set bytes (the whole file from offset 0), nonce, segment and at (first
 * offset). */
struct record_scan {
    struct strv bytes;
    const char *nonce;
    uint32_t segment;
    size_t at; /* where the next record is looked for; at RECORD_END: behind the last one */
    size_t damage_at, damage_len; /* of the RECORD_DAMAGE just reported */
};

/* RECORD_DAMAGE: bytes that are no record stand before the next record, which the next call returns.
   RECORD_END: nothing valid from s->at on; record_scan_torn tells whether anything but zeros is there. */
/* The same without any check of where it stands: for a record that was just made. */
bool record_views(struct strv bytes, struct record *out);

enum record_scan_step record_next(struct record_scan *s, struct record *out);
bool record_scan_torn(const struct record_scan *s);
