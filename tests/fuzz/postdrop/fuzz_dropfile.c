/* fuzz_dropfile.c - a head that was read is written and read again; text is canonical however it is cut;
   addresses from any header are addresses */
#include "common/mail/address.h"
#include "common/mail/dropfile.h"
#include "common/mail/intake.h"
#include "postdrop/extract.h"
#include "postdrop/message.h"
#include "tests/support/fuzz.h"

static void head(struct strv in)
{
    struct drop_head a = { .rcpts = NULL }, b = { .rcpts = NULL };
    struct err err = { .cls = ERR_OK };
    struct buf text;
    size_t size, again;

    buf_init(&text, 2 * DROP_HEAD_MAX);
    if (drop_head_parse(in, &a, &size, &err)) {
        must(size <= in.n && a.rcpt_n > 0);
        must(drop_head_print(&a, &text, &err));
        must(drop_head_parse(buf_view(&text), &b, &again, &err));
        must(again == text.len && a.rcpt_n == b.rcpt_n && strv_eq(a.sender, b.sender) &&
             strv_eq(a.name, b.name));
        for (size_t i = 0; i < a.rcpt_n; i++)
            must(strv_eq(a.rcpts[i], b.rcpts[i]));
    }
    buf_clear(&text);
    drop_head_clear(&a);
    drop_head_clear(&b);
}

static void intake_cut(struct strv in, size_t chunk, struct buf *out)
{
    struct intake t;

    intake_init(&t);
    for (size_t at = 0; at < in.n; at += chunk < in.n ? chunk : in.n)
        intake_feed(&t, strv_sub(in, at, chunk), out);
    intake_end(&t, out);
}

static void text(struct strv in, size_t chunk)
{
    struct buf whole, cut;

    buf_init(&whole, 2 * in.n + 16);
    buf_init(&cut, 2 * in.n + 16);
    intake_cut(in, SIZE_MAX, &whole);
    intake_cut(in, chunk, &cut);
    must(buf_ok(&whole) && strv_eq(buf_view(&whole), buf_view(&cut)));
    for (size_t i = 0; i < whole.len; i++) {
        must(whole.data[i] != '\0');
        must(whole.data[i] != '\n' || (i > 0 && whole.data[i - 1] == '\r'));
        must(whole.data[i] != '\r' || (i + 1 < whole.len && whole.data[i + 1] == '\n'));
    }
    buf_clear(&whole);
    buf_clear(&cut);
}

static void extract(struct strv in)
{
    struct head_reader h;
    struct buf rcpts;
    struct strv rest, one;
    struct err err;

    head_reader_init(&h);
    buf_init(&rcpts, 1u << 20);
    head_reader_feed(&h, in);
    head_reader_end(&h);
    if (h.done && extract_header(head_reader_block(&h), &rcpts, &err)) {
        rest = buf_view(&rcpts);
        while (strv_cut(&rest, '\n', &one)) {
            struct address a;

            if (!one.n)
                continue;
            must(address_parse(one, ADDRESS_LOCAL_OK, &a, NULL));
            address_clear(&a);
        }
    }
    head_reader_clear(&h);
    buf_clear(&rcpts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t chunk;
    struct strv in = fuzz_input(data, size, &chunk);

    head(in);
    text(in, chunk);
    extract(in);
    return 0;
}
