/* test_header.c - where a header ends, its fields, and writing new ones */
#include "common/base/mem.h"
#include "common/mail/header.h"
#include "tests/support/unit.h"

#include <stdlib.h>

static const struct {
    const char *name, *in;
    enum header_end end;
    const char *header, *body;
} ends[] = {
    { "plain", "A: b\r\nC: d\r\n\r\nbody", HEADER_END, "A: b\r\nC: d\r\n", "body" },
    { "empty body", "A: b\r\n\r\n", HEADER_END, "A: b\r\n", "" },
    { "empty header", "\r\nbody", HEADER_END, "", "body" },
    { "folds", "A: b\r\n c\r\n\td\r\n\r\nx", HEADER_END, "A: b\r\n c\r\n\td\r\n", "x" },
    { "blank line of blanks is a fold", "A: b\r\n  \r\nC: d\r\n\r\n", HEADER_END, "A: b\r\n  \r\nC: d\r\n",
      "" },
    { "blank before the colon", "A : b\r\n\r\n", HEADER_END, "A : b\r\n", "" },
    { "empty value", "A:\r\n\r\n", HEADER_END, "A:\r\n", "" },
    { "no colon", "A: b\r\nhello\r\n\r\nx", HEADER_END_MALFORMED, "A: b\r\n", "hello\r\n\r\nx" },
    { "blank in the name", "A b: c\r\n\r\n", HEADER_END_MALFORMED, "", "A b: c\r\n\r\n" },
    { "fold first", " A: b\r\n\r\n", HEADER_END_MALFORMED, "", " A: b\r\n\r\n" },
    { "mbox line", "From a@b Mon\r\nA: b\r\n\r\n", HEADER_END_MALFORMED, "", "From a@b Mon\r\nA: b\r\n\r\n" },
    { "colon first", ": b\r\n\r\n", HEADER_END_MALFORMED, "", ": b\r\n\r\n" },
    { "8-bit name", "\xc3\xb6: b\r\n\r\n", HEADER_END_MALFORMED, "", "\xc3\xb6: b\r\n\r\n" },
    { "bare LF ends no line", "A: b\nC: d\r\n\r\nx", HEADER_END, "A: b\nC: d\r\n", "x" },
    { "LF LF ends no header", "A: b\n\nC: d\r\n\r\nx", HEADER_END, "A: b\n\nC: d\r\n", "x" },
    { "message ends in the header", "A: b\r\n", HEADER_END, "A: b\r\n", "" },
    { "message ends in a field", "A: b\r\nC: d", HEADER_END, "A: b\r\nC: d", "" },
    { "message ends in a fold", "A: b\r\n c", HEADER_END, "A: b\r\n c", "" },
    { "message ends in text", "A: b\r\nhello", HEADER_END_MALFORMED, "A: b\r\n", "hello" },
    { "message ends in CR", "A: b\r\n\r", HEADER_END_MALFORMED, "A: b\r\n", "\r" },
    { "nothing", "", HEADER_END, "", "" },
};

static enum header_end scan(struct strv in, size_t chunk, struct header_scan *s)
{
    header_scan_init(s);
    for (size_t n = 0;; n += chunk) {
        struct strv so_far = strv_sub(in, 0, n);
        enum header_end end = header_scan(s, so_far);

        if (end != HEADER_MORE)
            return end;
        if (n >= in.n)
            return header_scan_finish(s, in);
    }
}

static void header_ends(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(ends); i++) {
        struct strv in = SV(ends[i].in);

        for (size_t chunk = 1; chunk <= in.n + 1; chunk++) {
            struct header_scan s;

            if (scan(in, chunk, &s) != ends[i].end)
                fail_msg("%s in pieces of %zu", ends[i].name, chunk);
            expect_text(ends[i].name, strv_sub(in, 0, s.header_len), ends[i].header);
            expect_text(ends[i].name, strv_from(in, s.body_at), ends[i].body);
        }
    }
}

/* A header of size bytes before the empty line, in one field or in many. */
static enum header_end scan_size(size_t size, size_t line, size_t chunk)
{
    struct header_scan s;
    struct buf in;
    enum header_end end;

    buf_init(&in, size + 100);
    while (in.len < size) {
        size_t n = size - in.len < line + 4 ? size - in.len : line;

        buf_adds(&in, "A:");
        while (n > 4) {
            buf_addc(&in, 'x');
            n--;
        }
        buf_adds(&in, "\r\n");
    }
    buf_adds(&in, "\r\nbody");
    end = scan(buf_view(&in), chunk, &s);
    buf_clear(&in);
    return end;
}

static void size_limits(void **state)
{
    static const size_t chunks[] = { 100, 65536, 1 << 20 };

    (void)state;
    for (size_t i = 0; i < COUNT(chunks); i++) {
        assert_int_equal(scan_size(HEADER_SIZE_MAX - 2, 1000, chunks[i]), HEADER_END);
        assert_int_equal(scan_size(HEADER_SIZE_MAX - 1, 1000, chunks[i]), HEADER_TOO_BIG);
        assert_int_equal(scan_size(HEADER_SIZE_MAX + 10, 1 << 20, chunks[i]), HEADER_TOO_BIG);
        assert_int_equal(scan_size(4 * HEADER_FIELDS_MAX, 4, chunks[i]), HEADER_END);
        assert_int_equal(scan_size(4 * HEADER_FIELDS_MAX + 4, 4, chunks[i]), HEADER_TOO_BIG);
    }
}

static void one_field_too_many_at_the_end(void **state)
{
    struct header_scan s;
    struct buf in;

    (void)state;
    buf_init(&in, 1 << 20);
    for (int i = 0; i < HEADER_FIELDS_MAX; i++)
        buf_adds(&in, "A:\r\n");
    buf_adds(&in, "A:");
    assert_int_equal(scan(buf_view(&in), 1 << 20, &s), HEADER_TOO_BIG);
    buf_clear(&in);
}

static void fields(void **state)
{
    static const char block[] = "Received: one\r\n two\r\nSubject : x\r\nreceived: three\r\nLast: l";
    struct strv rest = SV(block);
    struct header_field f;
    struct buf out;

    (void)state;
    buf_init(&out, 1000);
    assert_true(header_next(&rest, &f));
    expect_text("name", f.name, "Received");
    expect_text("value", f.value, " one\r\n two");
    expect_text("whole", f.whole, "Received: one\r\n two\r\n");
    header_unfold(f.value, &out);
    expect_text("unfolded", buf_view(&out), "one two");
    assert_true(header_next(&rest, &f));
    expect_text("name with a blank", f.name, "Subject");
    expect_text("value", f.value, " x");
    assert_true(header_next(&rest, &f));
    assert_true(header_next(&rest, &f));
    expect_text("value without CRLF", f.value, " l");
    expect_text("whole without CRLF", f.whole, "Last: l");
    assert_false(header_next(&rest, &f));
    assert_true(header_find(SV(block), "SUBJECT", &f));
    assert_false(header_find(SV(block), "Subj", &f));
    assert_int_equal(header_count(SV(block), "RECEIVED"), 2);
    buf_reset(&out);
    assert_int_equal(header_copy_without(SV(block), "received", &out), 2);
    expect_text("without", buf_view(&out), "Subject : x\r\nLast: l");
    buf_reset(&out);
    header_unfold(SV(" \r\n a\r\n\tb\rc\nd \r\n"), &out);
    expect_text("unfold of bare line ends", buf_view(&out), "a\tb c d");
    rest = SV("no field\r\n");
    assert_false(header_next(&rest, &f));
    buf_clear(&out);
}

static void names(void **state)
{
    char big[HEADER_NAME_MAX + 1];

    (void)state;
    memset(big, 'a', sizeof big);
    assert_true(header_name_ok(SV("X-!#$")));
    assert_false(header_name_ok(SV("")));
    assert_false(header_name_ok(SV("a:")));
    assert_false(header_name_ok(SV("a b")));
    assert_false(header_name_ok(SV("a\r\nb")));
    assert_false(header_name_ok(SV("\xc3")));
    assert_true(header_name_ok(strv_make(big, HEADER_NAME_MAX)));
    assert_false(header_name_ok(strv_make(big, HEADER_NAME_MAX + 1)));
}

static void writes(void **state)
{
    static const struct {
        const char *name, *value, *want;
    } t[] = {
        { "plain", "hello", "X: hello\r\n" },
        { "empty", "", "X:\r\n" },
        { "blanks", "  a  b ", "X: a  b\r\n" },
        { "line breaks", "a\r\nBcc: x@y\r\n\r\nbody", "X: a Bcc: x@y body\r\n" },
        { "bare line ends", "a\nb\rc", "X: a b c\r\n" },
        { "controls", "a\x01\x7f\tb", "X: a?? b\r\n" },
        { "8-bit", "\xc3\xb6", "X: \xc3\xb6\r\n" },
        { "folded at 78", "1234567890 1234567890 1234567890 1234567890 1234567890 1234567890 1234567890 12",
          "X: 1234567890 1234567890 1234567890 1234567890 1234567890 1234567890\r\n 1234567890 12\r\n" },
        { "not folded at 78", "1234567890 1234567890 1234567890 1234567890 1234567890 1234567890 123456789",
          "X: 1234567890 1234567890 1234567890 1234567890 1234567890 1234567890 123456789\r\n" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(t); i++) {
        struct buf out;

        buf_init(&out, 4096);
        assert_true(header_add(&out, "X", SV(t[i].value)));
        expect_text(t[i].name, buf_view(&out), t[i].want);
        buf_clear(&out);
    }
}

/* One call writes one field of lines that fit, and unfolding gives the value back. */
static void check_field(struct strv value)
{
    struct header_field f;
    struct header_scan s;
    struct buf out;
    struct strv rest;
    size_t line = 0;

    buf_init(&out, 1 << 20);
    assert_true(header_add(&out, "Name", value));
    for (size_t i = 0; i < out.len; i++, line++) {
        if (out.data[i] != '\n')
            continue;
        assert_true(line <= HEADER_LINE_HARD + 1);
        line = (size_t)-1;
    }
    header_scan_init(&s);
    assert_int_equal(header_scan(&s, buf_view(&out)), HEADER_MORE);
    rest = buf_view(&out);
    assert_true(header_next(&rest, &f));
    assert_int_equal(rest.n, 0);
    buf_clear(&out);
}

static void long_values(void **state)
{
    char *big = mem_new(10000);

    (void)state;
    memset(big, 'x', 10000);
    for (size_t n = 900; n < 1100; n++)
        check_field(strv_make(big, n));
    check_field(strv_make(big, 10000));
    memset(big, ' ', 10000);
    big[9999] = 'a';
    big[0] = 'b';
    check_field(strv_make(big, 10000));
    for (size_t i = 0; i + 1 < 10000; i += 2)
        memcpy(big + i, "\xc3\xb6", 2);
    check_field(strv_make(big, 10000));
    check_field(strv_make(big, 9999));
    memset(big, '\x80', 10000);
    check_field(strv_make(big, 10000));
    free(big);
}

static void others(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, 1000);
    assert_false(header_add(&out, "Bad Name", SV("x")));
    assert_int_equal(out.len, 0);
    header_add_message_id(&out, SV("ID"), SV("mx.example.com"));
    expect_text("id", buf_view(&out), "Message-ID: <ID@mx.example.com>\r\n");
    buf_reset(&out);
    header_add_date(&out, 0);
    assert_true(strv_starts(buf_view(&out), SV("Date: Thu, 01 Jan 1970 ")) ||
                strv_starts(buf_view(&out), SV("Date: Wed, 31 Dec 1969 ")));
    assert_true(strv_ends(buf_view(&out), SV("\r\n")));
    buf_clear(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_ends), cmocka_unit_test(size_limits),
        cmocka_unit_test(one_field_too_many_at_the_end), cmocka_unit_test(fields),
        cmocka_unit_test(names),       cmocka_unit_test(writes),
        cmocka_unit_test(long_values), cmocka_unit_test(others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
