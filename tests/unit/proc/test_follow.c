/* test_follow.c - whom an operator follows: addresses, networks, names, domains; until when, and how many */
#include "tests/support/unit.h"

#include "common/base/clock.h"
#include "common/proc/follow.h"

#include <string.h>

static int64_t now_ms = 1000;

static int64_t fake_now(void)
{
    return now_ms;
}

static struct netaddr address(const char *text)
{
    struct netaddr a;

    assert_true(netaddr_parse_ip(SV(text), &a));
    return a;
}

/* Everything that was added before is over. */
static void forget(void)
{
    now_ms += 1000000;
}

static void peers(void **state)
{
    static const struct {
        const char *follow, *addr, *name;
        bool want;
    } cases[] = {
        { "192.0.2.1", "192.0.2.1", "", true },
        { "192.0.2.1", "192.0.2.2", "", false },
        { "192.0.2.0/24", "192.0.2.200", "", true },
        { "192.0.2.0/24", "192.0.3.1", "", false },
        { "192.0.2.1", "::ffff:192.0.2.1", "", true },
        { "2001:db8::/32", "2001:db8:1::1", "", true },
        { "2001:db8::/32", "2001:db9::1", "", false },
        { "mx.far.test", "192.0.2.1", "MX.far.test", true },
        { "mx.far.test", "192.0.2.1", "a.mx.far.test", false },
        { "mx.far.test", "192.0.2.1", "", false },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct netaddr a = address(cases[i].addr);

        forget();
        assert_true(follow_add(FOLLOW_PEER, SV(cases[i].follow), 1000));
        expect_bool(cases[i].follow, follow_peer(&a, SV(cases[i].name)), cases[i].want);
        expect_bool("a peer is no domain", follow_domain(SV(cases[i].follow)), false);
    }
}

static void domains(void **state)
{
    static const struct {
        const char *follow, *domain;
        bool want;
    } cases[] = {
        { "far.test", "far.test", true },       { "far.test", "FAR.test", true },
        { "far.test", "mx.far.test", true },    { "far.test", "notfar.test", false },
        { "mx.far.test", "far.test", false },   { "far.test", "", false },
        { "far.test", "far.test.evil", false },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        forget();
        assert_true(follow_add(FOLLOW_DOMAIN, SV(cases[i].follow), 1000));
        expect_bool(cases[i].domain, follow_domain(SV(cases[i].domain)), cases[i].want);
    }
}

static void ends(void **state)
{
    (void)state;
    forget();
    assert_false(follow_domain(SV_LIT("a.test")));
    assert_false(follow_any());
    assert_true(follow_add(FOLLOW_DOMAIN, SV_LIT("a.test"), 1000));
    assert_true(follow_any());
    now_ms += 999;
    assert_true(follow_domain(SV_LIT("a.test")));
    assert_true(follow_add(FOLLOW_DOMAIN, SV_LIT("A.test"), 1000)); /* the same one, for longer */
    now_ms += 999;
    assert_true(follow_domain(SV_LIT("a.test")));
    now_ms += 1;
    assert_false(follow_domain(SV_LIT("a.test")));
    assert_false(follow_any());
}

static void bounds(void **state)
{
    static const char *const bad[] = { "", "a b", "192.0.2.1/40", "a..b", "-" };
    char text[300], name[32];

    (void)state;
    forget();
    for (size_t i = 0; i < COUNT(bad); i++)
        expect_bool(bad[i], follow_add(FOLLOW_PEER, SV(bad[i]), 1000), false);
    expect_bool("an address is no domain", follow_is_valid(FOLLOW_DOMAIN, SV_LIT("192.0.2.0/24")), false);
    memset(text, 'a', sizeof text);
    assert_false(follow_add(FOLLOW_PEER, strv_make(text, sizeof text), 1000));
    for (unsigned i = 0; i <= FOLLOW_MAX; i++) {
        snprintf(name, sizeof name, "host%u.test", i);
        expect_bool(name, follow_add(FOLLOW_PEER, SV(name), 1000), i < FOLLOW_MAX);
    }
    assert_true(follow_add(FOLLOW_PEER, SV_LIT("host3.test"), 1000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(peers),
        cmocka_unit_test(domains),
        cmocka_unit_test(ends),
        cmocka_unit_test(bounds),
    };

    clock_fake(fake_now, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
