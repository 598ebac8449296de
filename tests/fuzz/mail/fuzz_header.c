/* fuzz_header.c - header blocks, fields written from any bytes, address lists, trace fields, notices */
#include "common/mail/dsn.h"
#include "common/mail/header.h"
#include "common/mail/mailbox.h"
#include "common/mail/received.h"
#include "tests/support/fuzz.h"

static enum header_end scan(struct strv in, size_t chunk, struct header_scan *s)
{
    size_t n = 0;

    header_scan_init(s);
    for (;;) {
        enum header_end end = header_scan(s, strv_sub(in, 0, n));

        if (end != HEADER_MORE)
            return end;
        if (n >= in.n)
            return header_scan_finish(s, in);
        n += chunk > in.n - n ? in.n - n : chunk;
    }
}

/* Trickled equals whole, and the fields are the block. */
static void blocks(struct strv in, size_t chunk)
{
    struct header_scan a, b;
    enum header_end end = scan(in, SIZE_MAX, &a);
    struct header_field f;
    struct strv rest;
    size_t n = 0;

    must(scan(in, chunk, &b) == end);
    if (end == HEADER_TOO_BIG)
        return;
    must(a.header_len == b.header_len && a.body_at == b.body_at);
    must(a.body_at >= a.header_len && a.body_at <= in.n);
    rest = strv_sub(in, 0, a.header_len);
    while (header_next(&rest, &f)) {
        must(f.whole.n > 0 && header_name_ok(f.name));
        n++;
    }
    must(rest.n == 0 && n == a.fields);
}

/* The text is exactly one field of lines that fit. */
static void one_field(struct strv out)
{
    struct header_scan s;
    struct header_field f;
    size_t line = 0;

    header_scan_init(&s);
    must(header_scan(&s, out) == HEADER_MORE || out.n > HEADER_SIZE_MAX);
    for (size_t i = 0; i < out.n; i++, line++) {
        if (out.p[i] == '\r')
            must(i + 1 < out.n && out.p[i + 1] == '\n');
        if (out.p[i] != '\n')
            continue;
        must(i > 0 && out.p[i - 1] == '\r' && line <= HEADER_LINE_HARD + 1);
        line = (size_t)-1;
    }
    must(header_next(&out, &f) && out.n == 0);
}

static void written(struct strv in)
{
    struct received r = {
        .helo = in, .client_name = in, .by = SV_LIT("mx"), .tls = strv_sub(in, 0, 200), .uid = -1,
        .id = SV_LIT("I"),
    };
    struct buf out;

    buf_init(&out, 1 << 24);
    must(header_add(&out, "Subject", in));
    one_field(buf_view(&out));
    buf_reset(&out);
    netaddr_parse_ip(SV_LIT("192.0.2.1"), &r.client);
    received_write(&r, &out);
    one_field(buf_view(&out));
    buf_reset(&out);
    header_unfold(in, &out);
    must(!strv_has(buf_view(&out), '\r') && !strv_has(buf_view(&out), '\n'));
    buf_clear(&out);
}

/* A mailbox that is taken can be written as a field and read back. */
static void mailboxes(struct strv in)
{
    struct mailbox m = { .had_route = false }, again = { .had_route = false };
    struct mailbox_iter it, it2;
    enum mailbox_step step;
    const char *why = NULL;
    struct buf out;

    mailbox_iter_init(&it, in, ADDRESS_LOCAL_OK);
    while ((step = mailbox_next(&it, &m, &why)) != MAILBOX_END) {
        must(step == MAILBOX_OK || why != NULL);
        if (step == MAILBOX_BAD)
            continue;
        must(m.spec.p >= in.p && m.spec.p + m.spec.n <= in.p + in.n);
        buf_init(&out, 1 << 20);
        mailbox_format(buf_view(&m.name), &m.address, &out);
        mailbox_iter_init(&it2, buf_view(&out), ADDRESS_LOCAL_OK);
        must(mailbox_next(&it2, &again, NULL) == MAILBOX_OK && address_eq(&m.address, &again.address));
        must(mailbox_next(&it2, &again, NULL) == MAILBOX_END);
        buf_clear(&out);
    }
    mailbox_clear(&m);
    mailbox_clear(&again);
}

static void notices(struct strv in)
{
    struct dsn_texts *texts = dsn_texts_new();
    struct dsn_rcpt rcpt = {
        .rcpt = in, .orcpt = in, .status = STATUS(5, 0, 0), .remote_mta = in, .diagnostic = in, .reason = in,
    };
    struct dsn d = {
        .hostname = SV_LIT("mx"), .to = SV_LIT("a@b"), .notice_id = SV_LIT("N"), .original_id = SV_LIT("O"),
        .envid = in, .rcpts = &rcpt, .rcpt_count = 1, .header = SV_LIT("A: b\r\n"), .body = SV_LIT("x\r\n"),
        .texts = texts,
    };
    struct buf out;
    bool eight;

    buf_init(&out, 1 << 24);
    must(dsn_compose(&d, &out, &eight));
    for (size_t i = 0, line = 0; i < out.len; i++, line++) {
        must(out.data[i] != '\0');
        if (out.data[i] != '\n')
            continue;
        must(i > 0 && out.data[i - 1] == '\r' && line <= HEADER_LINE_HARD + 1);
        line = (size_t)-1;
    }
    buf_clear(&out);
    dsn_texts_free(&texts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t chunk;
    struct strv in = fuzz_input(data, size, &chunk);

    if (in.n > 65536)
        return 0;
    blocks(in, chunk);
    written(in);
    mailboxes(in);
    notices(in);
    return 0;
}
