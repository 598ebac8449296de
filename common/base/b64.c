/* b64.c - strict base64 */
#include "common/base/b64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void b64_encode(struct strv in, struct buf *out)
{
    const uint8_t *p = (const uint8_t *)in.p;

    for (size_t i = 0; i < in.n; i += 3) {
        size_t left = in.n - i;
        uint32_t v = (uint32_t)p[i] << 16;
        char q[4];

        if (left > 1)
            v |= (uint32_t)p[i + 1] << 8;
        if (left > 2)
            v |= p[i + 2];
        q[0] = alphabet[v >> 18];
        q[1] = alphabet[v >> 12 & 63];
        q[2] = left > 1 ? alphabet[v >> 6 & 63] : '=';
        q[3] = left > 2 ? alphabet[v & 63] : '=';
        buf_add(out, q, 4);
    }
}

static int b64_value(char c)
{
    if (byte_is_upper((unsigned char)c))
        return c - 'A';
    if (byte_is_lower((unsigned char)c))
        return c - 'a' + 26;
    if (byte_is_digit((unsigned char)c))
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* The number of data bytes, or false; reads everything before anything is written. */
static bool b64_check(struct strv in, size_t *size)
{
    size_t pad = 0, digits;

    if (in.n % 4 != 0)
        return false;
    while (pad < 2 && pad < in.n && in.p[in.n - 1 - pad] == '=')
        pad++;
    digits = in.n - pad;
    for (size_t i = 0; i < digits; i++) {
        if (b64_value(in.p[i]) < 0)
            return false;
    }
    /* Bits behind the last byte must be zero: otherwise one value has many texts. */
    if (pad && (b64_value(in.p[digits - 1]) & (pad == 1 ? 3 : 15)) != 0)
        return false;
    *size = in.n / 4 * 3 - pad;
    return true;
}

bool b64_decode(struct strv in, struct buf *out)
{
    size_t size, done = 0;
    char *to;

    if (!b64_check(in, &size))
        return false;
    to = buf_reserve(out, size);
    if (!to)
        return false;
    for (size_t i = 0; i < in.n; i += 4) {
        uint32_t v = 0;

        for (size_t k = 0; k < 4; k++)
            v = v << 6 | (in.p[i + k] == '=' ? 0 : (uint32_t)b64_value(in.p[i + k]));
        for (int shift = 16; shift >= 0 && done < size; shift -= 8)
            to[done++] = (char)(uint8_t)(v >> shift & 0xff);
    }
    buf_commit(out, size);
    return true;
}
