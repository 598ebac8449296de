/* message.c - the message on standard input: where it ends, and its header for -t */
#include "postdrop/message.h"

/* The first byte behind what was held back. */
static void resume(struct dots *d, char c, struct buf *out)
{
    buf_adds(out, d->state == DOTS_DOT_CR ? ".\r" : d->state == DOTS_DOT ? "." : "");
    buf_addc(out, c);
    d->state = c == '\n' ? DOTS_START : DOTS_LINE;
}

static size_t copy_line(struct dots *d, struct strv in, struct buf *out)
{
    size_t n;

    if (strv_find(in, '\n', &n)) {
        d->state = DOTS_START;
        n++;
    } else {
        n = in.n;
    }
    buf_add(out, in.p, n);
    return n;
}

bool dots_feed(struct dots *d, struct strv in, struct buf *out)
{
    size_t i = 0;

    while (i < in.n && d->state != DOTS_END) {
        char c = in.p[i];

        if (d->state == DOTS_LINE) {
            i += copy_line(d, strv_from(in, i), out);
            continue;
        }
        i++;
        if (d->state == DOTS_START && c == '.')
            d->state = DOTS_DOT;
        else if (d->state == DOTS_DOT && c == '\r')
            d->state = DOTS_DOT_CR;
        else if (d->state != DOTS_START && c == '\n')
            d->state = DOTS_END;
        else
            resume(d, c, out);
    }
    return d->state == DOTS_END;
}

void dots_flush(struct dots *d, struct buf *out)
{
    if (d->state == DOTS_DOT || d->state == DOTS_DOT_CR)
        buf_adds(out, d->state == DOTS_DOT ? "." : ".\r");
    if (d->state != DOTS_END)
        d->state = DOTS_LINE;
}

void head_reader_init(struct head_reader *h)
{
    *h = (struct head_reader){ .done = false };
    intake_init(&h->intake);
    header_scan_init(&h->scan);
    buf_init(&h->text, HEADER_SIZE_MAX + 512 * 1024);
}

void head_reader_clear(struct head_reader *h)
{
    buf_clear(&h->text);
}

static void judge(struct head_reader *h, enum header_end end)
{
    h->done = end == HEADER_END || end == HEADER_END_MALFORMED;
    h->failed = end == HEADER_TOO_BIG || !buf_ok(&h->text);
}

void head_reader_feed(struct head_reader *h, struct strv in)
{
    if (h->done || h->failed)
        return;
    intake_feed(&h->intake, in, &h->text);
    judge(h, header_scan(&h->scan, buf_view(&h->text)));
}

void head_reader_end(struct head_reader *h)
{
    if (h->done || h->failed)
        return;
    intake_end(&h->intake, &h->text);
    judge(h, header_scan_finish(&h->scan, buf_view(&h->text)));
    h->done = !h->failed;
}

struct strv head_reader_block(const struct head_reader *h)
{
    return strv_sub(buf_view(&h->text), 0, h->scan.header_len);
}
