/* test_dot.c - dot-stuffing both ways: only CRLF.CRLF ends, and nothing bare ever leaves */
#include "common/mail/dot.h"
#include "tests/support/unit.h"

/* Decodes in steps of chunk bytes; *used is what was consumed. True at the end of data. */
static bool decode(struct strv in, size_t chunk, struct dot_decoder *d, struct buf *out, size_t *used)
{
    enum dot_step step = DOT_MORE;

    dot_decode_init(d);
    *used = 0;
    while (*used < in.n && step == DOT_MORE) {
        struct strv part = strv_sub(in, *used, chunk);
        size_t consumed;

        step = dot_decode(d, part, out, &consumed);
        if (step == DOT_MORE)
            assert_int_equal(consumed, part.n);
        *used += consumed;
    }
    return step == DOT_END;
}

static const struct {
    const char *name, *in, *out, *rest;
    bool end;
    uint64_t cr, lf, nul;
} cases[] = {
    { "empty message", ".\r\n", "", "", true, 0, 0, 0 },
    { "a line", "a\r\n.\r\n", "a\r\n", "", true, 0, 0, 0 },
    { "the next command follows", "a\r\n.\r\nQUIT\r\n", "a\r\n", "QUIT\r\n", true, 0, 0, 0 },
    { "stuffed dot", "..\r\n.\r\n", ".\r\n", "", true, 0, 0, 0 },
    { "stuffed dots", "...a\r\n.\r\n", "..a\r\n", "", true, 0, 0, 0 },
    { "dot before text", ".a\r\n.\r\n", "a\r\n", "", true, 0, 0, 0 },
    { "dot inside", "a.b.\r\n.\r\n", "a.b.\r\n", "", true, 0, 0, 0 },
    { "empty lines", "\r\n\r\n.\r\n", "\r\n\r\n", "", true, 0, 0, 0 },
    { "no end", "a\r\n", "a\r\n", "", false, 0, 0, 0 },
    { "dot without CRLF", "a\r\n.", "a\r\n", "", false, 0, 0, 0 },
    { "dot CR at the end", "a\r\n.\r", "a\r\n", "", false, 0, 0, 0 },

    { "LF . LF", "a\n.\nb\r\n.\r\n", "a\n.\nb\r\n", "", true, 0, 2, 0 },
    { "LF . CRLF", "a\n.\r\nb\r\n.\r\n", "a\n.\r\nb\r\n", "", true, 0, 1, 0 },
    { "CRLF . LF", "a\r\n.\nb\r\n.\r\n", "a\r\n\nb\r\n", "", true, 0, 1, 0 },
    { "CR . CR", "a\r.\rb\r\n.\r\n", "a\r.\rb\r\n", "", true, 2, 0, 0 },
    { "CR . CRLF", "a\r.\r\nb\r\n.\r\n", "a\r.\r\nb\r\n", "", true, 1, 0, 0 },
    { "CRLF . CR", "a\r\n.\rb\r\n.\r\n", "a\r\n\rb\r\n", "", true, 1, 0, 0 },
    { "CRLF . CR CRLF", "a\r\n.\r\r\n.\r\n", "a\r\n\r\r\n", "", true, 1, 0, 0 },
    { "CR CRLF . CRLF", "a\r\r\n.\r\n", "a\r\r\n", "", true, 1, 0, 0 },
    { "LF CR . CRLF", "a\n\r.\r\nb\r\n.\r\n", "a\n\r.\r\nb\r\n", "", true, 1, 1, 0 },
    { "CR LF LF .", "a\r\n\n.\r\nb\r\n.\r\n", "a\r\n\n.\r\nb\r\n", "", true, 0, 1, 0 },
    { "dot LF first", ".\nb\r\n.\r\n", "\nb\r\n", "", true, 0, 1, 0 },
    { "CR at the end of the input", "a\r", "a\r", "", false, 0, 0, 0 },
};

static void decodes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct strv in = SV(cases[i].in);

        for (size_t chunk = 1; chunk <= in.n; chunk++) {
            struct dot_decoder d;
            struct buf out;
            size_t used;

            buf_init(&out, 4096);
            expect_bool(cases[i].name, decode(in, chunk, &d, &out, &used), cases[i].end);
            expect_text(cases[i].name, buf_view(&out), cases[i].out);
            expect_text(cases[i].name, strv_from(in, used), cases[i].rest);
            if (d.bare_cr != cases[i].cr || d.bare_lf != cases[i].lf || d.nul != cases[i].nul)
                fail_msg("%s: counted %d %d %d", cases[i].name, (int)d.bare_cr, (int)d.bare_lf, (int)d.nul);
            assert_int_equal(d.decoded, out.len);
            assert_int_equal(dot_decode_is_dirty(&d), cases[i].cr + cases[i].lf > 0);
            buf_clear(&out);
        }
    }
}

static void nuls_are_counted_and_kept(void **state)
{
    static const char in[] = "a\0b\0\r\n.\0\r\n.\r\nQ\0";
    struct dot_decoder d;
    struct buf out;
    size_t used;

    (void)state;
    for (size_t chunk = 1; chunk < sizeof in; chunk++) {
        buf_init(&out, 100);
        assert_true(decode(strv_make(in, sizeof in - 1), chunk, &d, &out, &used));
        assert_int_equal(d.nul, 3);     /* not the one behind the end */
        assert_true(strv_eq(buf_view(&out), strv_make("a\0b\0\r\n\0\r\n", 9)));
        assert_true(dot_decode_is_dirty(&d));
        buf_clear(&out);
    }
}

static void ended_stays_ended(void **state)
{
    struct dot_decoder d;
    struct buf out;
    size_t used;

    (void)state;
    buf_init(&out, 100);
    assert_true(decode(SV(".\r\n"), 3, &d, &out, &used));
    assert_int_equal(dot_decode(&d, SV("more"), &out, &used), DOT_END);
    assert_int_equal(used, 0);
    buf_clear(&out);
}

static bool encode(struct strv in, size_t chunk, struct buf *out)
{
    struct dot_encoder e;

    dot_encode_init(&e);
    for (size_t i = 0; i < in.n; i += chunk) {
        if (!dot_encode(&e, strv_sub(in, i, chunk), out))
            return false;
    }
    if (!dot_encode(&e, SV(""), out))
        return false;
    return dot_encode_end(&e, out);
}

static void encodes(void **state)
{
    static const struct {
        const char *name, *in, *want;   /* want NULL: refused */
    } t[] = {
        { "empty", "", ".\r\n" },
        { "a line", "a\r\n", "a\r\n.\r\n" },
        { "no line end", "a", "a\r\n.\r\n" },
        { "dot first", ".a\r\n", "..a\r\n.\r\n" },
        { "dot line", "a\r\n.\r\nb", "a\r\n..\r\nb\r\n.\r\n" },
        { "dot alone", ".", "..\r\n.\r\n" },
        { "dot inside", "a.\r\n.b.\r\n", "a.\r\n..b.\r\n.\r\n" },
        { "empty lines", "\r\n\r\n", "\r\n\r\n.\r\n" },
        { "bare LF", "a\nb\r\n", NULL },
        { "LF first", "\n", NULL },
        { "LF . CRLF", "a\n.\r\n", NULL },
        { "bare CR", "a\rb\r\n", NULL },
        { "CR CR LF", "a\r\r\n", NULL },
        { "CR at the end", "a\r", NULL },
        { "CRLF LF", "a\r\n\n", NULL },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(t); i++) {
        struct strv in = SV(t[i].in);

        for (size_t chunk = 1; chunk <= in.n + 1; chunk++) {
            struct buf out;

            buf_init(&out, 4096);
            expect_bool(t[i].name, encode(in, chunk, &out), t[i].want != NULL);
            if (t[i].want)
                expect_text(t[i].name, buf_view(&out), t[i].want);
            for (size_t k = 0; k < out.len; k++) {      /* also of a refused one nothing bare has left */
                if (out.data[k] == '\n')
                    assert_true(k > 0 && out.data[k - 1] == '\r');
                if (out.data[k] == '\r' && k + 1 < out.len)
                    assert_int_equal(out.data[k + 1], '\n');
            }
            assert_true(out.len == 0 || out.data[out.len - 1] != '\r');
            buf_clear(&out);
        }
    }
}

static void refusal_is_sticky(void **state)
{
    struct dot_encoder e;
    struct buf out;

    (void)state;
    buf_init(&out, 100);
    dot_encode_init(&e);
    assert_false(dot_encode(&e, SV("a\nb"), &out));
    assert_false(dot_encode(&e, SV("fine\r\n"), &out));
    assert_false(dot_encode_end(&e, &out));
    assert_int_equal(out.len, 0);
    buf_clear(&out);
    buf_init(&out, 4);
    dot_encode_init(&e);
    assert_false(dot_encode(&e, SV("abcdef\r\n"), &out));
    buf_clear(&out);
    dot_encode_init(&e);
    assert_true(dot_encode(&e, SV("a\r\n"), &out));
    assert_false(dot_encode_end(&e, &out));
    buf_clear(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes), cmocka_unit_test(nuls_are_counted_and_kept),
        cmocka_unit_test(ended_stays_ended), cmocka_unit_test(encodes),
        cmocka_unit_test(refusal_is_sticky),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
