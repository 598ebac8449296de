/* test_selector.c - words of a command line that mean messages, and the table of commands */
#include "tests/support/unit.h"

#include "mtactl/command.h"
#include "mtactl/selector.h"

#include <string.h>

static void ages(void **state)
{
    static const struct {
        const char *text;
        uint64_t seconds; /* 0: refused */
    } cases[] = {
        { "90", 90 },     { "90s", 90 }, { "5m", 300 }, { "4h", 14400 },      { "2d", 172800 },
        { "1w", 604800 }, { "", 0 },     { "m", 0 },    { "0m", 0 },          { "-1", 0 },
        { "1 h", 0 },     { "1y", 0 },   { "1mm", 0 },  { "99999999999", 0 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint64_t got = 0;
        bool ok = selector_age(SV(cases[i].text), &got);

        if (ok != (cases[i].seconds > 0) || got != cases[i].seconds)
            fail_msg("\"%s\": %d, %llu", cases[i].text, ok, (unsigned long long)got);
    }
}

static void words(void **state)
{
    static const struct {
        const char *words[4];         /* NULL ends */
        const char *argument, *value; /* of the call; NULL: refused */
        bool any;
    } cases[] = {
        { { "0S9TMGJ4R4PWR" }, "id", "0S9TMGJ4R4PWR", true },
        { { "--sender", "a@b.test" }, "sender", "a@b.test", true },
        { { "--sender=a@b.test" }, "sender", "a@b.test", true },
        { { "--sender", "<>" }, "sender", "", true },
        { { "--sender=MAILER-DAEMON" }, "sender", "", true },
        { { "--sender=" }, "sender", "", true },
        { { "--domain", "x.test" }, "domain", "x.test", true },
        { { "--reason", "a b" }, "reason", "a b", true },
        { { "--state", "held" }, "state", "held", true },
        { { "--why", "x" }, "why", "x", false },
        { { "--state", "gone" }, NULL, NULL, false },
        { { "--older", "soon" }, NULL, NULL, false },
        { { "--sender" }, NULL, NULL, false },
        { { "--everything" }, NULL, NULL, false },
        { { "0s9tmgj4r4pwr" }, NULL, NULL, false },
        { { "*" }, NULL, NULL, false },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct ask a = { .n = 0 };
        struct err err = { 0 };
        char *argv[4];
        int argc = 0;
        bool any = false, ok;

        while (argc < 4 && cases[i].words[argc]) {
            argv[argc] = (char *)(uintptr_t)cases[i].words[argc];
            argc++;
        }
        ok = selector_parse(&a, argc, argv, &any, &err);
        if (ok != (cases[i].argument != NULL))
            fail_msg("%s: %s", cases[i].words[0], ok ? "taken" : err.text);
        if (!ok)
            continue;
        assert_int_equal(a.n, 1);
        assert_string_equal(a.args[0].name, cases[i].argument);
        expect_text(cases[i].words[0], a.args[0].text, cases[i].value);
        expect_bool(cases[i].words[0], any, cases[i].any);
    }
}

static void too_many_ids(void **state)
{
    struct ask a = { .n = 0 };
    struct err err = { 0 };
    char id[] = "0S9TMGJ4R4PWR", *argv[ASK_ARGS_MAX + 1];
    bool any;

    (void)state;
    for (size_t i = 0; i < COUNT(argv); i++)
        argv[i] = id;
    assert_true(selector_parse(&a, ASK_ARGS_MAX, argv, &any, &err));
    a.n = 0;
    assert_false(selector_parse(&a, ASK_ARGS_MAX + 1, argv, &any, &err));
}

static void every_command_is_found_by_its_own_words(void **state)
{
    (void)state;
    for (const struct command *c = commands; c->name; c++) {
        char text[64], *argv[4], *save = NULL;
        int argc = 0, used;

        snprintf(text, sizeof text, "%s", c->name);
        for (char *p = strtok_r(text, " ", &save); p; p = strtok_r(NULL, " ", &save))
            argv[argc++] = p;
        argv[argc] = text;
        assert_ptr_equal(command_find(argc, argv, &used), c);
        assert_int_equal(used, argc);
        assert_true(c->run && c->doc[0] && c->doc[strlen(c->doc) - 1] == '.');
        assert_true(c->max >= c->min);
    }
}

static void unknown_commands(void **state)
{
    char one[] = "stat", two[] = "queue", three[] = "eat", *argv[] = { one, two, three };
    int used;

    (void)state;
    assert_null(command_find(1, argv, &used));
    assert_null(command_find(2, argv + 1, &used));
    assert_null(command_find(0, argv, &used));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ages),
        cmocka_unit_test(words),
        cmocka_unit_test(too_many_ids),
        cmocka_unit_test(every_command_is_found_by_its_own_words),
        cmocka_unit_test(unknown_commands),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
