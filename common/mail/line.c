/* line.c - the one line reader */
#include "common/mail/line.h"

void line_init(struct line_reader *r, size_t max)
{
    *r = (struct line_reader){ .max = max };
}

/* What the bytes from r->scanned on say first. LINE_OK: CRLF ends at *at (behind its LF); LINE_BARE_*: the
   byte stands at *at; LINE_NONE: nothing, and *at is where to look again. */
static enum line_result find_event(struct line_reader *r, struct strv in, size_t *at)
{
    size_t from = r->scanned;
    const char *lf = in.n > from ? memchr(in.p + from, '\n', in.n - from) : NULL;
    size_t end = lf ? (size_t)(lf - in.p) : in.n;
    const char *cr = end > from ? memchr(in.p + from, '\r', end - from) : NULL;

    if (!cr) {
        *at = end;
        return lf ? LINE_BARE_LF : LINE_NONE;
    }
    *at = (size_t)(cr - in.p);
    if (*at + 1 == in.n)
        return LINE_NONE;       /* a CR at the end of the input: the next byte will tell */
    if (*at + 1 != end || !lf)
        return LINE_BARE_CR;
    *at = end + 1;
    return LINE_OK;
}

/* A new line begins behind what is consumed. */
static enum line_result line_done(struct line_reader *r, enum line_result result)
{
    r->scanned = 0;
    r->skipped = 0;
    r->skipping = false;
    return result;
}

enum line_result line_next(struct line_reader *r, struct strv in, struct strv *line, size_t *consumed)
{
    size_t at, before, limit = r->max + LINE_SKIP_MAX;
    enum line_result event = find_event(r, in, &at);

    *line = strv_make("", 0);
    *consumed = 0;
    /* Bytes of this line in front of the event; the CR of a CRLF is not one of them. */
    before = r->skipped + (event == LINE_OK ? at - 2 : at);
    if (before > limit) {
        *consumed = in.n;
        return line_done(r, LINE_FLOOD);
    }
    if (event == LINE_NONE) {
        r->scanned = at;
        if (before > r->max) {
            r->skipping = true;
            r->skipped += at;
            r->scanned = 0;
            *consumed = at;
        }
        return LINE_NONE;
    }
    *consumed = event == LINE_OK ? at : at + 1;
    if (event != LINE_OK) {
        *line = strv_sub(in, 0, before > r->max ? 0 : at);
        return line_done(r, event);
    }
    if (before > r->max)
        return line_done(r, LINE_TOO_LONG);
    if (strv_has(strv_sub(in, 0, at - 2), '\0'))
        return line_done(r, LINE_NUL);
    *line = strv_sub(in, 0, at - 2);
    return line_done(r, LINE_OK);
}
