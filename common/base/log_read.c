/* log_read.c - reads back what log.c wrote: the fields of a line */
#include "common/base/log_read.h"

static bool key_end(struct strv s, size_t *n)
{
    size_t i = 0;

    while (i < s.n && (byte_is_alnum((unsigned char)s.p[i]) || s.p[i] == '_'))
        i++;
    *n = i;
    return i > 0 && i < s.n && s.p[i] == '=';
}

/* Bytes of the value that s begins with; 0: none. */
static size_t value_end(struct strv s)
{
    size_t i = 1;

    if (s.n == 0 || s.p[0] != '"') {
        const char *blank = s.n ? memchr(s.p, ' ', s.n) : NULL;

        return blank ? (size_t)(blank - s.p) : s.n;
    }
    while (i < s.n && s.p[i] != '"')
        i += s.p[i] == '\\' ? 2 : 1;
    return i < s.n ? i + 1 : 0;
}

bool log_read(struct strv *rest, struct strv *key, struct strv *value)
{
    struct strv s = *rest;
    size_t n;

    while (s.n && s.p[0] == ' ')
        s = strv_from(s, 1);
    if (!key_end(s, &n))
        return false;
    *key = strv_sub(s, 0, n);
    s = strv_from(s, n + 1);
    n = value_end(s);
    if (n == 0 || (n < s.n && s.p[n] != ' '))
        return false;
    *value = strv_sub(s, 0, n);
    *rest = strv_from(s, n);
    return true;
}

static int hex_digit(char c)
{
    if (byte_is_digit((unsigned char)c))
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One escape behind its backslash; how many bytes of s it takes. */
static size_t unescape(struct strv s, char *out)
{
    static const char from[] = "nrt", to[] = "\n\r\t";
    const char *at = s.n ? strchr(from, s.p[0]) : NULL;

    *out = s.n ? s.p[0] : '\\';
    if (s.n == 0)
        return 0;
    if (at && *at) {
        *out = to[at - from];
        return 1;
    }
    if (s.p[0] == 'x' && s.n >= 3 && hex_digit(s.p[1]) >= 0 && hex_digit(s.p[2]) >= 0) {
        *out = (char)(hex_digit(s.p[1]) * 16 + hex_digit(s.p[2]));
        return 3;
    }
    return 1;
}

size_t log_value(struct strv value, char *dst, size_t size)
{
    size_t n = 0;

    if (value.n < 2 || value.p[0] != '"') {
        n = value.n < size ? value.n : size;
        memcpy(dst, value.p, n);
        return n;
    }
    value = strv_sub(value, 1, value.n - 2);
    while (value.n && n < size) {
        size_t used = 1;

        if (value.p[0] == '\\')
            used += unescape(strv_from(value, 1), &dst[n]);
        else
            dst[n] = value.p[0];
        n++;
        value = strv_from(value, used);
    }
    return n;
}
