/* test_strv.c - views: comparing, cutting, numbers, hex */
#include "common/base/mem.h"
#include "common/base/strv.h"
#include "tests/support/unit.h"

#include <stdlib.h>

static void compares(void **state)
{
    (void)state;
    assert_true(strv_is(SV("abc"), "abc"));
    assert_false(strv_is(SV("abc"), "ab"));
    assert_true(strv_eq(SV(NULL), SV("")));
    assert_true(strv_eq(strv_make(NULL, 0), SV("")));
    assert_true(strv_ieq(SV("aBc"), SV("AbC")));
    assert_false(strv_ieq(SV("aBc"), SV("AbCd")));
    assert_false(strv_ieq(SV("a["), SV("a{")));     /* letters only: '[' and '{' differ by the same bit */
    assert_true(strv_iis(SV("EHLO"), "ehlo"));
    assert_int_equal(strv_cmp(SV("a"), SV("a")), 0);
    assert_true(strv_cmp(SV("a"), SV("ab")) < 0);
    assert_true(strv_cmp(SV("ab"), SV("a")) > 0);
    assert_true(strv_cmp(SV("b"), SV("ab")) > 0);
    assert_true(strv_cmp(SV("\x80"), SV("a")) > 0);
    assert_true(strv_starts(SV("abc"), SV("ab")));
    assert_false(strv_starts(SV("a"), SV("ab")));
    assert_true(strv_istarts(SV("ABc"), SV("ab")));
    assert_false(strv_istarts(SV("xbc"), SV("ab")));
    assert_true(strv_ends(SV("abc"), SV("bc")));
    assert_false(strv_ends(SV("c"), SV("bc")));
    assert_true(strv_iends(SV("aBC"), SV("bc")));
    assert_false(strv_iends(SV("abx"), SV("bc")));
}

static void searches(void **state)
{
    size_t at = 99;

    (void)state;
    assert_true(strv_find(SV("a:b:c"), ':', &at));
    assert_int_equal(at, 1);
    assert_true(strv_rfind(SV("a:b:c"), ':', &at));
    assert_int_equal(at, 3);
    assert_false(strv_find(SV("abc"), ':', &at));
    assert_false(strv_rfind(SV(""), ':', &at));
    assert_int_equal(at, 3);        /* untouched when not found */
    assert_true(strv_has(strv_make("a\0b", 3), '\0'));
    assert_false(strv_has(SV("ab"), '\0'));
    assert_false(byte_in_set('\0', "abc"));
    assert_true(byte_in_set('c', "abc"));
    assert_int_equal(byte_lower('Z'), 'z');
    assert_int_equal(byte_lower('['), '[');
    assert_false(byte_is_print(127));
    assert_false(byte_is_print(0));
}

static void parts(void **state)
{
    (void)state;
    expect_text("sub", strv_sub(SV("abcdef"), 2, 3), "cde");
    expect_text("sub clamps", strv_sub(SV("abc"), 2, 99), "c");
    expect_text("sub behind the end", strv_sub(SV("abc"), 9, 1), "");
    expect_text("from", strv_from(SV("abc"), 1), "bc");
    expect_text("from of nothing", strv_from(strv_make(NULL, 0), 1), "");
    expect_text("trim", strv_trim(SV(" \t a b\r\n")), "a b");
    expect_text("trim of blanks", strv_trim(SV("  ")), "");
}

static void cuts(void **state)
{
    struct strv rest = SV("a,,b"), head;

    (void)state;
    assert_true(strv_cut(&rest, ',', &head));
    expect_text("first", head, "a");
    assert_true(strv_cut(&rest, ',', &head));
    expect_text("empty", head, "");
    assert_true(strv_cut(&rest, ',', &head));
    expect_text("last", head, "b");
    assert_null(rest.p);
    assert_false(strv_cut(&rest, ',', &head));
    rest = SV("");
    assert_true(strv_cut(&rest, ',', &head));
    assert_int_equal(head.n, 0);
    assert_false(strv_cut(&rest, ',', &head));
    rest = SV("a,");
    assert_true(strv_cut(&rest, ',', &head));
    assert_true(strv_cut(&rest, ',', &head));
    expect_text("behind the last separator", head, "");
    assert_false(strv_cut(&rest, ',', &head));
}

static void words(void **state)
{
    struct strv rest = SV("  one\ttwo "), word;

    (void)state;
    assert_true(strv_word(&rest, &word));
    expect_text("one", word, "one");
    assert_true(strv_word(&rest, &word));
    expect_text("two", word, "two");
    assert_false(strv_word(&rest, &word));
    rest = SV("");
    assert_false(strv_word(&rest, &word));
}

static void numbers(void **state)
{
    static const struct {
        const char *in;
        uint64_t max;
        bool ok;
        uint64_t want;
    } t[] = {
        { "0", 10, true, 0 },
        { "10", 10, true, 10 },
        { "11", 10, false, 0 },
        { "", 10, false, 0 },
        { "-1", 10, false, 0 },
        { "+1", 10, false, 0 },
        { " 1", 10, false, 0 },
        { "1x", 10, false, 0 },
        { "007", 10, true, 7 },
        { "18446744073709551615", UINT64_MAX, true, UINT64_MAX },
        { "18446744073709551616", UINT64_MAX, false, 0 },
        { "99999999999999999999", UINT64_MAX, false, 0 },
        { "184467440737095516150", UINT64_MAX, false, 0 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(t); i++) {
        uint64_t v = 77;

        expect_bool(t[i].in, strv_u64(SV(t[i].in), t[i].max, &v), t[i].ok);
        assert_int_equal(v, t[i].ok ? t[i].want : 77);
    }
}

static void hex(void **state)
{
    uint8_t out[2];

    (void)state;
    assert_true(strv_hex(SV("0aFf"), out, 2));
    assert_int_equal(out[0], 10);
    assert_int_equal(out[1], 255);
    assert_false(strv_hex(SV("0aF"), out, 2));
    assert_false(strv_hex(SV("0aFfaa"), out, 2));
    assert_false(strv_hex(SV("0aFg"), out, 2));
    assert_false(strv_hex(SV("0x12"), out, 2));
    assert_true(strv_hex(SV(""), out, 0));
}

static void copies(void **state)
{
    char small[4];
    char *heap;

    (void)state;
    assert_true(strv_cstr(SV("abc"), small, sizeof small));
    assert_string_equal(small, "abc");
    assert_false(strv_cstr(SV("abcd"), small, sizeof small));
    assert_string_equal(small, "");
    assert_false(strv_cstr(strv_make("a\0b", 3), small, sizeof small));
    assert_true(strv_cstr(strv_make(NULL, 0), small, sizeof small));
    assert_false(strv_cstr(SV(""), small, 0));
    heap = strv_dup(SV("abc"));
    assert_string_equal(heap, "abc");
    MEM_FREE(heap);
    assert_null(heap);
    heap = strv_dup(strv_make(NULL, 0));
    assert_string_equal(heap, "");
    free(heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compares), cmocka_unit_test(searches), cmocka_unit_test(parts),
        cmocka_unit_test(cuts),     cmocka_unit_test(words),    cmocka_unit_test(numbers),
        cmocka_unit_test(hex),      cmocka_unit_test(copies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
