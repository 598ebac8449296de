/* test_line.c - a line ends in CRLF and in nothing else, however the bytes arrive */
#include "common/base/mem.h"
#include "common/mail/line.h"
#include "tests/support/unit.h"

#include <stdlib.h>

#define MAX 8

/* Reads the input in steps of chunk bytes and writes what came out as text: "line|" or a mark per result. */
static void run(struct strv in, size_t chunk, struct buf *out)
{
    struct line_reader r;
    struct buf pending;
    size_t fed = 0;

    buf_init(&pending, 1 << 20);
    line_init(&r, MAX);
    for (;;) {
        static const char *const marks[] = {
            [LINE_NONE] = "",         [LINE_OK] = "|",          [LINE_TOO_LONG] = "(long)",
            [LINE_NUL] = "(nul)",
            [LINE_BARE_LF] = "(lf)", [LINE_BARE_CR] = "(cr)", [LINE_FLOOD] = "(flood)",
        };
        struct strv line;
        size_t consumed;
        enum line_result result = line_next(&r, buf_view(&pending), &line, &consumed);

        assert_true(consumed <= pending.len);
        buf_addv(out, line);
        buf_adds(out, marks[result]);
        buf_drop(&pending, consumed);
        if (result == LINE_FLOOD)
            break;
        if (result != LINE_NONE)
            continue;
        if (fed == in.n)
            break;
        buf_addv(&pending, strv_sub(in, fed, chunk));
        fed += chunk < in.n - fed ? chunk : in.n - fed;
    }
    buf_clear(&pending);
}

static const struct {
    const char *name, *in;
    size_t n;
    const char *want;
} cases[] = {
#define CASE(name, in, want) { name, in, sizeof(in) - 1, want }
    CASE("one", "abc\r\n", "abc|"),
    CASE("empty line", "\r\n", "|"),
    CASE("two", "a\r\nb\r\n", "a|b|"),
    CASE("no end", "abc", ""),
    CASE("CR at the end", "abc\r", ""),
    CASE("limit", "12345678\r\n", "12345678|"),
    CASE("one over the limit", "123456789\r\nx\r\n", "(long)x|"),
    CASE("far over the limit", "1234567890123456789012345\r\nx\r\n", "(long)x|"),
    CASE("over the limit, then nothing", "1234567890", ""),
    CASE("bare LF", "abc\nd\r\n", "abc(lf)d|"),
    CASE("LF first", "\nd\r\n", "(lf)d|"),
    CASE("bare CR", "abc\rd\r\n", "abc(cr)d|"),
    CASE("CR CR LF", "abc\r\r\n", "abc(cr)|"),
    CASE("LF CR", "a\n\rb\r\n", "a(lf)(cr)b|"),
    CASE("NUL", "a\0b\r\nc\r\n", "(nul)c|"),
    CASE("NUL alone", "\0\r\n", "(nul)"),
    CASE("NUL and bare LF", "a\0\n", "a\0(lf)"),
    CASE("NUL over the limit", "123456789\0\r\n", "(long)"),
    CASE("bare LF over the limit", "1234567890\nx\r\n", "(lf)x|"),
    CASE("bare CR over the limit", "1234567890\rx\r\n", "(cr)x|"),
    CASE("CR at the limit", "12345678\rx\r\n", "12345678(cr)x|"),
    CASE("8-bit", "\xff\xfe\r\n", "\xff\xfe|"),
    CASE("smuggled end of data", "a\n.\r\nb\r\n", "a(lf).|b|"),
};

static void whole_and_trickled(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct strv in = strv_make(cases[i].in, cases[i].n);

        for (size_t chunk = 1; chunk <= in.n + 1; chunk++) {
            struct buf out;

            buf_init(&out, 4096);
            run(in, chunk, &out);
            if (strcmp(cases[i].name, "NUL and bare LF") == 0)
                assert_true(strv_eq(buf_view(&out), strv_make("a\0(lf)", 6)));
            else
                expect_text(cases[i].name, buf_view(&out), cases[i].want);
            buf_clear(&out);
        }
    }
}

/* before: bytes in front of CRLF. */
static void flood_case(size_t before, const char *want)
{
    static const size_t chunks[] = { 1, 7, 4096, 1 << 20 };
    char *in = mem_new(before + 2);

    memset(in, 'x', before);
    memcpy(in + before, "\r\n", 2);
    for (size_t i = 0; i < COUNT(chunks); i++) {
        struct buf out;

        buf_init(&out, 4096);
        run(strv_make(in, before + 2), chunks[i], &out);
        expect_text(want, buf_view(&out), want);
        buf_clear(&out);
    }
    free(in);
}

static void floods(void **state)
{
    (void)state;
    flood_case(MAX + LINE_SKIP_MAX, "(long)");
    flood_case(MAX + LINE_SKIP_MAX + 1, "(flood)");
    flood_case(MAX + 3 * LINE_SKIP_MAX, "(flood)");
}

static void max_zero(void **state)
{
    struct line_reader r;
    struct strv line;
    size_t consumed;

    (void)state;
    line_init(&r, 0);
    assert_int_equal(line_next(&r, SV("\r\n"), &line, &consumed), LINE_OK);
    assert_int_equal(consumed, 2);
    assert_int_equal(line_next(&r, SV("a\r\n"), &line, &consumed), LINE_TOO_LONG);
    assert_int_equal(line_next(&r, SV(""), &line, &consumed), LINE_NONE);
    assert_int_equal(consumed, 0);
    assert_int_equal(line_next(&r, strv_make(NULL, 0), &line, &consumed), LINE_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_and_trickled),
        cmocka_unit_test(floods),
        cmocka_unit_test(max_zero),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
