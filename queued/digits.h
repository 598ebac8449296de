/* digits.h - numbers as text for lines that are written for every message: a fifth of the time of printf
 * (pure) */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGITS_MAX 20u

/* Writes the decimal digits to dst[DIGITS_MAX], no NUL; the number of digits. */
static inline size_t digits_u64(char *dst, uint64_t v)
{
    char back[DIGITS_MAX];
    size_t n = 0;

    do {
        back[n++] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    for (size_t i = 0; i < n; i++)
        dst[i] = back[n - 1 - i];
    return n;
}

/* Eight lower-case hex digits at p; false for anything else. */
static inline bool digits_hex32_read(const char *p, uint32_t *out)
{
    uint32_t v = 0;

    for (int i = 0; i < 8; i++) {
        unsigned c = (unsigned char)p[i];
        unsigned digit = c - '0' < 10 ? c - '0' : c - 'a' < 6 ? c - 'a' + 10 : 16;

        if (digit > 15)
            return false;
        v = v << 4 | digit;
    }
    *out = v;
    return true;
}

/* Eight lower-case hex digits, no NUL. */
static inline void digits_hex32(char *dst, uint32_t v)
{
    static const char hex[] = "0123456789abcdef";

    for (int i = 7; i >= 0; i--) {
        dst[i] = hex[v & 15];
        v >>= 4;
    }
}
