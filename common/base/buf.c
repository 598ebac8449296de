/* buf.c - owned bytes with a length and a hard limit */
#include "common/base/buf.h"

#include "common/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

#define BUF_FIRST 64

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){ .max = max };
}

void buf_init_secret(struct buf *b, size_t max)
{
    *b = (struct buf){ .max = max, .secret = true };
}

void buf_clear(struct buf *b)
{
    if (b->secret && b->data)
        mem_wipe(b->data, b->cap);
    MEM_FREE(b->data);
    b->len = b->cap = 0;
    b->over = false;
}

void buf_reset(struct buf *b)
{
    if (b->secret && b->data)
        mem_wipe(b->data, b->cap);
    b->len = 0;
    b->over = false;
    if (b->data)
        b->data[0] = '\0';
}

bool buf_ok(const struct buf *b)
{
    return !b->over;
}

/* cap counts the byte of the NUL too. */
static void buf_grow(struct buf *b, size_t need)
{
    size_t cap = b->cap ? b->cap : BUF_FIRST;

    while (cap < need)
        cap += cap / 2 + BUF_FIRST;
    if (b->secret) {
        /* realloc would leave a copy of the secret in freed memory */
        char *p = mem_new(cap);

        if (b->data) {
            memcpy(p, b->data, b->len);
            mem_wipe(b->data, b->cap);
            free(b->data);
        }
        b->data = p;
    } else {
        b->data = mem_resize(b->data, cap, 1);
    }
    b->cap = cap;
    b->data[b->len] = '\0';
}

char *buf_reserve(struct buf *b, size_t n)
{
    if (b->over || n > b->max - b->len) {
        b->over = true;
        return NULL;
    }
    if (b->cap < b->len + n + 1)
        buf_grow(b, b->len + n + 1);
    return b->data + b->len;
}

void buf_commit(struct buf *b, size_t n)
{
    if (b->over || n == 0)
        return;
    b->len += n;
    b->data[b->len] = '\0';
}

void buf_add(struct buf *b, const void *p, size_t n)
{
    char *to;

    if (n == 0)
        return;
    to = buf_reserve(b, n);
    if (!to)
        return;
    memcpy(to, p, n);
    buf_commit(b, n);
}

void buf_addv(struct buf *b, struct strv s)
{
    buf_add(b, s.p, s.n);
}

void buf_adds(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s));
}

void buf_addc(struct buf *b, char c)
{
    buf_add(b, &c, 1);
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    buf_addvf(b, fmt, ap);
    va_end(ap);
}

void buf_addvf(struct buf *b, const char *fmt, va_list ap)
{
    va_list again;
    char *to;
    int n;

    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, ap);
    if (n < 0) {
        b->over = true;
    } else if (n > 0 && (to = buf_reserve(b, (size_t)n)) != NULL) {
        vsnprintf(to, (size_t)n + 1, fmt, again);
        buf_commit(b, (size_t)n);
    }
    va_end(again);
}

void buf_drop(struct buf *b, size_t n)
{
    if (n > b->len)
        n = b->len;
    if (n == 0)
        return;
    memmove(b->data, b->data + n, b->len - n);
    buf_cut(b, b->len - n);
}

void buf_cut(struct buf *b, size_t len)
{
    if (len >= b->len)
        return;
    if (b->secret)
        mem_wipe(b->data + len, b->len - len);
    b->len = len;
    b->data[len] = '\0';
}
