/* wire.c - bounded big-endian cursor */
#include "common/base/wire.h"

static bool rd_take(struct rd *r, size_t n, const uint8_t **p)
{
    if (r->bad || n > r->left) {
        r->bad = true;
        return false;
    }
    *p = r->p;
    if (n) {
        r->p += n;
        r->left -= n;
    }
    return true;
}

/* The n bytes of a big-endian number; 0 when they are not there. */
static uint64_t rd_number(struct rd *r, size_t n)
{
    const uint8_t *p;
    uint64_t v = 0;

    if (!rd_take(r, n, &p))
        return 0;
    for (size_t i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

bool rd_u8(struct rd *r, uint8_t *out)
{
    *out = (uint8_t)rd_number(r, 1);
    return !r->bad;
}

bool rd_u16(struct rd *r, uint16_t *out)
{
    *out = (uint16_t)rd_number(r, 2);
    return !r->bad;
}

bool rd_u32(struct rd *r, uint32_t *out)
{
    *out = (uint32_t)rd_number(r, 4);
    return !r->bad;
}

bool rd_u64(struct rd *r, uint64_t *out)
{
    *out = rd_number(r, 8);
    return !r->bad;
}

bool rd_bytes(struct rd *r, size_t n, struct strv *out)
{
    const uint8_t *p;

    *out = strv_make("", 0);
    if (!rd_take(r, n, &p))
        return false;
    if (n)
        *out = strv_make((const char *)p, n);
    return true;
}

bool rd_skip(struct rd *r, size_t n)
{
    const uint8_t *p;

    return rd_take(r, n, &p);
}

static void wr_number(struct buf *b, uint64_t v, size_t n)
{
    uint8_t p[8];

    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(v >> (8 * (n - 1 - i)));
    buf_add(b, p, n);
}

void wr_u8(struct buf *b, uint8_t v)
{
    wr_number(b, v, 1);
}

void wr_u16(struct buf *b, uint16_t v)
{
    wr_number(b, v, 2);
}

void wr_u32(struct buf *b, uint32_t v)
{
    wr_number(b, v, 4);
}

void wr_u64(struct buf *b, uint64_t v)
{
    wr_number(b, v, 8);
}
