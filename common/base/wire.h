/* wire.h - bounded big-endian cursor for everything read from or written to a wire or a disk format */
#pragma once

#include "common/base/buf.h"

struct rd {
    const uint8_t *p;
    size_t left;
    bool bad;           /* sticky: set by the first read past the end; later reads give 0 */
};

static inline struct rd rd_make(const void *p, size_t n)
{
    return (struct rd){ p, n, false };
}
bool rd_u8(struct rd *r, uint8_t *out);
bool rd_u16(struct rd *r, uint16_t *out);
bool rd_u32(struct rd *r, uint32_t *out);
bool rd_u64(struct rd *r, uint64_t *out);
bool rd_bytes(struct rd *r, size_t n, struct strv *out);        /* borrowed view */
bool rd_skip(struct rd *r, size_t n);

void wr_u8(struct buf *b, uint8_t v);
void wr_u16(struct buf *b, uint16_t v);
void wr_u32(struct buf *b, uint32_t v);
void wr_u64(struct buf *b, uint64_t v);
