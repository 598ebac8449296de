/* buf.h - owned bytes with a length and a hard limit */
#pragma once

#include "common/base/strv.h"

#include <stdarg.h>

struct buf {
    char  *data;        /* owned; data[len] is always '\0' once anything was added, else NULL */
    size_t len, cap;
    size_t max;         /* hard limit of len, set at init; growth past it sets over */
    bool   over;        /* sticky: later appends are no-ops; check once with buf_ok */
    bool   secret;      /* wiped on clear and on growth */
};

void buf_init(struct buf *b, size_t max);
void buf_init_secret(struct buf *b, size_t max);
void buf_clear(struct buf *b);                  /* releases all; b can be used again with the same max */
void buf_reset(struct buf *b);                  /* len 0, over false; keeps the memory */
bool buf_ok(const struct buf *b);               /* false once over is set */

void buf_add(struct buf *b, const void *p, size_t n);
void buf_addv(struct buf *b, struct strv s);
void buf_adds(struct buf *b, const char *s);
void buf_addc(struct buf *b, char c);
void buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_addvf(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

/* Makes room for n more bytes and returns where they go (b->data + b->len), or NULL (and over) past max.
   The caller writes there and adds to b->len with buf_commit. */
char *buf_reserve(struct buf *b, size_t n);
void  buf_commit(struct buf *b, size_t n);

void buf_drop(struct buf *b, size_t n);         /* removes n bytes (clamped) from the front; moves the rest */
void buf_cut(struct buf *b, size_t len);        /* shortens to len (clamped) */

static inline struct strv buf_view(const struct buf *b)
{
    return (struct strv){ b->data ? b->data : "", b->len };
}

/* The contents as a C string; "" when empty. */
static inline const char *buf_cstr(const struct buf *b)
{
    return b->data ? b->data : "";
}
