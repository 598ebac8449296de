/* test_rates.c - jobs a minute: kept, whatever happens, by all domains of the same hosts together */
#include "tests/unit/queued/sched_rig.h"

#include <stdio.h>

static void a_rate_is_kept(void **state)
{
    static const struct {
        uint32_t rate, seconds, least, most;
    } cases[] = {
        { 1, 600, 10, 11 }, { 6, 60, 6, 7 },       { 7, 600, 66, 71 }, { 59, 60, 56, 60 },
        { 60, 60, 60, 62 }, { 61, 600, 605, 614 }, { 90, 60, 88, 93 }, { 600, 60, 600, 611 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct sched *s = make();
        uint32_t begun = 0, p;

        given = (struct sched_limits){ .rate = cases[i].rate, .group = SV_LIT("g") };
        sched_on_limits(s, on_limits, NULL);
        sched_tick(s, 1000);
        part(s, "a.test", SIDE_REMOTE, 1);
        part(s, "b.test", SIDE_REMOTE, 1);
        for (uint32_t now = 1000; now <= 1000 + cases[i].seconds; now++) {
            sched_tick(s, now);
            while ((p = sched_pick(s, SCHED_ANY))) {
                begun++;
                sched_ended(s, p, SCHED_SUCCESS, now);
                sched_ready(s, p);
            }
            /* Whoever sleeps until then misses nothing. */
            assert_true(sched_next(s) > now);
            assert_int_equal(sched_next(s), sched_paced_until(s, 1));
        }
        if (begun < cases[i].least || begun > cases[i].most)
            fail_msg("rate %u: %u in %u s", cases[i].rate, begun, cases[i].seconds);
        sched_free(&s);
    }
}

/* Neither a reload nor a clock that was set nor the sweep gives more than the rate. */
static void a_rate_survives(void **state)
{
    struct sched *s = make();
    uint32_t p;

    (void)state;
    given = (struct sched_limits){ .rate = 2, .group = SV_LIT("g") };
    sched_on_limits(s, on_limits, NULL);
    sched_tick(s, 10000);
    part(s, "a.test", SIDE_REMOTE, 1);
    p = part(s, "a.test", SIDE_REMOTE, 1);
    assert_int_equal(pick_all(s, SCHED_ANY, NULL, NULL, 0), 1);
    assert_int_equal(sched_next(s), 10029);
    sched_on_limits(s, on_limits, NULL);
    assert_int_equal(sched_pick(s, SCHED_ANY), 0);
    sched_shift(s, -5000);
    assert_int_equal(sched_next(s), 5029);
    sched_tick(s, 5028);
    assert_int_equal(sched_pick(s, SCHED_ANY), 0);
    sched_tick(s, 5029);
    assert_int_equal(sched_pick(s, SCHED_ANY), p);
    /* A faster one counts from now on; none at all lets go. */
    p = part(s, "a.test", SIDE_REMOTE, 1);
    given.rate = 60;
    sched_on_limits(s, on_limits, NULL);
    assert_int_equal(sched_next(s), 5030);
    given.rate = 0;
    sched_on_limits(s, on_limits, NULL);
    assert_int_equal(sched_next(s), 0);
    assert_int_equal(sched_pick(s, SCHED_ANY), p);
    sched_free(&s);
    /* A destination without mail is remembered until its rate is whole again. */
    s = make();
    given.rate = 2;
    sched_on_limits(s, on_limits, NULL);
    sched_tick(s, 100);
    p = part(s, "a.test", SIDE_REMOTE, 1);
    assert_int_equal(sched_pick(s, SCHED_ANY), p);
    sched_ended(s, p, SCHED_SUCCESS, 100);
    sched_part_free(s, p);
    sched_trim(s);
    assert_int_equal(sched_dest_count(s), 1);
    part(s, "a.test", SIDE_REMOTE, 1);
    assert_int_equal(sched_pick(s, SCHED_ANY), 0);
    sched_free(&s);
}

/* New hosts are no new allowance: the DNS may name others each time it is asked. */
static void a_rate_follows_to_other_hosts(void **state)
{
    struct sched *s = make();
    uint32_t p;

    (void)state;
    given = (struct sched_limits){ .rate = 1 };
    sched_on_limits(s, on_limits, NULL);
    sched_tick(s, 1000);
    part(s, "a.test", SIDE_REMOTE, 1);
    part(s, "a.test", SIDE_REMOTE, 1);
    p = sched_pick(s, SCHED_ANY);
    sched_join(s, p, HOSTS);
    sched_ended(s, p, SCHED_HOSTS, 1000);
    sched_ready(s, p);
    p = sched_pick(s, SCHED_ANY);
    for (int i = 0; i < 4; i++) {
        sched_join(s, p, i % 2 ? HOSTS : OTHER);
        assert_int_equal(sched_pick(s, SCHED_ANY), 0);
    }
    sched_ended(s, p, SCHED_SUCCESS, 1000);
    sched_tick(s, 1060);
    assert_true(sched_pick(s, SCHED_ANY));
    sched_free(&s);
}

/* Domains that come new ask which hosts they have before they use up anything: together they have the rate of
   one. Whoever is told nothing, or delivered all the same, has had his job. */
static void new_domains_ask_for_their_hosts(void **state)
{
    struct sched *s = make();
    uint32_t asking[20], p, begun = 0;

    (void)state;
    given = (struct sched_limits){ .rate = 6 };
    sched_on_limits(s, on_limits, NULL);
    sched_tick(s, 1000);
    for (int i = 0; i < 20; i++) {
        char name[32];

        snprintf(name, sizeof name, "d%d.test", i / 2);
        part(s, name, SIDE_REMOTE, 1);
    }
    /* One for each domain, at any speed. */
    assert_int_equal(pick_all(s, SCHED_ANY, NULL, asking, 20), 10);
    for (int i = 0; i < 10; i++) {
        assert_true(sched_asks(s, asking[i]));
        sched_join(s, asking[i], HOSTS);
        sched_ended(s, asking[i], SCHED_HOSTS, 1000);
        sched_ready(s, asking[i]);
    }
    for (uint32_t now = 1000; now <= 1060; now++) {
        sched_tick(s, now);
        while ((p = sched_pick(s, SCHED_ANY))) {
            assert_false(sched_asks(s, p));
            sched_ended(s, p, SCHED_SUCCESS, now);
            begun++;
        }
    }
    assert_in_range(begun, 6, 7);
    sched_free(&s);

    for (int told = 0; told < 2; told++) {
        s = make();
        sched_on_limits(s, on_limits, NULL);
        sched_tick(s, 1000);
        part(s, "a.test", SIDE_REMOTE, 1);
        part(s, "a.test", SIDE_REMOTE, 1);
        p = sched_pick(s, SCHED_ANY);
        assert_true(sched_asks(s, p));
        assert_int_equal(sched_pick(s, SCHED_ANY), 0);
        sched_ended(s, p, told ? SCHED_HOSTS : SCHED_SUCCESS, 1000);
        if (told) {
            p = sched_pick(s, SCHED_ANY);
            assert_true(p && !sched_asks(s, p));
            sched_ended(s, p, SCHED_SUCCESS, 1000);
        }
        part(s, "a.test", SIDE_REMOTE, 1);
        assert_int_equal(sched_pick(s, SCHED_ANY), 0);
        assert_int_equal(sched_paced_until(s, p), 1009);
        sched_free(&s);
    }
}

/* A reload that gives a route a rate while something of it runs: what is not known yet is asked for then too,
   by one job and when the others are over; one that takes the rate away lets all go at once. */
static void a_reload_brings_or_takes_the_question(void **state)
{
    struct sched *s = make();
    uint32_t p, asks;

    (void)state;
    given = (struct sched_limits){ .rate = 0 };
    sched_on_limits(s, on_limits, NULL);
    sched_tick(s, 1000);
    for (int i = 0; i < 3; i++)
        part(s, "a.test", SIDE_REMOTE, 1);
    p = sched_pick(s, SCHED_ANY);
    given.rate = 6;
    sched_on_limits(s, on_limits, NULL);
    assert_int_equal(sched_pick(s, SCHED_ANY), 0);
    assert_false(sched_asks(s, p));
    sched_ended(s, p, SCHED_SUCCESS, 1000);
    asks = sched_pick(s, SCHED_ANY);
    assert_true(asks && sched_asks(s, asks));
    assert_int_equal(sched_pick(s, SCHED_ANY), 0);
    given.rate = 0;
    sched_on_limits(s, on_limits, NULL);
    assert_true(sched_pick(s, SCHED_ANY));
    sched_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rate_is_kept),
        cmocka_unit_test(a_rate_survives),
        cmocka_unit_test(new_domains_ask_for_their_hosts),
        cmocka_unit_test(a_rate_follows_to_other_hosts),
        cmocka_unit_test(a_reload_brings_or_takes_the_question),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
