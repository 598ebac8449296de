/* test_drop.c - users take turns in drop/, and one with very many files shuts out nobody */
#include "tests/support/unit.h"

#include "queued/drop_user.h"

#include <stdlib.h>

static struct drop_users users;

static int setup(void **state)
{
    (void)state;
    drop_users_init(&users);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    drop_users_clear(&users);
    return 0;
}

/* NULL: he has too many. */
static struct drop_file *submit(uint32_t uid)
{
    struct drop_file *f = calloc(1, sizeof *f);

    assert_non_null(f);
    if (!drop_user_enter(&users, uid, f)) {
        free(f);
        return NULL;
    }
    drop_fresh_push(&users, f);
    return f;
}

static uint32_t take(void)
{
    struct drop_file *f = drop_fresh_pop(&users);
    uint32_t uid;

    if (!f)
        return 0;
    uid = f->user->uid;
    drop_user_leave(&users, f);
    free(f);
    return uid;
}

static void users_take_turns(void **state)
{
    static const uint32_t want[] = { 1, 2, 3, 1, 2, 1, 4, 1, 0 };

    (void)state;
    for (int i = 0; i < 4; i++)
        assert_non_null(submit(1));
    assert_non_null(submit(2));
    assert_non_null(submit(3));
    assert_non_null(submit(2));
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        if (i == 5)
            assert_non_null(submit(4)); /* behind the one whose turn it is */
        assert_int_equal(take(), want[i]);
    }
    assert_int_equal(users.known, 0);
}

static void a_flood_leaves_room(void **state)
{
    unsigned entered = 0;

    (void)state;
    for (unsigned i = 0; i < 100000; i++)
        entered += submit(7) != NULL;
    assert_int_equal(entered, USER_KNOWN_MAX);
    assert_non_null(submit(8));
    assert_int_equal(take(), 7);
    assert_int_equal(take(), 8);
    /* The rest of his is looked for when half of what is known is done, and not before. */
    for (unsigned i = 2; i < USER_KNOWN_MAX / 2; i++)
        assert_int_equal(take(), 7);
    assert_false(users.rescan);
    assert_int_equal(take(), 7);
    assert_true(users.rescan);
    while (take())
        ;
}

static void many_floods_leave_room_too(void **state)
{
    (void)state;
    for (uint32_t uid = 1; uid <= 50; uid++)
        for (unsigned i = 0; i < USER_KNOWN_MAX; i++)
            submit(uid);
    assert_true(users.known <= KNOWN_MAX + 50 * USER_KNOWN_SURE);
    for (unsigned i = 0; i < USER_KNOWN_SURE; i++)
        assert_non_null(submit(99));
    assert_null(submit(99));
    for (unsigned i = 0; i < 51; i++)
        if (take() == 99)
            return;
    fail_msg("no turn in a whole round");
}

/* What waits for its time or is under way counts as well, until it is over. */
static void deferred_files_count(void **state)
{
    struct drop_file *f;

    (void)state;
    while (submit(7))
        ;
    f = drop_fresh_pop(&users);
    assert_null(submit(7));
    drop_fresh_push(&users, f);
    for (unsigned i = 0; i < USER_KNOWN_MAX; i++)
        assert_int_equal(take(), 7);
    assert_int_equal(take(), 0);
    assert_true(users.rescan);
    assert_non_null(submit(7));
    assert_int_equal(take(), 7);
}

/* A million names are not read again and again for each thousand that are done. */
static void looks_take_half_of_the_time(void **state)
{
    (void)state;
    assert_int_equal(drop_look_in(&users, 5000), 1);
    drop_look_begins(&users, 5000);
    drop_look_ends(&users, 5000);
    assert_int_equal(drop_look_in(&users, 5000), 1);
    drop_look_begins(&users, 6000);
    drop_look_ends(&users, 9000);
    assert_int_equal(drop_look_in(&users, 9000), 3000);
    assert_int_equal(drop_look_in(&users, 11999), 1);
    assert_int_equal(drop_look_in(&users, 20000), 1);
    while (submit(7))
        ;
    for (unsigned i = 0; i < USER_KNOWN_MAX / 2; i++)
        assert_int_equal(take(), 7);
    assert_true(users.rescan);
    drop_look_begins(&users, 20000);
    assert_false(users.rescan);
}

static int teardown_files(void **state)
{
    while (take())
        ;
    return teardown(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(users_take_turns, setup, teardown_files),
        cmocka_unit_test_setup_teardown(a_flood_leaves_room, setup, teardown_files),
        cmocka_unit_test_setup_teardown(many_floods_leave_room_too, setup, teardown_files),
        cmocka_unit_test_setup_teardown(looks_take_half_of_the_time, setup, teardown_files),
        cmocka_unit_test_setup_teardown(deferred_files_count, setup, teardown_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
