/* test_tries.c - what is remembered of logins, when there are more of them than places */
#include "tests/support/unit.h"

#include "common/base/clock.h"
#include "common/net/loop.h"
#include "maps/tries.h"

#include <stdio.h>

#define DAY_MS    (86400LL * 1000)
#define PAIRS_MAX 65536

static int64_t now_ms;

static int64_t fake(void)
{
    return now_ms;
}

static void at(struct loop *l, int64_t ms)
{
    now_ms = ms;
    loop_once(l, 0);
}

static void comes_in(struct tries *t, const char *network, const char *login)
{
    struct try one;

    try_begin(t, SV(network), SV(login), &one);
    try_result(t, &one, true, false);
    try_end(t, &one);
}

/* Whether that login has a place of its own where all others are taken. */
static bool is_remembered(struct tries *t, const char *network, const char *login)
{
    struct try open[8];
    bool has;

    for (size_t i = 0; i < COUNT(open); i++)
        try_begin(t, SV(network), i % 2 ? SV_LIT("\x01 one") : SV_LIT("\x01 two"), &open[i]);
    has = tries_have_room(t, SV(network), SV(login));
    for (size_t i = 0; i < COUNT(open); i++)
        try_end(t, &open[i]);
    return has;
}

/* All places are taken: they are walked for some that ran out, but not by every login. */
static void full_is_walked_now_and_then(void **state)
{
    struct loop *l;
    struct tries *t;
    char login[32];

    (void)state;
    clock_fake(fake, NULL);
    now_ms = 1000000;
    l = loop_new();
    t = tries_new(l);
    at(l, 1000000);
    for (int i = 0; i < PAIRS_MAX; i++) {
        snprintf(login, sizeof login, "user%d", i);
        comes_in(t, "192.0.2.1", login);
        if (i == 99)
            at(l, 1000000 + 100);
        if (i == 199)
            at(l, 1000000 + 120 * 1000);
    }
    assert_true(is_remembered(t, "192.0.2.1", "user0"));
    at(l, 1000000 + 30 * DAY_MS - 1000);
    comes_in(t, "198.51.100.1", "late"); /* nothing is over */
    assert_false(is_remembered(t, "198.51.100.1", "late"));
    at(l, 1000000 + 30 * DAY_MS + 50);
    comes_in(t, "198.51.100.1", "late"); /* a hundred are, but it was looked a second ago */
    assert_false(is_remembered(t, "198.51.100.1", "late"));
    at(l, 1000000 + 30 * DAY_MS + 60 * 1000);
    comes_in(t, "198.51.100.1", "late");
    assert_true(is_remembered(t, "198.51.100.1", "late"));
    assert_true(is_remembered(t, "192.0.2.1", "user65534"));
    assert_false(is_remembered(t, "192.0.2.1", "user1"));
    tries_free(&t);
    loop_once(l, 0);
    loop_free(&l);
    clock_fake(NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(full_is_walked_now_and_then) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
