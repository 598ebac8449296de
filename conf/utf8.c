/* utf8.c - well-formed UTF-8, RFC 3629 section 4 */
#include "conf/utf8.h"

size_t utf8_length(struct strv s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    static const struct { unsigned char low, high, low2, high2; unsigned char n; } forms[] = {
        { 0x01, 0x7f, 0, 0, 1 },
        { 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 }, { 0xe1, 0xec, 0x80, 0xbf, 3 },
        { 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 }, { 0xf0, 0xf0, 0x90, 0xbf, 4 },
        { 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
    };
    if (s.n == 0)
        return 0;
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (p[0] < forms[i].low || p[0] > forms[i].high)
            continue;
        size_t n = forms[i].n;
        if (n > s.n || (n > 1 && (p[1] < forms[i].low2 || p[1] > forms[i].high2)))
            return 0;
        for (size_t k = 2; k < n; k++) {
            if ((p[k] & 0xc0) != 0x80)
                return 0;
        }
        return n;
    }
    return 0;
}

bool utf8_is_control(struct strv c)
{
    return c.n == 2 && (unsigned char)c.p[0] == 0xc2 && (unsigned char)c.p[1] < 0xa0;
}
