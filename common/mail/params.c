/* params.c - ESMTP parameters and xtext */
#include "common/mail/params.h"

static bool keyword_ok(struct strv s)
{
    if (s.n == 0 || !byte_is_alnum((unsigned char)s.p[0]))
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (!byte_is_alnum((unsigned char)s.p[i]) && s.p[i] != '-')
            return false;
    }
    return true;
}

/* esmtp-value of RFC 5321 4.1.2: 33-60 and 62-126 */
static bool value_ok(struct strv s)
{
    if (s.n == 0)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] <= 32 || s.p[i] >= 127 || s.p[i] == '=')
            return false;
    }
    return true;
}

enum param_step param_next(struct strv *rest, struct param *out)
{
    struct strv word;
    size_t eq;

    *out = (struct param){ .has_value = false, .value = { "", 0 }, .keyword = { "", 0 } };
    if (!strv_word(rest, &word))
        return PARAM_END;
    out->keyword = word;
    if (strv_find(word, '=', &eq)) {
        out->keyword = strv_sub(word, 0, eq);
        out->value = strv_from(word, eq + 1);
        out->has_value = true;
    }
    if (!keyword_ok(out->keyword) || (out->has_value && !value_ok(out->value)))
        return PARAM_BAD;
    return PARAM_OK;
}

bool param_size(struct strv value, uint64_t *out)
{
    if (value.n == 0 || value.n > 20)
        return false;
    for (size_t i = 0; i < value.n; i++) {
        if (!byte_is_digit((unsigned char)value.p[i]))
            return false;
    }
    if (!strv_u64(value, UINT64_MAX, out))
        *out = UINT64_MAX;
    return true;
}

static const char *const bodies[] = {
    [PARAM_BODY_7BIT] = "7BIT",
    [PARAM_BODY_8BITMIME] = "8BITMIME",
    [PARAM_BODY_BINARYMIME] = "BINARYMIME",
};

bool param_body(struct strv value, enum param_body *out)
{
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        if (strv_iis(value, bodies[i])) {
            *out = (enum param_body)i;
            return true;
        }
    }
    return false;
}

const char *param_body_name(enum param_body body)
{
    return bodies[body];
}

/* xchar of RFC 3461 4: printable but '+' and '=' */
static bool byte_is_xchar(char c)
{
    return c > 32 && c < 127 && c != '+' && c != '=';
}

/* hexchar has upper case digits. */
static bool byte_is_hex(char c)
{
    return byte_is_digit((unsigned char)c) || (c >= 'A' && c <= 'F');
}

static bool xtext_ok(struct strv in)
{
    for (size_t i = 0; i < in.n; i++) {
        if (in.p[i] == '+') {
            if (in.n - i < 3 || !byte_is_hex(in.p[i + 1]) || !byte_is_hex(in.p[i + 2]))
                return false;
            i += 2;
        } else if (!byte_is_xchar(in.p[i])) {
            return false;
        }
    }
    return true;
}

bool xtext_decode(struct strv in, struct buf *out)
{
    if (!xtext_ok(in))
        return false;
    for (size_t i = 0; i < in.n; i++) {
        uint8_t byte = (uint8_t)in.p[i];

        if (in.p[i] == '+' && strv_hex(strv_sub(in, i + 1, 2), &byte, 1))
            i += 2;
        buf_addc(out, (char)byte);
    }
    return buf_ok(out);
}

void xtext_encode(struct strv in, struct buf *out)
{
    for (size_t i = 0; i < in.n; i++) {
        if (byte_is_xchar(in.p[i]))
            buf_addc(out, in.p[i]);
        else
            buf_addf(out, "+%02X", (unsigned)(uint8_t)in.p[i]);
    }
}
