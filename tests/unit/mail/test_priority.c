/* test_priority.c - MT-PRIORITY and what makes a message bulk */
#include "tests/support/unit.h"

#include "common/mail/priority.h"

static void values(void **state)
{
    static const struct {
        const char *text;
        int level; /* 99: refused */
    } cases[] = {
        { "0", 0 },  { "9", 9 },   { "-9", -9 }, { "-1", -1 }, { "1", 1 },   { "", 99 },
        { "-", 99 }, { "-0", 99 }, { "+1", 99 }, { "10", 99 }, { "00", 99 }, { "-10", 99 },
        { "a", 99 }, { "1 ", 99 }, { "-a", 99 }, { "--", 99 }, { "/", 99 },  { ":", 99 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        int level = 99;

        assert_int_equal(priority_parse(SV(cases[i].text), &level), cases[i].level != 99);
        assert_int_equal(level, cases[i].level);
    }
}

static void classes(void **state)
{
    int level;

    (void)state;
    assert_int_equal(priority_class(0), PRIORITY_CLASS_NORMAL);
    assert_false(priority_level(0, &level));
    assert_false(priority_level(PRIORITY_BULK, &level));
    assert_false(priority_level(31, &level));
    for (int i = -PRIORITY_LEVEL_MAX; i <= PRIORITY_LEVEL_MAX; i++) {
        uint64_t p = priority_of_level(i);

        assert_true(priority_level(p, &level) && level == i);
        assert_true(priority_level(p | PRIORITY_BULK, &level) && level == i);
        assert_true((p | PRIORITY_BULK) <= PRIORITY_MAX);
        assert_int_equal(priority_class(p), i > 0   ? PRIORITY_CLASS_URGENT
                                            : i < 0 ? PRIORITY_CLASS_BULK
                                                    : PRIORITY_CLASS_NORMAL);
        assert_int_equal(priority_class(p | PRIORITY_BULK), PRIORITY_CLASS_BULK);
    }
    assert_int_equal(priority_class(PRIORITY_BULK), PRIORITY_CLASS_BULK);
}

static void fields(void **state)
{
    static const struct {
        const char *name, *value;
        bool bulk;
    } cases[] = {
        { "Precedence", " bulk", true },     { "precedence", "\r\n LIST \r\n", true },
        { "Precedence", "junk", true },      { "Precedence", " first-class", false },
        { "Precedence", "bulky", false },    { "Precedence", "", false },
        { "X-Precedence", "bulk", false },   { "List-Id", "<l.x.test>", true },
        { "LIST-UNSUBSCRIBE", "<u>", true }, { "List-Unsubscribe-Post", "x", true },
        { "List-Post", "NO", true },         { "List-Help", "", true },
        { "List-Something", "x", false },    { "List-", "x", false },
        { "Listing", "x", false },           { "Auto-Submitted", "auto-replied", false },
        { "Priority", "non-urgent", false },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_int_equal(priority_field_is_bulk(SV(cases[i].name), SV(cases[i].value)), cases[i].bulk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values),
        cmocka_unit_test(classes),
        cmocka_unit_test(fields),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
