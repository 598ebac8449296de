/* test_withhold.c - which words of a notice would tell a sender where his mail went */
#include "cleanup/withhold.h"
#include "tests/support/unit.h"

static const struct {
    const char *given, *target, *what, *words;
    bool names;
} cases[] = {
    /* the address leads nowhere else */
    { "bob@far.test", "bob@far.test", "", "550 <bob@far.test>: unknown", false },
    { "Bob@Far.test", "bob@far.test", "", "550 <bob@far.test>: unknown", false },
    { "bob@own.test", "bob@own.test", "\\", "quota of bob@own.test exceeded", false },
    /* an alias */
    { "sales@own.test", "bob@own.test", "", "550 <bob@own.test>: unknown", true },
    { "sales@own.test", "bob@own.test", "", "550 BOB is unknown", true },
    { "sales@own.test", "bob@far.test", "", "mx.FAR.test[192.0.2.1]:25", true },
    { "sales@own.test", "bob@far.test", "", "550 content refused", false },
    { "bob@own.test", "bob@far.test", "", "550 bob is unknown", false },
    { "bob@own.test", "bob@far.test", "", "550 bob at far.test is unknown", true },
    /* a command, a file */
    { "list@own.test", "list@own.test", "@|/usr/bin/take it", "550 no", false },
    { "list@own.test", "list@own.test", "|/usr/bin/take it", "/usr/bin/take: not found", true },
    { "list@own.test", "list@own.test", "|\"/usr/bin/take it\"", "/usr/bin/take: not found", true },
    { "list@own.test", "list@own.test", "/var/log/it", "cannot write /var/log/it", true },
    { "list@own.test", "list@own.test", "|/usr/bin/take it", "user unknown", false },
    { "list@own.test", "list@own.test", "@|/usr/bin/take it", "sh: 1: /usr/bin/take: not found", true },
    { "bob@own.test", "bob@own.test", "~|\"/usr/bin/take it\"", "/usr/bin/take: not found", true },
    { "bob@own.test", "bob@own.test", "=|/usr/bin/take", "/USR/bin/take says no", true },
    { "bob@own.test", "bob@own.test", "~/home/bob/box", "cannot write /home/bob/box", true },
    { "bob@own.test", "bob@own.test", "~|/usr/bin/take", "user unknown", false },
};

static void names(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct withhold w = { SV(cases[i].given), SV(cases[i].target), SV(cases[i].what) };

        expect_bool(cases[i].words, withhold_names(&w, SV(cases[i].words)), cases[i].names);
    }
}

static const struct {
    const char *reply, *want;
} replies[] = {
    { "550 5.1.1 <bob@far.test>: unknown", "550 5.1.1 (the rest names an address that is not told)" },
    { "451 bob is away", "451 (the rest names an address that is not told)" },
    { "550-5.1.1 bob", "550 (the rest names an address that is not told)" },
    { "bob", "550 (the rest names an address that is not told)" },
    { "", "550 (the rest names an address that is not told)" },
};

static void reply(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(replies); i++) {
        struct buf out;

        buf_init(&out, 200);
        withhold_reply(SV(replies[i].reply), &out);
        expect_text(replies[i].reply, buf_view(&out), replies[i].want);
        buf_clear(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(names), cmocka_unit_test(reply) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
