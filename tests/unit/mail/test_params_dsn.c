/* test_params_dsn.c - NOTIFY, RET, ENVID, ORCPT: what is read, refused, and written again */
#include "common/mail/params.h"
#include "tests/support/unit.h"

static const struct {
    const char *value;
    uint64_t bits; /* 0: refused */
} notifies[] = {
    { "NEVER", 1 },
    { "never", 1 },
    { "SUCCESS", 2 },
    { "failure,DELAY", 12 },
    { "SUCCESS,FAILURE,DELAY", 14 },
    { "DELAY,DELAY", 8 },
    { "NEVER,SUCCESS", 0 },
    { "DELAY,NEVER", 0 },
    { "SUCCESS,", 2 }, /* RFC 822 2.7: null elements do not count */
    { ",SUCCESS", 2 },
    { "SUCCESS,,DELAY", 10 },
    { "NEVER,", 1 },
    { ",NEVER,DELAY", 0 },
    { ",", 0 },
    { ",,", 0 },
    { "", 0 },
    { "SOMETIMES", 0 },
    { "SUCCESS;DELAY", 0 },
};

static void notify(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(notifies); i++) {
        uint64_t bits = 0, again = 0;
        struct buf out;

        expect_bool(notifies[i].value, param_notify(SV(notifies[i].value), &bits), notifies[i].bits != 0);
        assert_int_equal(bits, notifies[i].bits);
        if (!bits)
            continue;
        buf_init(&out, 100);
        param_notify_write(bits, &out);
        assert_true(param_notify(buf_view(&out), &again));
        assert_int_equal(again, bits);
        buf_clear(&out);
    }
}

static void ret(void **state)
{
    uint64_t v = 0;

    (void)state;
    assert_true(param_ret(SV("full"), &v) && v == 1);
    assert_true(param_ret(SV("HDRS"), &v) && v == 2);
    assert_false(param_ret(SV("HEADERS"), &v));
    assert_false(param_ret(SV(""), &v));
}

static const struct {
    const char *value, *want; /* NULL: refused */
    bool orcpt;
} texts[] = {
    { "QQ314159", "QQ314159", false },
    { "a+2Bb+3Dc+20d", "a+b=c d", false },
    { "", NULL, false },
    { "a+0D+0AX-Forged:+20yes", NULL, false },
    { "a+00", NULL, false },
    { "a+7F", NULL, false },
    { "a+C3+A9", NULL, false },
    { "a+2", NULL, false },
    { "a+2b", NULL, false }, /* RFC 3461 4: upper case */
    { "a+e1", NULL, false },
    { "a+", NULL, false },
    { "+", NULL, false },
    { "++2B", NULL, false },
    { "a+2B+3D+2B", "a+=+", false },
    { "+20a+20", " a ", false },
    { "~!\"#$%&'()*,-./:;<>?@[\\]^_`{|}", "~!\"#$%&'()*,-./:;<>?@[\\]^_`{|}", false },
    { "a=b", NULL, false },
    { "rfc822;a+2Bb@c.test", "rfc822;a+b@c.test", true },
    { "x400;/C=de/", NULL, true },
    { "x-other;anything", "x-other;anything", true },
    { "a@b.test", NULL, true },
    { ";a@b.test", NULL, true },
    { "rfc822;", "rfc822;", true }, /* xtext may be empty */
    { "rfc822;+20a+20", "rfc822; a ", true },
    { "rfc822;CaSe@Far.TEST", "rfc822;CaSe@Far.TEST", true },
    { "x_400!;a", "x_400!;a", true }, /* an atom */
    { "x@400;a", NULL, true },
    { "x+C3;a", "x+C3;a", true },
    { "rfc822;a+2b", NULL, true },
    { "rfc 822;a", NULL, true },
    { "rfc822;a+0Ab", NULL, true },
    { "rfc822;a;b", "rfc822;a;b", true },
};

static void xtexts(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct buf out, back;
        bool ok;

        buf_init(&out, 2000);
        buf_init(&back, 2000);
        buf_adds(&out, "=");
        ok = texts[i].orcpt ? param_orcpt(SV(texts[i].value), &out) : param_envid(SV(texts[i].value), &out);
        expect_bool(texts[i].value, ok, texts[i].want != NULL);
        expect_text(texts[i].value, strv_from(buf_view(&out), 1), ok ? texts[i].want : "");
        if (ok) {
            ok = texts[i].orcpt ? param_orcpt_write(strv_from(buf_view(&out), 1), &back)
                                : param_envid_write(strv_from(buf_view(&out), 1), &back);
            expect_bool(texts[i].value, ok, true);
            expect_text("written", buf_view(&back), texts[i].value);
        }
        buf_clear(&out);
        buf_clear(&back);
    }
}

static void limits(void **state)
{
    char text[1200];
    struct buf out;

    (void)state;
    buf_init(&out, 2000);
    memset(text, 'x', sizeof text);
    assert_true(param_envid(strv_make(text, PARAM_ENVID_MAX), &out));
    assert_false(param_envid(strv_make(text, PARAM_ENVID_MAX + 1), &out));
    memcpy(text, "rfc822;", 7);
    assert_true(param_orcpt(strv_make(text, PARAM_ORCPT_MAX), &out));
    assert_false(param_orcpt(strv_make(text, PARAM_ORCPT_MAX + 1), &out));
    /* What grows over the limit on its way out is left out, and leaves nothing behind. */
    buf_reset(&out);
    memset(text, '+', sizeof text);
    assert_false(param_envid_write(strv_make(text, PARAM_ENVID_MAX), &out));
    memcpy(text, "rfc822;", 7);
    assert_false(param_orcpt_write(strv_make(text, PARAM_ORCPT_MAX), &out));
    assert_false(param_orcpt_write(SV("no type"), &out));
    assert_false(param_orcpt_write(SV("rfc822;gr\xc3\xbc\xc3\x9f@far.test"), &out));
    assert_false(param_envid_write(SV("gr\xc3\xbc\xc3\x9f"), &out));
    assert_false(param_envid_write(SV("two\nlines"), &out));
    assert_int_equal(out.len, 0);
    buf_clear(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(notify),
        cmocka_unit_test(ret),
        cmocka_unit_test(xtexts),
        cmocka_unit_test(limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
