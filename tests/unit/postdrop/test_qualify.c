/* test_qualify.c - names without a domain in header fields */
#include "tests/support/unit.h"

#include "cleanup/qualify.h"

static const struct {
    const char *field, *want; /* want NULL: left as it is */
} cases[] = {
    { "To: root\r\n", "To: root@d.test\r\n" },
    { "To:root\r\n", "To:root@d.test\r\n" },
    { "From: root (Cron Daemon)\r\n", "From: root@d.test (Cron Daemon)\r\n" },
    { "From: \"A, B\" <root>\r\n", "From: \"A, B\" <root@d.test>\r\n" },
    { "Cc: a, b@x.org,\r\n c (x)\r\n", "Cc: a@d.test, b@x.org,\r\n c@d.test (x)\r\n" },
    { "To: list: a, b;\r\n", "To: list: a@d.test, b@d.test;\r\n" },
    { "Resent-To: \"a b\"\r\n", "Resent-To: \"a b\"@d.test\r\n" },
    { "to: A.b\r\n", "to: A.b@d.test\r\n" },
    { "To: a@b.org\r\n", NULL },
    { "Subject: root\r\n", NULL },
    { "To: a b\r\n", NULL },
    { "To: a, <b\r\n", NULL },
    { "To: undisclosed-recipients:;\r\n", NULL },
    { "To:\r\n", NULL },
};

static void test_fields(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct strv block = SV(cases[i].field);
        struct header_field f;
        struct buf out;
        bool changed;

        buf_init(&out, 4096);
        assert_true(header_next(&block, &f));
        changed = qualify_field(&f, SV_LIT("d.test"), &out);
        expect_bool(cases[i].field, changed, cases[i].want != NULL);
        expect_text(cases[i].field, buf_view(&out), cases[i].want ? cases[i].want : "");
        buf_clear(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_fields) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
