/* dot.c - streaming dot-stuffing, RFC 5321 section 4.5.2 */
#include "common/mail/dot.h"

void dot_decode_init(struct dot_decoder *d)
{
    *d = (struct dot_decoder){ .state = DOT_AT_START };
}

bool dot_decode_is_dirty(const struct dot_decoder *d)
{
    return d->bare_cr || d->bare_lf || d->nul;
}

static uint64_t count_byte(struct strv s, char c)
{
    uint64_t n = 0;
    size_t at;

    while (strv_find(s, c, &at)) {
        n++;
        s = strv_from(s, at + 1);
    }
    return n;
}

/* Inside a line: moves *i behind its CR, or to the end of the input. An LF on the way is bare. memchr,
   because this is where every byte of every message passes. */
static void skip_line(struct dot_decoder *d, struct strv in, size_t *i)
{
    const char *cr = memchr(in.p + *i, '\r', in.n - *i);
    size_t end = cr ? (size_t)(cr - in.p) : in.n;

    if (memchr(in.p + *i, '\n', end - *i))
        d->bare_lf += count_byte(strv_sub(in, *i, end - *i), '\n');
    if (cr)
        d->state = DOT_AFTER_CR;
    *i = cr ? end + 1 : end;
}

static void give_out(struct dot_decoder *d, struct buf *out, struct strv s)
{
    buf_addv(out, s);
    d->decoded += s.n;
}

/* Bytes from *from to *i are data not yet given out, so that whole runs of lines are copied at once. */
static void decode_run(struct dot_decoder *d, struct strv in, struct buf *out, size_t *from, size_t *i)
{
    char c = in.p[*i];

    switch (d->state) {
    case DOT_AT_START:
        if (c == '.') {
            give_out(d, out, strv_sub(in, *from, *i - *from));
            *from = ++*i;
            d->state = DOT_AFTER_DOT;
        } else {
            d->state = DOT_IN_LINE;
        }
        break;
    case DOT_IN_LINE:
        skip_line(d, in, i);
        break;
    case DOT_AFTER_CR:
        if (c == '\n') {
            ++*i;
            d->state = DOT_AT_START;
        } else {
            d->bare_cr++;
            d->state = DOT_IN_LINE;
        }
        break;
    case DOT_AFTER_DOT:
        if (c == '\r') {
            *from = ++*i;       /* held back: it is data only when no LF follows */
            d->state = DOT_AFTER_DOT_CR;
        } else {
            d->state = DOT_IN_LINE;
        }
        break;
    case DOT_AFTER_DOT_CR:
        if (c == '\n') {
            *from = ++*i;
            d->state = DOT_ENDED;
        } else {
            d->bare_cr++;
            give_out(d, out, SV_LIT("\r"));
            d->state = DOT_IN_LINE;
        }
        break;
    case DOT_ENDED:
        break;
    }
}

enum dot_step dot_decode(struct dot_decoder *d, struct strv in, struct buf *out, size_t *consumed)
{
    size_t from = 0, i = 0;

    while (i < in.n && d->state != DOT_ENDED)
        decode_run(d, in, out, &from, &i);
    give_out(d, out, strv_sub(in, from, i - from));
    d->nul += count_byte(strv_sub(in, 0, i), '\0');
    *consumed = i;
    return d->state == DOT_ENDED ? DOT_END : DOT_MORE;
}

void dot_encode_init(struct dot_encoder *e)
{
    *e = (struct dot_encoder){ .at_start = true };
}

static bool encode_fail(struct dot_encoder *e)
{
    e->bad = true;
    return false;
}

bool dot_encode(struct dot_encoder *e, struct strv in, struct buf *out)
{
    size_t from = 0, i = 0;

    if (e->bad)
        return false;
    while (i < in.n) {
        const char *cr;
        size_t end;

        if (e->after_cr) {
            /* The CR was held back until its LF is seen: a bare one must not leave. */
            if (in.p[i] != '\n')
                return encode_fail(e);
            i++;
            if (i == 1) {
                buf_adds(out, "\r\n");
                from = 1;
            }
            e->after_cr = false;
            e->at_start = true;
            continue;
        }
        if (e->at_start && in.p[i] == '.') {
            buf_addv(out, strv_sub(in, from, i - from));
            buf_addc(out, '.');
            from = i;
        }
        e->at_start = false;
        cr = memchr(in.p + i, '\r', in.n - i);
        end = cr ? (size_t)(cr - in.p) : in.n;
        if (memchr(in.p + i, '\n', end - i))
            return encode_fail(e);
        e->after_cr = cr != NULL;
        i = cr ? end + 1 : end;
    }
    buf_addv(out, strv_sub(in, from, in.n - from - (in.n > 0 && e->after_cr)));
    return buf_ok(out) || encode_fail(e);
}

bool dot_encode_end(struct dot_encoder *e, struct buf *out)
{
    if (e->bad || e->after_cr)
        return encode_fail(e);
    buf_adds(out, e->at_start ? ".\r\n" : "\r\n.\r\n");
    return buf_ok(out) || encode_fail(e);
}
