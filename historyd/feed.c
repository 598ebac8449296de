/* feed.c - what a daemon sent: the lines of one frame */
#include "historyd/feed.h"

#include "common/base/log.h"
#include "common/base/wire.h"

static bool is_line(struct strv text)
{
    unsigned char odd = 0;

    for (size_t i = 0; i < text.n; i++)
        odd |= !byte_is_print((unsigned char)text.p[i]);
    return !odd && text.n <= LINE_MAX_TEXT && strv_starts(text, SV_LIT("event="));
}

enum feed_step feed_next(struct strv *rest, struct line *out)
{
    struct rd rd = rd_make(rest->p, rest->n);
    uint16_t len = 0;
    uint64_t ms = 0;

    if (rest->n == 0)
        return FEED_END;
    if (!rd_u16(&rd, &len) || !rd_u8(&rd, &out->level) || !rd_u64(&rd, &ms) ||
        !rd_bytes(&rd, len, &out->text))
        return FEED_BROKEN;
    if (out->level > LOG_LV_DEBUG || ms > INT64_MAX || !is_line(out->text))
        return FEED_BROKEN;
    out->ms = (int64_t)ms;
    *rest = strv_make((const char *)rd.p, rd.left);
    return FEED_LINE;
}
