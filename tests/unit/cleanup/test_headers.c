/* test_headers.c - the header block as it is stored */
#include "tests/support/unit.h"

#include "cleanup/headers.h"
#include "common/mail/header.h"
#include "common/mail/received.h"

static const struct {
    const char *name;
    bool own;
    const char *block;
    const char *want; /* behind the trace field; {D}, {I} stand for the added Date and Message-ID */
} cases[] = {
    { "a stranger's is unchanged", false, "From: a@b\r\nBcc: c@d\r\nReturn-Path: <x@y>\r\n",
      "From: a@b\r\nBcc: c@d\r\nReturn-Path: <x@y>\r\n" },
    { "complete", true, "Date: x\r\nFrom: a@b\r\nMessage-ID: <1@2>\r\n",
      "Date: x\r\nFrom: a@b\r\nMessage-ID: <1@2>\r\n" },
    { "in any case", true, "DATE: x\r\nmessage-id: <1@2>\r\n", "DATE: x\r\nmessage-id: <1@2>\r\n" },
    { "missing Date", true, "Message-ID: <1@2>\r\n", "{D}Message-ID: <1@2>\r\n" },
    { "missing Message-ID", true, "Date: x\r\n", "{I}Date: x\r\n" },
    { "empty block", true, "", "{D}{I}" },
    { "empty block of a stranger", false, "", "" },
    { "Bcc goes, folds included", true,
      "Date: x\r\nBcc: a@b,\r\n c@d\r\nMessage-ID: <1@2>\r\nbcc:\r\nTo: e@f\r\n",
      "Date: x\r\nMessage-ID: <1@2>\r\nTo: e@f\r\n" },
    { "a second resending is completed, whatever the first has", true,
      "Resent-From: r@s\r\nResent-From: o@s\r\nResent-Date: x\r\nResent-Message-ID: <3@4>\r\nDate: x\r\n"
      "Message-ID: <1@2>\r\nFrom: a@b\r\n",
      "{RD}{RI}Resent-From: r@s\r\nResent-From: o@s\r\nResent-Date: x\r\nResent-Message-ID: <3@4>\r\nDate: "
      "x\r\nMessage-ID: <1@2>\r\nFrom: a@b\r\n" },
    { "Resent-Bcc goes, resent set is completed", true,
      "Resent-From: r@s\r\nResent-Bcc: z@z\r\nDate: x\r\nMessage-ID: <1@2>\r\n",
      "{RD}{RI}Resent-From: r@s\r\nDate: x\r\nMessage-ID: <1@2>\r\n" },
    { "Date and Message-ID are no part of the resent set", true,
      "Resent-From: r@s\r\nResent-To: t@u\r\nFrom: a@b\r\n",
      "{RD}{RI}Resent-From: r@s\r\nResent-To: t@u\r\nFrom: a@b\r\n{D}{I}" },
    { "complete resent set", true,
      "Resent-Date: x\r\nResent-From: r@s\r\nResent-Message-ID: <3@4>\r\nDate: x\r\nMessage-ID: <1@2>\r\n",
      "Resent-Date: x\r\nResent-From: r@s\r\nResent-Message-ID: <3@4>\r\nDate: x\r\nMessage-ID: <1@2>\r\n" },
    { "Return-Path of an own client goes", true, "Return-Path: <a@b>\r\nDate: x\r\nMessage-ID: <1@2>\r\n",
      "Date: x\r\nMessage-ID: <1@2>\r\n" },
    { "names alike are others", true, "Bcc2: a\r\nX-Bcc: b\r\nDated: c\r\nDate: x\r\nMessage-ID: <1@2>\r\n",
      "Bcc2: a\r\nX-Bcc: b\r\nDated: c\r\nDate: x\r\nMessage-ID: <1@2>\r\n" },
    { "obsolete blank before the colon", true, "Bcc : a\r\nDate : x\r\nMessage-ID : <1@2>\r\n",
      "Date : x\r\nMessage-ID : <1@2>\r\n" },
};

static struct received trace(void)
{
    return (struct received){ .helo = SV("client.test"),
                              .by = SV("mx.own.test"),
                              .protocol = RECEIVED_ESMTP,
                              .uid = -1,
                              .id = SV("0123456789ABC"),
                              .wall_ms = 1700000000000 };
}

static void expand(const char *want, struct buf *out)
{
    char date[64];
    struct buf d;

    buf_init(&d, 256);
    header_add_date(&d, 1700000000000);
    snprintf(date, sizeof date, "%.*s", (int)(d.len - 6), d.data + 6);
    for (const char *p = want; *p; p++) {
        if (strncmp(p, "{D}", 3) == 0) {
            buf_addf(out, "Date: %s", date);
            p += 2;
        } else if (strncmp(p, "{I}", 3) == 0) {
            buf_adds(out, "Message-ID: <0123456789ABC@mx.own.test>\r\n");
            p += 2;
        } else if (strncmp(p, "{RD}", 4) == 0) {
            buf_addf(out, "Resent-Date: %s", date);
            p += 3;
        } else if (strncmp(p, "{RI}", 4) == 0) {
            buf_adds(out, "Resent-Message-ID: <0123456789ABC@mx.own.test>\r\n");
            p += 3;
        } else {
            buf_addc(out, *p);
        }
    }
    buf_clear(&d);
}

static enum headers_verdict build(const char *block, bool own, struct buf *out)
{
    struct received r = trace();
    struct headers_in in = { .block = SV(block),
                             .received = &r,
                             .own = own,
                             .id = SV("0123456789ABC"),
                             .hostname = SV("mx.own.test"),
                             .wall_ms = 1700000000000,
                             .max_hops = 50 };

    return headers_build(&in, out);
}

static void header_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct received r = trace();
        struct buf got, want;

        buf_init(&got, 65536);
        buf_init(&want, 65536);
        received_write(&r, &want);
        expand(cases[i].want, &want);
        assert_int_equal(build(cases[i].block, cases[i].own, &got), HEADERS_OK);
        expect_text(cases[i].name, buf_view(&got), buf_cstr(&want));
        buf_clear(&got);
        buf_clear(&want);
    }
}

static enum headers_verdict with_hops(unsigned n)
{
    struct buf block, out;
    enum headers_verdict v;

    buf_init(&block, 65536);
    buf_init(&out, 65536);
    for (unsigned i = 0; i < n; i++)
        buf_addf(&block, "Received: from a by b%u\r\n\tid x\r\n", i);
    buf_adds(&block, "X-Received: no hop\r\n");
    v = build(buf_cstr(&block), false, &out);
    buf_clear(&block);
    buf_clear(&out);
    return v;
}

static void hops(void **state)
{
    (void)state;
    assert_int_equal(with_hops(0), HEADERS_OK);
    assert_int_equal(with_hops(49), HEADERS_OK);
    assert_int_equal(with_hops(50), HEADERS_OK);
    assert_int_equal(with_hops(51), HEADERS_LOOP);
}

/* Any one field does; it changes nothing of the block, and what does not ask is not told. */
static void bulk(void **state)
{
    static const struct {
        const char *block;
        bool bulk;
    } blocks[] = {
        { "Subject: x\r\n", false },
        { "Subject: x\r\nprecedence: Bulk\r\nDate: x\r\n", true },
        { "Subject: list\r\nList-Id: A list <a.list.test>\r\n", true },
        { "Precedence: special\r\nAuto-Submitted: auto-generated\r\n", false },
        { "Precedence:\r\n list\r\n", true },
        { "Subject: x\r\n Precedence: bulk\r\n", false },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(blocks); i++) {
        struct received r = trace();
        bool got = false;
        struct headers_in in = { .block = SV(blocks[i].block),
                                 .received = &r,
                                 .id = SV("0123456789ABC"),
                                 .hostname = SV("mx.own.test"),
                                 .bulk = &got,
                                 .max_hops = 50 };
        struct buf out;

        buf_init(&out, 65536);
        assert_int_equal(headers_build(&in, &out), HEADERS_OK);
        assert_int_equal(got, blocks[i].bulk);
        assert_true(strv_ends(buf_view(&out), in.block));
        got = true;
        buf_reset(&out);
        assert_int_equal(headers_build(&in, &out), HEADERS_OK);
        assert_true(got);
        buf_clear(&out);
    }
}

/* What the client says about itself cannot end the trace field or begin another. */
static void hostile_helo(void **state)
{
    struct received r = trace();
    struct headers_in in = { .block = SV("Subject: x\r\n"),
                             .received = &r,
                             .id = SV("0123456789ABC"),
                             .hostname = SV("mx.own.test"),
                             .max_hops = 50 };
    struct buf out;
    struct strv rest;
    struct header_field f;
    size_t fields = 0;

    (void)state;
    r.helo = SV("x\r\nBcc: evil@x\r\n\r\nbody");
    r.client_name = SV("a)b\r\nX: y");
    buf_init(&out, 65536);
    assert_int_equal(headers_build(&in, &out), HEADERS_OK);
    rest = buf_view(&out);
    while (header_next(&rest, &f))
        fields++;
    assert_int_equal(fields, 2);
    assert_int_equal(rest.n, 0);
    buf_clear(&out);
}

static void too_big(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, 100);
    assert_int_equal(build("Subject: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n", true, &out),
                     HEADERS_TOO_BIG);
    buf_clear(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_cases),
        cmocka_unit_test(bulk),
        cmocka_unit_test(hops),
        cmocka_unit_test(hostile_helo),
        cmocka_unit_test(too_big),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
