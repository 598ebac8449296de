/* test_qp.c - quoted-printable: the rules of RFC 2045 6.7, at their edges */
#include "common/mail/qp.h"
#include "tests/support/unit.h"

static const struct {
    const char *name, *in, *out;
} cases[] = {
    { "nothing", "", "" },
    { "ASCII stays", "Hello, world!\r\n", "Hello, world!\r\n" },
    { "the sign itself", "a=b\r\n", "a=3Db\r\n" },
    { "UTF-8", "gr\xc3\xbc\xc3\x9f\r\n", "gr=C3=BC=C3=9F\r\n" },
    { "a blank at the end of a line", "a \r\nb\t\r\n c d\r\n", "a=20\r\nb=09\r\n c d\r\n" },
    { "a blank at the end of all", "a ", "a=20" },
    { "CR and LF alone are no line end", "a\rb\nc\r\n", "a=0Db=0Ac\r\n" },
    { "an empty line", "\r\n\r\n", "\r\n\r\n" },
};

static void rules(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct buf out;

        buf_init(&out, 4096);
        qp_encode(SV(cases[i].in), &out);
        expect_text(cases[i].name, buf_view(&out), cases[i].out);
        buf_clear(&out);
    }
}

static int hex(char c)
{
    return byte_is_digit((unsigned char)c) ? c - '0' : c - 'A' + 10;
}

/* No line over 76 characters, and the decoder of RFC 2045 gives back what was there. */
static void long_lines(void **state)
{
    (void)state;
    for (size_t n = 60; n < 240; n++) {
        struct buf in, out, back;
        size_t col = 0;

        buf_init(&in, 4096);
        buf_init(&out, 4096);
        buf_init(&back, 4096);
        for (size_t i = 0; i < n; i++)
            buf_adds(&in, i % 7 == n % 7 ? "\xc3\xbc" : i % 5 == 4 ? " " : "x");
        buf_adds(&in, "\r\n");
        qp_encode(buf_view(&in), &out);
        for (size_t i = 0; i < out.len; i++) {
            col = out.data[i] == '\n' ? 0 : col + (out.data[i] != '\r');
            assert_true(col <= 76);
            if (out.data[i] != '=') {
                buf_addc(&back, out.data[i]);
            } else if (out.data[i + 1] == '\r') {
                i += 2;
                col = 0;
            } else {
                buf_addc(&back, (char)(hex(out.data[i + 1]) * 16 + hex(out.data[i + 2])));
                i += 2;
                col += 2;
            }
        }
        expect_text("round trip", buf_view(&back), buf_cstr(&in));
        buf_clear(&in);
        buf_clear(&out);
        buf_clear(&back);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(rules), cmocka_unit_test(long_lines) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
