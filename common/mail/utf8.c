/* utf8.c - well-formedness of UTF-8 (RFC 3629) */
#include "common/mail/domain.h"

/* Length of the sequence at p (n bytes left), 0 when it is not well formed. */
static size_t utf8_sequence(const unsigned char *p, size_t n)
{
    static const struct {
        unsigned char first, last, low, high;   /* lead bytes, range of the second byte */
        size_t size;
    } forms[] = {
        { 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 }, { 0xe1, 0xec, 0x80, 0xbf, 3 },
        { 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 }, { 0xf0, 0xf0, 0x90, 0xbf, 4 },
        { 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
    };

    if (p[0] < 0x80)
        return 1;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (p[0] < forms[i].first || p[0] > forms[i].last)
            continue;
        if (n < forms[i].size || p[1] < forms[i].low || p[1] > forms[i].high)
            return 0;
        for (size_t k = 2; k < forms[i].size; k++) {
            if ((p[k] & 0xc0) != 0x80)
                return 0;
        }
        return forms[i].size;
    }
    return 0;
}

bool utf8_ok(struct strv s)
{
    for (size_t i = 0, step; i < s.n; i += step) {
        step = utf8_sequence((const unsigned char *)s.p + i, s.n - i);
        if (step == 0)
            return false;
    }
    return true;
}
