/* test_troubles.c - what does not work is kept, keeps its age, ends, and is forgotten */
#include "tests/support/unit.h"

#include "common/proc/told.h"
#include "mtad/trouble.h"

static void a_trouble_keeps_its_age(void **state)
{
    struct troubles t = { 0 };

    (void)state;
    troubles_set(&t, "x", "disk", "full", "make room", 1000);
    troubles_set(&t, "x", "resolver", "silent", "look", 2000);
    troubles_set(&t, "x", "disk", "fuller", "make more room", 3000);
    assert_int_equal(t.n, 2);
    assert_string_equal(t.rows[0].text, "fuller");
    assert_true(t.rows[0].since_ms == 1000);
    assert_false(troubles_end(&t, "x", "other", 4000));
    assert_true(troubles_end(&t, "x", "disk", 4000));
    assert_int_equal(t.n, 1);
    assert_string_equal(t.rows[0].what, "resolver");
    troubles_set(&t, "x", "disk", "full", "", 5000);
    assert_true(t.rows[1].since_ms == 5000);
    troubles_clear(&t);
    assert_int_equal(t.n, 0);
}

static void what_is_not_seen_again_ends(void **state)
{
    struct troubles t = { 0 };

    (void)state;
    troubles_set(&t, "x", "certificate a", "old", "", 1);
    troubles_set(&t, "x", "certificate b", "old", "", 1);
    troubles_set(&t, "x", "other", "bad", "", 1);
    troubles_unsee(&t);
    troubles_set(&t, "x", "certificate b", "old", "", 2);
    troubles_keep_seen(&t, "x", "certificate", 3);
    assert_int_equal(t.n, 2);
    troubles_age(&t, "x", 100, 101);
    assert_int_equal(t.n, 1);
    assert_string_equal(t.rows[0].what, "certificate b");
    troubles_clear(&t);
}

static void there_is_an_end_to_them(void **state)
{
    struct troubles t = { 0 };
    char what[32];

    (void)state;
    for (unsigned i = 0; i < TROUBLE_MAX * 2; i++) {
        snprintf(what, sizeof what, "table %u", i);
        troubles_set(&t, "x", what, "bad", "", 1);
    }
    assert_int_equal(t.n, TROUBLE_MAX);
    troubles_clear(&t);
}

static void what_mtad_knows_is_not_said_again(void **state)
{
    struct told *told = NULL;

    (void)state;
    assert_false(told_changes(&told, "a", NULL, 0));
    assert_true(told_changes(&told, "a", "bad", 0));
    assert_false(told_changes(&told, "a", "bad", 1));
    assert_true(told_changes(&told, "b", "bad", 1));
    assert_true(told_changes(&told, "a", "worse", 2));
    assert_true(told_changes(&told, "a", "worse", 2 + TOLD_AGAIN_MS));
    assert_true(told_changes(&told, "a", NULL, 3));
    assert_false(told_changes(&told, "a", NULL, 3));
    assert_true(told_changes(&told, "a", "bad", 4));
    told_clear(&told);
    assert_null(told);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trouble_keeps_its_age),
        cmocka_unit_test(what_is_not_seen_again_ends),
        cmocka_unit_test(there_is_an_end_to_them),
        cmocka_unit_test(what_mtad_knows_is_not_said_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
