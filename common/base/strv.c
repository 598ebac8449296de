/* strv.c - borrowed views of bytes */
#include "common/base/strv.h"

#include "common/base/mem.h"

bool strv_is(struct strv a, const char *s)
{
    return strv_eq(a, SV(s));
}

bool strv_ieq(struct strv a, struct strv b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++) {
        if (byte_lower(a.p[i]) != byte_lower(b.p[i]))
            return false;
    }
    return true;
}

bool strv_iis(struct strv a, const char *ascii)
{
    return strv_ieq(a, SV(ascii));
}

int strv_cmp(struct strv a, struct strv b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int r = n ? memcmp(a.p, b.p, n) : 0;

    if (r != 0)
        return r;
    return a.n < b.n ? -1 : a.n > b.n;
}

bool strv_starts(struct strv a, struct strv prefix)
{
    return a.n >= prefix.n && strv_eq(strv_make(a.p, prefix.n), prefix);
}

bool strv_istarts(struct strv a, struct strv prefix)
{
    return a.n >= prefix.n && strv_ieq(strv_make(a.p, prefix.n), prefix);
}

bool strv_ends(struct strv a, struct strv suffix)
{
    return a.n >= suffix.n && strv_eq(strv_from(a, a.n - suffix.n), suffix);
}

bool strv_iends(struct strv a, struct strv suffix)
{
    return a.n >= suffix.n && strv_ieq(strv_from(a, a.n - suffix.n), suffix);
}

bool strv_find(struct strv a, char c, size_t *at)
{
    const char *p = a.n ? memchr(a.p, c, a.n) : NULL;

    if (!p)
        return false;
    *at = (size_t)(p - a.p);
    return true;
}

bool strv_rfind(struct strv a, char c, size_t *at)
{
    const char *p = a.n ? memrchr(a.p, c, a.n) : NULL;

    if (!p)
        return false;
    *at = (size_t)(p - a.p);
    return true;
}

bool strv_has(struct strv a, char c)
{
    size_t at;

    return strv_find(a, c, &at);
}

struct strv strv_sub(struct strv a, size_t from, size_t n)
{
    if (from > a.n)
        from = a.n;
    if (n > a.n - from)
        n = a.n - from;
    return strv_make(a.p ? a.p + from : "", n);
}

struct strv strv_from(struct strv a, size_t from)
{
    return strv_sub(a, from, SIZE_MAX);
}

struct strv strv_trim(struct strv a)
{
    while (a.n > 0 && byte_in_set(a.p[0], " \t\r\n"))
        a = strv_from(a, 1);
    while (a.n > 0 && byte_in_set(a.p[a.n - 1], " \t\r\n"))
        a.n--;
    return a;
}

bool strv_cut(struct strv *rest, char sep, struct strv *head)
{
    size_t at;

    if (!rest->p)
        return false;
    if (strv_find(*rest, sep, &at)) {
        *head = strv_make(rest->p, at);
        *rest = strv_from(*rest, at + 1);
    } else {
        *head = *rest;
        *rest = strv_make(NULL, 0);
    }
    return true;
}

bool strv_word(struct strv *rest, struct strv *word)
{
    size_t i = 0, from;

    while (i < rest->n && byte_is_blank((unsigned char)rest->p[i]))
        i++;
    from = i;
    while (i < rest->n && !byte_is_blank((unsigned char)rest->p[i]))
        i++;
    *word = strv_sub(*rest, from, i - from);
    *rest = strv_from(*rest, i);
    return word->n > 0;
}

/* Of so many digits no number is too large. */
#define DIGITS_SAFE 19u

bool strv_u64(struct strv s, uint64_t max, uint64_t *out)
{
    uint64_t v = 0;

    if (s.n == 0)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        unsigned d = (unsigned)(unsigned char)s.p[i] - '0';

        if (i < DIGITS_SAFE && d <= 9) {
            v = v * 10 + d;
            continue;
        }
        if (d > 9 || __builtin_mul_overflow(v, (uint64_t)10, &v) ||
            __builtin_add_overflow(v, (uint64_t)d, &v))
            return false;
    }
    if (v > max)
        return false;
    *out = v;
    return true;
}

static int hex_digit(char c)
{
    if (byte_is_digit((unsigned char)c))
        return c - '0';
    c = byte_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool strv_hex(struct strv s, uint8_t *out, size_t out_n)
{
    if (s.n % 2 != 0 || s.n / 2 != out_n)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (hex_digit(s.p[i]) < 0)
            return false;
    }
    for (size_t i = 0; i < out_n; i++)
        out[i] = (uint8_t)(hex_digit(s.p[2 * i]) << 4 | hex_digit(s.p[2 * i + 1]));
    return true;
}

bool strv_cstr(struct strv s, char *dst, size_t dst_size)
{
    if (dst_size == 0)
        return false;
    dst[0] = '\0';
    if (s.n >= dst_size || strv_has(s, '\0'))
        return false;
    if (s.n)
        memcpy(dst, s.p, s.n);
    dst[s.n] = '\0';
    return true;
}

char *strv_dup(struct strv s)
{
    char *p = mem_new(s.n + 1);

    if (s.n)
        memcpy(p, s.p, s.n);
    return p;
}

bool byte_in_set(char c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}
