/* loop_scan.c - was this message delivered to this address before? */
#include "deliverd/agent/loop_scan.h"

#include <string.h>

#include "common/mail/header.h"

void loop_scan_init(struct loop_scan *s, struct strv rcpt)
{
    s->rcpt = rcpt;
    s->found = s->over = s->inside = s->cut = false;
    s->seen = s->n = 0;
}

/* The logical line is complete. */
static void line_judge(struct loop_scan *s)
{
    struct strv rest = strv_make(s->line, s->n);
    struct header_field field;
    struct buf value;

    if (!s->cut && strv_istarts(rest, SV_LIT("Delivered-To")) && header_next(&rest, &field) &&
        strv_iis(field.name, "Delivered-To")) {
        buf_init(&value, LOOP_LINE_MAX);
        header_unfold(field.value, &value);
        s->found = s->found || strv_ieq(strv_trim(buf_view(&value)), s->rcpt);
        buf_clear(&value);
    }
    s->n = 0;
    s->cut = false;
}

/* The first byte of a physical line: a fold, the empty line, or a new field. */
static void line_begin(struct loop_scan *s, char first)
{
    s->inside = true;
    if (byte_is_blank((unsigned char)first))
        return;
    line_judge(s);
    if (first == '\r' || first == '\n')
        s->over = true;
}

static void line_keep(struct loop_scan *s, const char *p, size_t n)
{
    size_t room = sizeof s->line - s->n;

    if (n > room) {
        n = room;
        s->cut = true;
    }
    memcpy(s->line + s->n, p, n);
    s->n += n;
}

void loop_scan_feed(struct loop_scan *s, struct strv bytes)
{
    const char *p = bytes.p;
    size_t n = bytes.n;

    while (n > 0 && !s->over) {
        const char *lf;
        size_t part;

        if (!s->inside)
            line_begin(s, *p);
        if (s->over)
            return;
        lf = memchr(p, '\n', n);
        part = lf ? (size_t)(lf - p) + 1 : n;
        line_keep(s, p, part);
        s->inside = !lf;
        s->seen += part;
        s->over = s->seen > HEADER_SIZE_MAX;
        p += part;
        n -= part;
    }
}

void loop_scan_end(struct loop_scan *s)
{
    if (!s->over)
        line_judge(s);
    s->over = true;
}
