/* status.c - enhanced status codes */
#include "common/mail/status.h"

#include <stdio.h>

static bool number_ok(struct strv s, uint16_t *out)
{
    uint64_t v;

    if (s.n > 3 || (s.n > 1 && s.p[0] == '0') || !strv_u64(s, 999, &v))
        return false;
    *out = (uint16_t)v;
    return true;
}

bool status_parse(struct strv text, struct status *out)
{
    struct strv part[3], rest = text;
    struct status s;

    for (int i = 0; i < 3; i++) {
        if (!strv_cut(&rest, '.', &part[i]))
            return false;
    }
    if (rest.p || part[0].n != 1 || !byte_in_set(part[0].p[0], "245"))
        return false;
    s.cls = (uint8_t)(part[0].p[0] - '0');
    if (!number_ok(part[1], &s.subject) || !number_ok(part[2], &s.detail))
        return false;
    *out = s;
    return true;
}

bool status_take(struct strv text, struct status *out, struct strv *rest)
{
    struct strv word, left = text;

    if (text.n == 0 || byte_is_blank((unsigned char)text.p[0]) || !strv_word(&left, &word))
        return false;
    if (!status_parse(word, out))
        return false;
    while (left.n > 0 && byte_is_blank((unsigned char)left.p[0]))
        left = strv_from(left, 1);
    *rest = left;
    return true;
}

void status_text(struct status s, char dst[STATUS_TEXT])
{
    dst[0] = '\0';
    if (s.cls != 0)
        snprintf(dst, STATUS_TEXT, "%u.%u.%u", s.cls % 10u, s.subject % 1000u, s.detail % 1000u);
}

struct status status_from_code(int code)
{
    int cls = code / 100;

    if (cls != 2 && cls != 4 && cls != 5)
        return STATUS(0, 0, 0);
    return STATUS((uint8_t)cls, 0, 0);
}
