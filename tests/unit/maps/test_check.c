/* test_check.c - sources of tables looked through: mistakes, entries that stand twice, loops */
#include "tests/support/unit.h"

#include "maps/check.h"

static const struct {
    const char *name;
    bool aliases;
    const char *text, *want; /* `level line: text` with LF, the text cut */
    size_t entries;
} cases[] = {
    { "empty", false, "", "", 0 },
    { "comments", false, "# a\n\n  # b\n", "", 0 },
    { "good text", false, "a 1\nb 2\n", "", 2 },
    { "good aliases", true, "a: b\nc: \\c, a\n", "", 2 },
    { "twice", false, "a 1\nA 2\n", "fault 2: a: stands already in line 1; this entry is never used\n", 2 },
    { "broken line, the rest is read", false, "a 1\n\"b 2\nc 3\na 4\n",
      "error 2: \nfault 4: a: stands already in line 1; this entry is never used\n", 3 },
    { "loop of two", true, "a: b\nb: a\n", "fault 2: b: b -> a closes a loop that begins in line 1\n", 2 },
    { "loop in capitals", true, "a: B\nb: A\n", "fault 2: b: b -> a closes a loop that begins in line 1\n",
      2 },
    { "loop behind others", true, "x: a\na: c@far.test, b\nb: c\nc: a\n",
      "fault 4: c: c -> a closes a loop that begins in line 2\n", 4 },
    { "itself is no loop", true, "a: a, b@far.test\n", "", 1 },
    { "final is no loop", true, "a: b\nb: \\a\n", "", 2 },
    { "a diamond is no loop", true, "a: b, c\nb: d\nc: d\nd: e@far.test\n", "", 4 },
    { "elsewhere is no loop", true, "a: a@far.test\n", "", 1 },
    { "no value", true, "a:\n", "error 1: ", 0 },
    { "nobody", true, "a: ,\n", "fault 1: a: names nobody", 1 },
    { "unclosed", true, "a: \"b\n", "error 1: ", 1 },
};

static const char *const words[] = { "advice", "fault", "error" };

static void on_say(void *arg, enum check_level level, unsigned line, const char *text)
{
    buf_addf(arg, "%s %u: %s\n", words[level], line, text);
}

/* What the library says in its own words is compared by its beginning. */
static bool fits(struct strv got, struct strv want)
{
    struct strv a, b;

    while (strv_cut(&want, '\n', &b)) {
        if (!strv_cut(&got, '\n', &a) || !strv_starts(a, b))
            return false;
    }
    return got.n == 0;
}

static void check_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct buf said;
        struct map_check c = { .aliases = cases[i].aliases, .file = "f", .say = on_say, .arg = &said };

        buf_init(&said, 65536);
        map_check_text(&c, SV(cases[i].text));
        if (!fits(buf_view(&said), SV(cases[i].want)))
            fail_msg("%s: %s", cases[i].name, buf_cstr(&said));
        if (c.entries != cases[i].entries)
            fail_msg("%s: %zu entries", cases[i].name, c.entries);
        buf_clear(&said);
    }
}

static void kinds(void **state)
{
    (void)state;
    assert_true(map_check_is_aliases(SV("# x\n\nroot: bob\n")));
    assert_true(map_check_is_aliases(SV("root : bob\n")) == false);
    assert_false(map_check_is_aliases(SV("a@b.test c:d\n")));
    assert_false(map_check_is_aliases(SV("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(check_cases), cmocka_unit_test(kinds) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
