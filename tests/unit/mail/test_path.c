/* test_path.c - command lines, paths and parameters */
#include "common/mail/command.h"
#include "common/mail/params.h"
#include "common/mail/path.h"
#include "tests/support/unit.h"

static const struct {
    const char *name, *in;
    enum path_kind kind;
    bool ok;
    const char *address, *rest;
    bool route;
} paths[] = {
    { "plain", "FROM:<a@x.org>", PATH_REVERSE, true, "<a@x.org>", "", false },
    { "lower case", "to:<a@x.org>", PATH_FORWARD, true, "<a@x.org>", "", false },
    { "blank behind the colon", "FROM: <a@x.org>", PATH_REVERSE, true, "<a@x.org>", "", false },
    { "blanks", "TO:\t  <a@x.org>", PATH_FORWARD, true, "<a@x.org>", "", false },
    { "parameters", "FROM:<a@x.org> SIZE=1 X", PATH_REVERSE, true, "<a@x.org>", " SIZE=1 X", false },
    { "null path", "FROM:<>", PATH_REVERSE, true, "<>", "", false },
    { "null path with parameters", "FROM:<> BODY=7BIT", PATH_REVERSE, true, "<>", " BODY=7BIT", false },
    { "postmaster", "TO:<PostMaster>", PATH_FORWARD, true, "<PostMaster>", "", false },
    { "route", "TO:<@a.org,@b.org:c@x.org>", PATH_FORWARD, true, "<c@x.org>", "", true },
    { "route of one", "FROM:<@a.org:c@x.org>", PATH_REVERSE, true, "<c@x.org>", "", true },
    { "> in quotes", "TO:<\"a>b\"@x.org> Z", PATH_FORWARD, true, "<\"a>b\"@x.org>", " Z", false },
    { "quoted quote before >", "TO:<\"a\\\">b\"@x.org>", PATH_FORWARD, true, "<\"a\\\">b\"@x.org>", "",
      false },
    { "@ in quotes", "TO:<\"@a:b\"@x.org>", PATH_FORWARD, true, "<\"@a:b\"@x.org>", "", false },
    { "literal", "TO:<a@[IPv6:::1]>", PATH_FORWARD, true, "<a@[IPv6:::1]>", "", false },

    { "null recipient", "TO:<>", PATH_FORWARD, false, NULL, "", false },
    { "wrong keyword", "TO:<a@x.org>", PATH_REVERSE, false, NULL, "", false },
    { "no keyword", "<a@x.org>", PATH_REVERSE, false, NULL, "", false },
    { "blank before the colon", "FROM :<a@x.org>", PATH_REVERSE, false, NULL, "", false },
    { "nothing", "", PATH_REVERSE, false, NULL, "", false },
    { "keyword alone", "FROM:", PATH_REVERSE, false, NULL, "", false },
    { "no brackets", "FROM:a@x.org", PATH_REVERSE, false, NULL, "", false },
    { "unclosed", "FROM:<a@x.org", PATH_REVERSE, false, NULL, "", false },
    { "unclosed quotes", "FROM:<\"a@x.org>", PATH_REVERSE, false, NULL, "", false },
    { "blank inside", "FROM:< a@x.org>", PATH_REVERSE, false, NULL, "", false },
    { "blank at the end inside", "FROM:<a@x.org >", PATH_REVERSE, false, NULL, "", false },
    { "blank alone inside", "FROM:< >", PATH_REVERSE, false, NULL, "", false },
    { "no blank behind", "FROM:<a@x.org>SIZE=1", PATH_REVERSE, false, NULL, "", false },
    { "two brackets", "FROM:<<a@x.org>>", PATH_REVERSE, false, NULL, "", false },
    { "postmaster as sender", "FROM:<postmaster>", PATH_REVERSE, false, NULL, "", false },
    { "local recipient", "TO:<root>", PATH_FORWARD, false, NULL, "", false },
    { "shell as sender", "FROM:<;sleep 66;>", PATH_REVERSE, false, NULL, "", false },
    { "route without a colon", "TO:<@a.org,b@x.org>", PATH_FORWARD, false, NULL, "", false },
    { "route without an address", "TO:<@a.org:>", PATH_FORWARD, false, NULL, "", false },
    { "route with a bad hop", "TO:<@a.org,b.org:c@x.org>", PATH_FORWARD, false, NULL, "", false },
    { "route with an empty hop", "TO:<@:c@x.org>", PATH_FORWARD, false, NULL, "", false },
    { "route and postmaster", "TO:<@a.org:x>", PATH_FORWARD, false, NULL, "", false },
    { "quoted keyword end", "FROM:<a@x.org\\>", PATH_REVERSE, false, NULL, "", false },
};

static void path_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(paths); i++) {
        const char *why = NULL;
        struct path p;
        struct strv rest;
        struct buf out;

        expect_bool(paths[i].name, path_parse(paths[i].kind, SV(paths[i].in), 0, &p, &rest, &why),
                    paths[i].ok);
        if (!paths[i].ok) {
            assert_non_null(why);
            assert_true(address_is_null(&p.address));
            continue;
        }
        buf_init(&out, 1000);
        address_format_path(&p.address, &out);
        expect_text(paths[i].name, buf_view(&out), paths[i].address);
        expect_text(paths[i].name, rest, paths[i].rest);
        expect_bool(paths[i].name, p.had_route, paths[i].route);
        path_clear(&p);
        buf_clear(&out);
    }
}

static void local_when_allowed(void **state)
{
    struct path p;
    struct strv rest;

    (void)state;
    assert_true(path_parse(PATH_REVERSE, SV("FROM:<root>"), ADDRESS_LOCAL_OK, &p, &rest, NULL));
    assert_int_equal(p.address.kind, ADDRESS_LOCAL);
    path_clear(&p);
}

static void commands(void **state)
{
    static const struct {
        const char *in, *verb, *argument;
    } t[] = {
        { "QUIT", "QUIT", "" },
        { "quit  \t", "quit", "" },
        { "MAIL FROM:<a@b>", "MAIL", "FROM:<a@b>" },
        { "EHLO \t x.org \t", "EHLO", "x.org" },
        { "ABCDEFGHIJKLMNOP x", "ABCDEFGHIJKLMNOP", "x" },
        { "ABCDEFGHIJKLMNOPQ", NULL, NULL },
        { "", NULL, NULL },
        { "   ", NULL, NULL },
        { " QUIT", NULL, NULL },
        { "QUIT!", NULL, NULL },
        { "B52", NULL, NULL },
        { "MAIL:x", NULL, NULL },
        { "\x16\x03\x01", NULL, NULL },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(t); i++) {
        struct strv verb, argument;

        expect_bool(t[i].in, command_split(SV(t[i].in), &verb, &argument), t[i].verb != NULL);
        if (t[i].verb) {
            expect_text(t[i].in, verb, t[i].verb);
            expect_text(t[i].in, argument, t[i].argument);
        }
    }
    assert_true(command_is_clean(SV("MAIL FROM:<a@b>"), false));
    assert_false(command_is_clean(SV("MAIL\tFROM"), false));
    assert_false(command_is_clean(SV("a\x7f"), true));
    assert_false(command_is_clean(SV("\xc3\xb6"), false));
    assert_true(command_is_clean(SV("\xc3\xb6"), true));
    assert_false(command_is_clean(SV("\xc3"), true));
}

static void parameters(void **state)
{
    struct strv rest = SV(" SIZE=10  body=8bitmime\tX-y ");
    struct param p;

    (void)state;
    assert_int_equal(param_next(&rest, &p), PARAM_OK);
    expect_text("keyword", p.keyword, "SIZE");
    expect_text("value", p.value, "10");
    assert_true(p.has_value);
    assert_int_equal(param_next(&rest, &p), PARAM_OK);
    expect_text("keyword", p.keyword, "body");
    assert_int_equal(param_next(&rest, &p), PARAM_OK);
    expect_text("keyword", p.keyword, "X-y");
    assert_false(p.has_value);
    assert_int_equal(param_next(&rest, &p), PARAM_END);
    assert_int_equal(param_next(&rest, &p), PARAM_END);
}

static void bad_parameters(void **state)
{
    static const char *const bad[] = {
        "=", "=x", "A=", "A=b=c", "-A", "A_B", "A=\xc3\xb6", "\xc3\xb6", "A=\x01", "<a@b>", "A\x7f", "A=\x7f",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct strv rest = SV(bad[i]);
        struct param p;

        if (param_next(&rest, &p) != PARAM_BAD)
            fail_msg("%s was taken", bad[i]);
    }
}

static void sizes_and_bodies(void **state)
{
    static const struct {
        const char *in;
        bool ok;
        uint64_t want;
    } t[] = {
        { "0", true, 0 },
        { "1234", true, 1234 },
        { "18446744073709551615", true, UINT64_MAX },
        { "18446744073709551616", true, UINT64_MAX },
        { "99999999999999999999", true, UINT64_MAX },
        { "100000000000000000000", false, 0 },
        { "", false, 0 },
        { "-1", false, 0 },
        { "1k", false, 0 },
    };
    enum param_body body;

    (void)state;
    for (size_t i = 0; i < COUNT(t); i++) {
        uint64_t v = 0;

        expect_bool(t[i].in, param_size(SV(t[i].in), &v), t[i].ok);
        assert_true(v == t[i].want);
    }
    for (int i = PARAM_BODY_7BIT; i <= PARAM_BODY_BINARYMIME; i++) {
        assert_true(param_body(SV(param_body_name((enum param_body)i)), &body));
        assert_int_equal(body, i);
    }
    assert_true(param_body(SV("8bitMime"), &body));
    assert_false(param_body(SV("9BIT"), &body));
    assert_false(param_body(SV(""), &body));
}

static void xtext(void **state)
{
    static const struct {
        const char *in, *want;
    } t[] = {
        { "abc", "abc" }, { "a+2Bb", "a+b" }, { "a+3Db", "a=b" }, { "+2B", "+" }, { "", "" },
        { "+0D+0A", "\r\n" },
        { "+", NULL }, { "+2", NULL }, { "a+2G", NULL }, { "++", NULL }, { "a=b", NULL }, { "a b", NULL },
        { "\xc3\xb6", NULL }, { "a\x7f", NULL }, { "a+", NULL },
        { "+2b", NULL }, /* RFC 3461 4: two upper case digits */
    };
    char all[256];
    struct buf enc, dec;

    (void)state;
    buf_init(&enc, 1000);
    buf_init(&dec, 1000);
    for (size_t i = 0; i < COUNT(t); i++) {
        buf_reset(&dec);
        expect_bool(t[i].in, xtext_decode(SV(t[i].in), &dec), t[i].want != NULL);
        expect_text(t[i].in, buf_view(&dec), t[i].want ? t[i].want : "");
    }
    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    buf_reset(&dec);
    xtext_encode(strv_make(all, 256), &enc);
    assert_true(xtext_decode(buf_view(&enc), &dec));
    assert_true(strv_eq(buf_view(&dec), strv_make(all, 256)));
    for (size_t i = 0; i < enc.len; i++)
        assert_true(enc.data[i] > 32 && enc.data[i] < 127);
    buf_clear(&enc);
    buf_clear(&dec);
    buf_init(&dec, 2);
    assert_false(xtext_decode(SV("abc"), &dec));
    buf_clear(&dec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(path_cases), cmocka_unit_test(local_when_allowed), cmocka_unit_test(commands),
        cmocka_unit_test(parameters), cmocka_unit_test(bad_parameters), cmocka_unit_test(sizes_and_bodies),
        cmocka_unit_test(xtext),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
