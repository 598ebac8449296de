/* test_reply.c - replies written and read, and enhanced status codes */
#include "common/base/mem.h"
#include "common/mail/line.h"
#include "common/mail/reply.h"
#include "tests/support/unit.h"

#include <stdlib.h>

static void statuses(void **state)
{
    static const struct {
        const char *in;
        bool ok;
    } t[] = {
        { "2.0.0", true },
        { "5.7.1", true },
        { "4.999.999", true },
        { "5.7.1000", false },
        { "3.0.0", false },
        { "1.0.0", false }, { "5.7", false },    { "5.7.1.2", false },  { "5..1", false },     { "", false },
        { "5.01.1", false }, { "55.1.1", false }, { "5.7.x", false },   { "5.7.", false },
        { "5.7.1 ", false },
    };
    struct status s;
    struct strv rest;
    char text[STATUS_TEXT];

    (void)state;
    for (size_t i = 0; i < COUNT(t); i++) {
        expect_bool(t[i].in, status_parse(SV(t[i].in), &s), t[i].ok);
        if (t[i].ok) {
            status_text(s, text);
            assert_string_equal(text, t[i].in);
        }
    }
    assert_true(status_take(SV("5.7.1  no way"), &s, &rest));
    expect_text("rest", rest, "no way");
    assert_true(status_take(SV("5.7.1"), &s, &rest));
    expect_text("rest", rest, "");
    assert_false(status_take(SV(" 5.7.1 x"), &s, &rest));
    assert_false(status_take(SV("5.7.1x"), &s, &rest));
    assert_false(status_take(SV(""), &s, &rest));
    status_text(STATUS(0, 0, 0), text);
    assert_string_equal(text, "");
    assert_int_equal(status_from_code(450).cls, 4);
    assert_false(status_is_set(status_from_code(354)));
}

static void writes(void **state)
{
    static const struct {
        const char *name;
        int code;
        const char *enhanced, *text, *want;
    } t[] = {
        { "plain", 250, "2.0.0", "Ok", "250 2.0.0 Ok\r\n" },
        { "no status", 220, NULL, "x ESMTP", "220 x ESMTP\r\n" },
        { "empty status", 220, "", "x", "220 x\r\n" },
        { "no text", 250, "2.0.0", "", "250 2.0.0\r\n" },
        { "nothing", 250, NULL, "", "250\r\n" },
        { "lines", 550, "5.7.1", "a\nb", "550-5.7.1 a\r\n550 5.7.1 b\r\n" },
        { "empty line", 214, NULL, "a\n\nb", "214-a\r\n214-\r\n214 b\r\n" },
        { "foreign bytes", 550, NULL, "a\rb\tc\x01\xc3\xb6\x7f", "550 a?b?c????\r\n" },
        { "injected reply", 550, NULL, "x\r\n250 Ok", "550-x?\r\n550 250 Ok\r\n" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(t); i++) {
        struct buf out;

        buf_init(&out, 4096);
        reply_write(&out, t[i].code, t[i].enhanced, t[i].text);
        expect_text(t[i].name, buf_view(&out), t[i].want);
        buf_clear(&out);
    }
}

/* Each line ends in CRLF, is printable and at most 512 bytes; returns how many. */
static size_t check_wire(struct strv out)
{
    struct line_reader r;
    struct strv line;
    size_t consumed, n = 0;

    line_init(&r, REPLY_LINE_MAX - 2);
    while (out.n > 0) {
        assert_int_equal(line_next(&r, out, &line, &consumed), LINE_OK);
        for (size_t i = 0; i < line.n; i++)
            assert_true(byte_is_print((unsigned char)line.p[i]));
        out = strv_from(out, consumed);
        n++;
    }
    return n;
}

static void long_lines_are_cut(void **state)
{
    char *text = mem_new(2001);
    struct buf out;

    (void)state;
    buf_init(&out, 10000);
    for (size_t n = 480; n < 2000; n++) {
        struct reply r;
        struct strv line, rest;
        size_t consumed;
        struct line_reader reader;

        for (size_t i = 0; i < n; i++)
            text[i] = i % 7 == 3 && i + 1 < n ? ' ' : 'x';
        text[n] = '\0';
        buf_reset(&out);
        reply_write(&out, 550, "5.7.1", text);
        check_wire(buf_view(&out));
        /* and comes back whole */
        reply_init(&r);
        line_init(&reader, REPLY_LINE_READ_MAX);
        rest = buf_view(&out);
        while (line_next(&reader, rest, &line, &consumed) == LINE_OK) {
            reply_feed(&r, line);
            rest = strv_from(rest, consumed);
        }
        assert_true(r.done);
        assert_int_equal(r.text.len, n + 6 * r.lines);
        reply_clear(&r);
    }
    memset(text, 'y', 2000);
    buf_reset(&out);
    reply_write(&out, 550, NULL, text);
    assert_int_equal(check_wire(buf_view(&out)), 4);
    buf_reset(&out);
    reply_writef(&out, 250, "2.0.0", "%s %d", text, 5);
    check_wire(buf_view(&out));
    buf_clear(&out);
    free(text);
}

static void line_lists(void **state)
{
    char big[1000];
    struct strv lines[3] = { SV_LIT("mx.example.com"), SV_LIT("PIPE\nLINING"), { big, sizeof big } };
    struct buf out;

    (void)state;
    memset(big, 'z', sizeof big);
    buf_init(&out, 4096);
    reply_write_lines(&out, 250, NULL, lines, 2);
    expect_text("ehlo", buf_view(&out), "250-mx.example.com\r\n250 PIPE?LINING\r\n");
    buf_reset(&out);
    reply_write_lines(&out, 250, NULL, lines, 3);
    assert_int_equal(check_wire(buf_view(&out)), 3);
    buf_clear(&out);
}

static const struct {
    const char *name;
    const char *lines[4];
    enum reply_step last;
    int code;
    const char *status, *first, *joined, *error;
} reads[] = {
    { "one line", { "220 hello" }, REPLY_DONE, 220, "", "hello", "220 hello", "" },
    { "code alone", { "250" }, REPLY_DONE, 250, "", "", "250", "" },
    { "code and blank", { "250 " }, REPLY_DONE, 250, "", "", "250", "" },
    { "status", { "250 2.1.0 ok" }, REPLY_DONE, 250, "2.1.0", "2.1.0 ok", "250 2.1.0 ok", "" },
    { "status alone", { "550 5.1.1" }, REPLY_DONE, 550, "5.1.1", "5.1.1", "550 5.1.1", "" },
    { "status of another class", { "550 2.1.0 no" }, REPLY_DONE, 550, "", "2.1.0 no", "550 2.1.0 no", "" },
    { "two lines", { "551-5.7.1 a", "551 5.7.1 b" }, REPLY_DONE, 551, "5.7.1", "5.7.1 a", "551 5.7.1 a / b",
      "" },
    { "status in the second line", { "550-hello", "550 5.7.1 b" }, REPLY_DONE, 550, "5.7.1", "hello",
      "550 hello / 5.7.1 b", "" },
    { "continuation without text", { "250-", "250-", "250 x" }, REPLY_DONE, 250, "", "", "250 x", "" },
    { "controls", { "550 a\x01\xc3\xb6" }, REPLY_DONE, 550, "", "a\x01\xc3\xb6", "550 a???", "" },
    { "354", { "354 go" }, REPLY_DONE, 354, "", "go", "354 go", "" },
    { "not done", { "250-x" }, REPLY_MORE, 250, "", "x", "250 x", "" },

    { "empty", { "" }, REPLY_BAD, 0, "", "", "000", "line 1: no reply code" },
    { "one byte", { "2" }, REPLY_BAD, 0, "", "", "000", "line 1: no reply code" },
    { "two bytes", { "25" }, REPLY_BAD, 0, "", "", "000", "line 1: no reply code" },
    { "no digits", { "ok then" }, REPLY_BAD, 0, "", "", "000", "line 1: bad reply code" },
    { "1yz", { "150 x" }, REPLY_BAD, 0, "", "", "000", "line 1: bad reply code" },
    { "6yz", { "600 x" }, REPLY_BAD, 0, "", "", "000", "line 1: bad reply code" },
    { "no blank", { "250x" }, REPLY_BAD, 0, "", "", "000",
      "line 1: neither blank nor hyphen behind the code" },
    { "four digits", { "2500 x" }, REPLY_BAD, 0, "", "", "000",
      "line 1: neither blank nor hyphen behind the code" },
    { "tab", { "250\tx" }, REPLY_BAD, 0, "", "", "000", "line 1: neither blank nor hyphen behind the code" },
    { "another code", { "250-a", "251 b" }, REPLY_BAD, 250, "", "a", "250 a",
      "line 2: another code than before" },
    { "CR inside", { "250 a\rb" }, REPLY_BAD, 0, "", "", "000", "line 1: NUL, CR or LF inside the line" },
    { "LF inside", { "250 a\nb" }, REPLY_BAD, 0, "", "", "000", "line 1: NUL, CR or LF inside the line" },
    { "second line missing", { "250-a", "" }, REPLY_BAD, 250, "", "a", "250 a", "line 2: no reply code" },
};

static void replies_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(reads); i++) {
        enum reply_step step = REPLY_MORE;
        char status[STATUS_TEXT];
        struct buf joined;
        struct reply r;

        reply_init(&r);
        buf_init(&joined, 4096);
        assert_string_equal(reply_error(&r), "");
        for (size_t k = 0; k < 4 && reads[i].lines[k]; k++)
            step = reply_feed(&r, SV(reads[i].lines[k]));
        if (step != reads[i].last)
            fail_msg("%s: step %d", reads[i].name, (int)step);
        assert_int_equal(r.code, reads[i].code);
        assert_int_equal(reply_class(&r), reads[i].code / 100);
        status_text(r.status, status);
        assert_string_equal(status, reads[i].status);
        expect_text(reads[i].name, reply_first_line(&r), reads[i].first);
        reply_text_joined(&r, &joined);
        expect_text(reads[i].name, buf_view(&joined), reads[i].joined);
        assert_string_equal(reply_error(&r), reads[i].error);
        if (step == REPLY_BAD)      /* no way on */
            assert_int_equal(reply_feed(&r, SV("250 ok")), REPLY_BAD);
        buf_clear(&joined);
        reply_clear(&r);
    }
}

static void next_reply_begins_by_itself(void **state)
{
    struct reply r;

    (void)state;
    reply_init(&r);
    assert_int_equal(reply_feed(&r, SV("550 5.1.1 no")), REPLY_DONE);
    assert_int_equal(reply_feed(&r, SV("250-yes")), REPLY_MORE);
    assert_int_equal(r.code, 250);
    assert_false(status_is_set(r.status));
    assert_int_equal(reply_feed(&r, SV("250 yes")), REPLY_DONE);
    assert_int_equal(r.lines, 2);
    assert_int_equal(reply_feed(&r, strv_make("250 a\0b", 7)), REPLY_BAD);
    reply_reset(&r);
    assert_int_equal(reply_feed(&r, SV("250 yes")), REPLY_DONE);
    reply_clear(&r);
}

static void limits(void **state)
{
    char big[1004];
    struct reply r;
    int n;

    (void)state;
    reply_init(&r);
    for (n = 0; n < REPLY_LINES_MAX - 1; n++)
        assert_int_equal(reply_feed(&r, SV("250-x")), REPLY_MORE);
    assert_int_equal(reply_feed(&r, SV("250 x")), REPLY_DONE);
    for (n = 0; n < REPLY_LINES_MAX; n++)
        assert_int_equal(reply_feed(&r, SV("250-x")), REPLY_MORE);
    assert_int_equal(reply_feed(&r, SV("250 x")), REPLY_BAD);
    assert_string_equal(reply_error(&r), "line 101: too many lines");
    reply_clear(&r);
    memset(big, 'x', sizeof big);
    memcpy(big, "250-", 4);
    for (n = 0; reply_feed(&r, strv_make(big, sizeof big)) == REPLY_MORE; n++)
        assert_true(n < 20);
    assert_string_equal(reply_error(&r), "line 17: too much text");
    reply_clear(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statuses),         cmocka_unit_test(writes),
        cmocka_unit_test(long_lines_are_cut), cmocka_unit_test(line_lists),
        cmocka_unit_test(replies_are_read), cmocka_unit_test(next_reply_begins_by_itself),
        cmocka_unit_test(limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
