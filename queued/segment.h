/* segment.h - one append-only file of records: creating, appending, sealing, reading back
 *
 * File: two copies of `MANSIO-SEGMENT1 <nonce> <number> <crc32c>\n`, at 0 and at 4096 (a damaged sector must
 * not cost the nonce, without which no record can be told from a forged one), filled up with blanks; records
 * from 8192 on.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/os/room.h"
#include "queued/record.h"

#include <stdint.h>
#include <sys/uio.h>

#define SEGMENT_FIRST 8192u /* offset of the first record */
#define SEGMENT_COPY  4096u
#define SEGMENT_SIZE  ROOM_SEGMENT
#define SEGMENT_NAME  16u /* "000001.seg" and a NUL, with room for ten digits */

struct segment {
    int fd; /* owned, -1 when there is none */
    uint32_t number;
    uint64_t size; /* where the next one begins; allocated */
    uint64_t at;   /* where the next record goes */
    char nonce[RECORD_NONCE_LEN + 1];
};

void segment_name(uint32_t number, const char *suffix, char dst[SEGMENT_NAME]);
bool segment_name_parse(const char *name, const char *suffix, uint32_t *number);

/* A new file in dirfd, allocated, with its header, file and directory durable. ERR_LIMIT when the disk is
   full; on failure nothing is left behind. */
bool segment_create(int dirfd, uint32_t number, uint64_t size, struct segment *s, struct err *err)
    __attribute__((warn_unused_result));
/* Writes the pieces at s->at and syncs. On success s->at is behind them. ERR_LIMIT: nothing was kept, s can
   be used on. ERR_TEMP: the descriptor must not be used again; call segment_abandon. */
bool segment_append(struct segment *s, struct iovec *iov, int count, uint64_t total, struct err *err)
    __attribute__((warn_unused_result));
void segment_seal(struct segment *s); /* gives back what was allocated and not used; closes */
/* Cuts what was not acknowledged, as far as the disk still obeys; closes. */
void segment_abandon(struct segment *s);

/* The header of a file's first bytes (at least SEGMENT_FIRST, unless the file is shorter); either copy will
 * do. */
bool segment_header(struct strv bytes, uint32_t number, char nonce[RECORD_NONCE_LEN + 1]);
