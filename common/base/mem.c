/* mem.c - allocation that cannot fail */
#include "common/base/mem.h"

#include "common/base/err.h"

#include <stdlib.h>
#include <string.h>

/* No plan of ours needs more in one piece; a bigger request is a length that went wrong. */
#define MEM_ABSURD ((size_t)1 << 30)

static size_t size_checked(size_t count, size_t size)
{
    size_t n;

    if (!size_mul(count, size, &n) || n > MEM_ABSURD)
        die("allocation of %zu x %zu bytes refused", count, size);
    return n ? n : 1;
}

void *mem_new(size_t size)
{
    return mem_array(1, size);
}

void *mem_array(size_t count, size_t size)
{
    size_t n = size_checked(count, size);
    void *p = calloc(1, n);

    if (!p)
        die("out of memory for %zu bytes", n);
    return p;
}

void *mem_resize(void *p, size_t count, size_t size)
{
    size_t n = size_checked(count, size);
    void *q = realloc(p, n);

    if (!q)
        die("out of memory for %zu bytes", n);
    return q;
}

void *mem_copy(const void *p, size_t n)
{
    void *q = mem_new(n);

    if (n)
        memcpy(q, p, n);
    return q;
}

char *mem_str(const char *s)
{
    return s ? mem_copy(s, strlen(s) + 1) : NULL;
}

void mem_wipe(void *p, size_t n)
{
    if (n)
        explicit_bzero(p, n);
}
