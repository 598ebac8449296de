/* sidecar.h - the index beside a sealed segment, so that a start need not read bodies
 *
 * A cache, never the truth: `MANSIO-INDEX1 <nonce> <number>\n`, per record `<offset> ` + the record's line +
 * envelope, and at the end `end <bytes of the segment> <crc32c>\n`. Anything unexpected and it is ignored.
 */
#pragma once

#include "queued/segment.h"

struct sidecar {
    struct buf bytes;
};

void sidecar_init(struct sidecar *s);
void sidecar_clear(struct sidecar *s);
void sidecar_begin(struct sidecar *s, const char *nonce, uint32_t number);
/* head: the record's line and envelope. */
void sidecar_add(struct sidecar *s, uint32_t offset, struct strv head);
/* Ends and writes it; whether that worked matters to nobody. */
void sidecar_write(struct sidecar *s, int segment_dir, uint32_t number, uint64_t segment_bytes);

/* bytes: of the file. fn per record; false (some calls of fn may have been made) when it is not whole or not
   about a segment with this nonce and size: so ask sidecar_valid first. ahead (may be NULL) hears of each id
   some records before fn does, and of some that fn never sees: to fetch what fn will look at. */
bool sidecar_valid(struct strv bytes, const char *nonce, uint32_t number, uint64_t segment_bytes);
bool sidecar_each(struct strv bytes, const char *nonce,
                  bool (*fn)(void *arg, uint32_t offset, uint64_t id, const struct record_sizes *sizes,
                             struct strv envelope),
                  void (*ahead)(void *arg, uint64_t id), void *arg);
