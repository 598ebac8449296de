/* intake.c - a message as programs submit it, to canonical text */
#include "common/mail/intake.h"

void intake_init(struct intake *t)
{
    memset(t, 0, sizeof *t);
}

static void special(struct intake *t, char c, struct buf *out)
{
    if (t->cr && c != '\n')
        buf_addc(out, ' ');
    t->cr = false;
    switch (c) {
    case '\n':
        buf_add(out, "\r\n", 2);
        t->in_line = false;
        return;
    case '\r': t->cr = t->in_line = true; return;
    case '\0': buf_addc(out, '?'); break;
    default: buf_addc(out, c); break;
    }
    t->in_line = true;
}

static void text(struct intake *t, struct strv in, struct buf *out)
{
    size_t i = 0;

    while (i < in.n) {
        size_t from = i;

        if (t->cr || in.p[i] == '\n' || in.p[i] == '\r' || in.p[i] == '\0') {
            t->has_8bit |= (in.p[i] & 0x80) != 0;
            special(t, in.p[i++], out);
            continue;
        }
        while (i < in.n && in.p[i] != '\n' && in.p[i] != '\r' && in.p[i] != '\0')
            t->has_8bit |= (in.p[i++] & 0x80) != 0;
        buf_add(out, in.p + from, i - from);
        t->in_line = true;
    }
}

/* `From user Thu Jan  1 00:00:00 1970`, perhaps with > before it. Prose that begins with From has no time of
 * day. */
static bool is_separator(struct strv s)
{
    struct strv rest = strv_starts(s, SV_LIT(">")) ? strv_from(s, 1) : s;

    if (!strv_starts(rest, SV_LIT("From ")))
        return false;
    for (size_t i = 5; i + 5 <= rest.n; i++)
        if (byte_is_digit((unsigned char)rest.p[i]) && byte_is_digit((unsigned char)rest.p[i + 1]) &&
            rest.p[i + 2] == ':' && byte_is_digit((unsigned char)rest.p[i + 3]) &&
            byte_is_digit((unsigned char)rest.p[i + 4]))
            return true;
    return false;
}

static void judge(struct intake *t, struct buf *out)
{
    struct strv lead = strv_make(t->lead, t->lead_n);

    t->begun = true;
    if (t->lead_n && t->lead[t->lead_n - 1] == '\n' && is_separator(lead))
        return;
    text(t, lead, out);
}

void intake_feed(struct intake *t, struct strv in, struct buf *out)
{
    size_t i = 0;

    while (!t->begun && i < in.n) {
        t->lead[t->lead_n++] = in.p[i++];
        /* Most messages are known by their first byte. */
        if (t->lead[t->lead_n - 1] == '\n' || t->lead_n == INTAKE_LEAD_MAX ||
            (t->lead[0] != 'F' && t->lead[0] != '>'))
            judge(t, out);
    }
    text(t, strv_from(in, i), out);
}

void intake_end(struct intake *t, struct buf *out)
{
    if (!t->begun)
        judge(t, out);
    if (t->cr || t->in_line)
        buf_add(out, "\r\n", 2);
    t->cr = t->in_line = false;
}
