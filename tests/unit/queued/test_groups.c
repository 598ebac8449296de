/* test_groups.c - destinations with the same hosts: one window, one rest, turns */
#include "tests/unit/queued/sched_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void a_group_has_one_window(void **state)
{
    struct sched *s = make();
    uint32_t a = 0, b = 0, picked[8];
    uint64_t home;

    (void)state;
    for (uint32_t i = 0; i < 10; i++) {
        a = part(s, "a.test", SIDE_REMOTE, 1);
        b = part(s, "b.test", SIDE_REMOTE, 1);
    }
    expect_text("unknown", sched_group(s, a), "");
    home = sched_home(s, a);
    assert_true(sched_home(s, b) != home);
    sched_join(s, a, HOSTS);
    sched_join(s, b, HOSTS);
    expect_text("known", sched_group(s, b), "default|mxs mx.op.test:25");
    assert_true(sched_home(s, a) == home && sched_home(s, b) == home);
    assert_int_equal(pick_all(s, SCHED_ANY, NULL, picked, 8), 5);
    /* They took turns. */
    for (int i = 0; i < 4; i++)
        assert_true(sched_part(s, picked[i])->dest != sched_part(s, picked[i + 1])->dest);
    /* What one learns, the other has: one more each, and the place of the one that ended. */
    sched_ended(s, picked[0], SCHED_SUCCESS, 10);
    assert_int_equal(sched_window(s, b), 6);
    assert_int_equal(pick_all(s, SCHED_ANY, NULL, NULL, 0), 2);
    sched_free(&s);
}

static void groups_take_turns(void **state)
{
    struct sched *s = make();
    uint32_t picked[6];
    unsigned lonely = 0;

    (void)state;
    /* Ten domains of an operator are one destination beside a small one. */
    for (int i = 0; i < 10; i++) {
        char name[32];

        snprintf(name, sizeof name, "d%d.test", i);
        sched_join(s, part(s, name, SIDE_REMOTE, 1), HOSTS);
    }
    for (int i = 0; i < 3; i++)
        part(s, "small.test", SIDE_REMOTE, 2);
    for (int i = 0; i < 6; i++) {
        picked[i] = sched_pick(s, SCHED_ANY);
        lonely += strv_is(sched_domain(s, picked[i]), "small.test");
    }
    assert_int_equal(lonely, 3);
    sched_free(&s);
}

/* A domain that gets other hosts takes its running jobs along. */
static void a_domain_moves(void **state)
{
    struct sched *s = make();
    uint32_t a[4], b = part(s, "b.test", SIDE_REMOTE, 1);

    (void)state;
    sched_join(s, b, HOSTS);
    for (int i = 0; i < 4; i++)
        a[i] = part(s, "a.test", SIDE_REMOTE, 1);
    sched_join(s, a[0], HOSTS);
    assert_int_equal(pick_all(s, SCHED_ANY, NULL, NULL, 0), 5);
    part(s, "b.test", SIDE_REMOTE, 1);
    assert_int_equal(sched_pick(s, SCHED_ANY), 0);
    sched_join(s, a[0], OTHER);
    assert_int_equal(pick_all(s, SCHED_ANY, "b.test", NULL, 0), 1);
    for (int i = 0; i < 3; i++)
        part(s, "a.test", SIDE_REMOTE, 1);
    assert_int_equal(pick_all(s, SCHED_ANY, "a.test", NULL, 0), 1); /* four ran already */
    for (int i = 0; i < 4; i++)
        sched_ended(s, a[i], SCHED_SUCCESS, 10);
    assert_int_equal(pick_all(s, SCHED_ANY, "a.test", NULL, 0), 2);
    /* And back, where nothing is left of it. */
    sched_join(s, a[0], HOSTS);
    expect_text("back", sched_group(s, a[1]), "default|mxs mx.op.test:25");
    sched_free(&s);
}

static uint32_t seen[8], seen_n;

static void on_ready(void *arg, uint32_t p)
{
    sched_wait(arg, p, 5000);
    seen[seen_n++] = p;
}

static void dead_hosts_rest_for_all(void **state)
{
    struct sched *s = make();
    uint32_t a = part(s, "a.test", SIDE_REMOTE, 1), b = part(s, "b.test", SIDE_REMOTE, 1);
    uint32_t other = part(s, "c.test", SIDE_REMOTE, 1);
    int why = 1;

    (void)state;
    sched_join(s, a, HOSTS);
    sched_join(s, b, HOSTS);
    assert_int_equal(pick_all(s, SCHED_ANY, NULL, NULL, 0), 3);
    sched_ended(s, b, SCHED_NEUTRAL, 1000);
    sched_set_why(s, a, SCHED_UNREACHABLE, &why);
    for (int i = 0; i < 4; i++) {
        assert_false(sched_ended(s, a, SCHED_UNREACHABLE, 1000));
        sched_started(s, a);
    }
    assert_true(sched_ended(s, a, SCHED_UNREACHABLE, 1000));
    assert_int_equal(sched_rest_until(s, b), 1300);
    assert_ptr_equal(sched_why(s, b), &why);
    assert_int_equal(sched_rest_until(s, other), 0);
    sched_ready(s, a);
    sched_ready(s, b);
    assert_int_equal(sched_pick(s, SCHED_ANY), 0);
    /* Whoever looks at what cannot go sees both. */
    seen_n = 0;
    sched_each_ready(s, a, on_ready, s);
    assert_int_equal(seen_n, 2);
    sched_ready(s, a);
    sched_ready(s, b);
    /* One asks whether they live. */
    assert_true(sched_tick(s, 1300) > 0);
    assert_int_equal(pick_all(s, SCHED_ANY, NULL, NULL, 0), 1);
    sched_free(&s);
}

/* A domain without DNS is its own trouble. */
static void a_dead_domain_rests_alone(void **state)
{
    struct sched *s = make();
    uint32_t a = part(s, "a.test", SIDE_REMOTE, 1), b = part(s, "b.test", SIDE_REMOTE, 1), p;

    (void)state;
    sched_join(s, a, HOSTS);
    sched_join(s, b, HOSTS);
    assert_int_equal(pick_all(s, SCHED_ANY, NULL, NULL, 0), 2);
    for (int i = 0; i < 4; i++) {
        assert_false(sched_ended(s, a, SCHED_UNRESOLVED, 1000));
        sched_started(s, a);
    }
    assert_true(sched_ended(s, a, SCHED_UNRESOLVED, 1000));
    assert_int_equal(sched_rest_until(s, a), 1300);
    assert_int_equal(sched_rest_until(s, b), 0);
    assert_int_equal(sched_window(s, b), 5);
    sched_ready(s, a);
    sched_ended(s, b, SCHED_SUCCESS, 1001);
    sched_ready(s, b);
    assert_int_equal(sched_pick(s, SCHED_ANY), b);
    assert_int_equal(sched_pick(s, SCHED_ANY), 0);
    sched_tick(s, 1300);
    part(s, "a.test", SIDE_REMOTE, 2);
    p = sched_pick(s, SCHED_ANY);
    assert_true(p && strv_is(sched_domain(s, p), "a.test"));
    assert_int_equal(sched_pick(s, SCHED_ANY), 0); /* one at a time, until it answers */
    sched_ended(s, p, SCHED_SUCCESS, 1301);
    assert_true(sched_pick(s, SCHED_ANY));
    sched_free(&s);
}

/* Whose look-ups are slow, while his hosts are an operator's: one place of theirs, not all. */
static void slow_look_ups_hold_one_place(void **state)
{
    struct sched *s = make();
    uint32_t slow = 0, other = 0, p;

    (void)state;
    for (int i = 0; i < 10; i++) {
        slow = part(s, "slow.test", SIDE_REMOTE, 1);
        other = part(s, "b.test", SIDE_REMOTE, 2);
    }
    sched_join(s, slow, HOSTS);
    sched_join(s, other, HOSTS);
    p = sched_pick(s, SCHED_ANY);
    assert_true(strv_is(sched_domain(s, p), "slow.test"));
    sched_looked_up(s, p, true);
    sched_ended(s, p, SCHED_SUCCESS, 1000);
    assert_int_equal(pick_all(s, SCHED_ANY, "slow.test", NULL, 0), 1);
    /* Five that were not, one after the other; another slow one begins anew. */
    for (int quick = 1; quick <= 9; quick++) {
        sched_looked_up(s, slow, quick == 4);
        sched_ended(s, slow, SCHED_SUCCESS, 1001);
        part(s, "slow.test", SIDE_REMOTE, 1);
        if (quick < 9)
            assert_int_equal(pick_all(s, SCHED_ANY, "slow.test", NULL, 0), 1);
    }
    assert_true(pick_all(s, SCHED_ANY, "slow.test", NULL, 0) > 1);
    sched_free(&s);
    /* Kept for an hour without mail. */
    s = make();
    slow = part(s, "slow.test", SIDE_REMOTE, 1);
    sched_pick(s, SCHED_ANY);
    sched_tick(s, 1000);
    sched_looked_up(s, slow, true);
    sched_ended(s, slow, SCHED_SUCCESS, 1000);
    sched_part_free(s, slow);
    sched_tick(s, 4600);
    sched_trim(s);
    assert_int_equal(sched_dest_count(s), 1);
    sched_tick(s, 4601);
    sched_trim(s);
    assert_int_equal(sched_dest_count(s), 0);
    sched_free(&s);
}

static void limits_are_the_groups(void **state)
{
    struct sched *s = make();

    (void)state;
    given = (struct sched_limits){ .max_jobs = 2, .group = SV_LIT("default|via") };
    for (int i = 0; i < 4; i++) {
        part(s, "a.test", SIDE_REMOTE, 1);
        part(s, "b.test", SIDE_REMOTE, 1);
        part(s, "free.test", SIDE_REMOTE, 1);
        part(s, "a.test", SIDE_LOCAL, 1);
    }
    sched_on_limits(s, on_limits, NULL);
    assert_int_equal(pick_all(s, SCHED_LOCAL, NULL, NULL, 0), 4);
    assert_int_equal(pick_all(s, SCHED_REMOTE, "free.test", NULL, 0), 4);
    given.max_jobs = 5; /* a reload */
    sched_on_limits(s, on_limits, NULL);
    assert_int_equal(pick_all(s, SCHED_ANY, NULL, NULL, 0), 3);
    sched_free(&s);
}

static bool reloaded;

static void on_routes(void *arg, struct strv domain, struct sched_limits *l)
{
    (void)arg;
    l->label = SV_LIT("default");
    if (reloaded && strv_is(domain, "slow.test")) {
        l->label = SV_LIT("slow.test");
        l->rate = 1;
    }
}

/* One of a group gets a route of its own: its limits are not the others', whatever a deliverd says that has
   not heard of it. */
static void a_new_route_is_not_for_the_old_group(void **state)
{
    struct sched *s = make();
    uint32_t a = 0, slow = 0;

    (void)state;
    reloaded = false;
    sched_on_limits(s, on_routes, NULL);
    sched_tick(s, 1000);
    for (int i = 0; i < 3; i++) {
        a = part(s, "a.test", SIDE_REMOTE, 1);
        slow = part(s, "slow.test", SIDE_REMOTE, 1);
    }
    sched_join(s, a, HOSTS);
    sched_join(s, slow, HOSTS);
    assert_true(sched_are_one(s, a, slow));
    reloaded = true;
    sched_on_limits(s, on_routes, NULL);
    /* It asks for its hosts, which nobody tells, then has its one job. */
    for (int i = 0; i < 3; i++) {
        assert_false(sched_are_one(s, a, slow));
        assert_int_equal(pick_all(s, SCHED_ANY, "slow.test", NULL, 0), i < 2);
        assert_int_equal(sched_running(s, a), 3);
        assert_int_equal(sched_paced_until(s, a), 0);
        sched_join(s, slow, HOSTS);
        if (i == 0)
            sched_ended(s, slow, SCHED_HOSTS, 1000);
    }
    sched_join(s, slow, SV_LIT("slow.test|mxs mx.op.test:25"));
    expect_text("own", sched_group(s, slow), "slow.test|mxs mx.op.test:25");
    assert_int_equal(sched_paced_until(s, slow), 1059);
    sched_free(&s);
}

static void three_sides(void **state)
{
    struct sched *s = make();
    unsigned got[SCHED_SIDES] = { 0, 0, 0 };

    (void)state;
    assert_int_equal(sched_sides(s), SCHED_REMOTE | SCHED_LOCAL);
    for (uint32_t i = 0; i < 10; i++) {
        part(s, "a.test", SIDE_LOCAL, i);
        part(s, "m.test", SIDE_LMTP, i);
        part(s, "a.test", SIDE_REMOTE, i);
        part(s, "b.test", SIDE_REMOTE, i);
    }
    assert_int_equal(sched_sides(s), SCHED_ANY);
    for (int i = 0; i < 9; i++)
        got[sched_side(s, sched_pick(s, SCHED_ANY))]++;
    assert_true(got[0] == 3 && got[1] == 3 && got[2] == 3);
    assert_int_equal(sched_side(s, sched_pick(s, SCHED_LMTP)), SIDE_LMTP);
    assert_int_equal(pick_all(s, SCHED_LOCAL, NULL, NULL, 0), 7);
    assert_int_equal(sched_pick(s, SCHED_LOCAL), 0);
    assert_true(sched_pick(s, SCHED_ANY));
    sched_free(&s);
}

/* A domain that has both counts as the LMTP server's until nothing went there for long. */
static void sides_are_learned(void **state)
{
    struct sched *s = make();
    uint32_t p = part(s, "a.test", SIDE_LOCAL, 1), r = part(s, "a.test", SIDE_REMOTE, 1);

    (void)state;
    assert_int_equal(sched_side(s, p), SIDE_LOCAL);
    sched_asked_lmtp(s, p, true);
    assert_int_equal(sched_side(s, p), SIDE_LMTP);
    assert_true(sched_is_local(s, p) && !sched_is_local(s, r));
    assert_int_equal(sched_pick(s, SCHED_LOCAL), 0);
    for (int i = 0; i < 99; i++)
        sched_asked_lmtp(s, p, false);
    assert_int_equal(sched_side(s, p), SIDE_LMTP);
    sched_asked_lmtp(s, p, true);
    for (int i = 0; i < 100; i++)
        sched_asked_lmtp(s, p, false);
    assert_int_equal(sched_side(s, p), SIDE_LOCAL);
    assert_int_equal(sched_pick(s, SCHED_LMTP), 0);
    assert_int_equal(sched_pick(s, SCHED_LOCAL), p);
    sched_free(&s);
}

/* Random doings: nothing is lost, no limit is passed, and all memory comes back. */
static void all_at_random(void **state)
{
    struct sched *s = make();
    uint32_t parts[200], running[200], run_n = 0, now = 1000;
    unsigned jobs[4] = { 0 };
    static const char *const keys[] = { "k0", "k1", "k2" };

    (void)state;
    srand(4);
    given = (struct sched_limits){ .max_jobs = 3 };
    sched_on_limits(s, on_limits, NULL);
    for (uint32_t i = 0; i < COUNT(parts); i++) {
        char name[32];

        snprintf(name, sizeof name, "d%u.test", i % 7);
        parts[i] = part(s, name, i % 11 ? SIDE_REMOTE : i % 2 ? SIDE_LMTP : SIDE_LOCAL, i % 5);
    }
    for (int i = 0; i < 20000; i++) {
        uint32_t p;

        sched_tick(s, now += (uint32_t)rand() % 3);
        switch (rand() % 4) {
        case 0:
            p = parts[rand() % (int)COUNT(parts)];
            sched_join(s, p, SV(keys[rand() % 3]));
            break;
        case 1:
            if ((p = sched_pick(s, 1u + (unsigned)rand() % SCHED_ANY)))
                running[run_n++] = p;
            break;
        default:
            if (run_n == 0)
                break;
            p = running[(size_t)rand() % run_n];
            for (uint32_t k = 0; k < run_n; k++)
                if (running[k] == p) {
                    running[k] = running[--run_n];
                    break;
                }
            sched_ended(s, p, (enum sched_end)(rand() % 4), now);
            sched_ready(s, p);
        }
        memset(jobs, 0, sizeof jobs);
        for (uint32_t k = 0; k < run_n; k++)
            if (sched_side(s, running[k]) == SIDE_REMOTE && sched_group(s, running[k]).n)
                jobs[sched_group(s, running[k]).p[1] - '0']++;
        /* Who moves brings what he has; nothing is begun beyond that. */
        assert_true(jobs[0] + jobs[1] + jobs[2] <= 7 * 3);
    }
    while (run_n)
        sched_ended(s, running[--run_n], SCHED_SUCCESS, now);
    for (uint32_t i = 0; i < COUNT(parts); i++)
        sched_ready(s, parts[i]);
    for (uint32_t n = 0, p; n < 2000 && run_n < COUNT(parts); n++) {
        sched_tick(s, now += 10);
        while ((p = sched_pick(s, SCHED_ANY))) {
            run_n++;
            sched_ended(s, p, SCHED_SUCCESS, now);
        }
    }
    assert_int_equal(run_n, COUNT(parts));
    for (uint32_t i = 0; i < COUNT(parts); i++)
        sched_part_free(s, parts[i]);
    sched_trim(s);
    assert_int_equal(sched_dest_count(s), 0);
    sched_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_group_has_one_window),
        cmocka_unit_test(groups_take_turns),
        cmocka_unit_test(a_domain_moves),
        cmocka_unit_test(dead_hosts_rest_for_all),
        cmocka_unit_test(a_dead_domain_rests_alone),
        cmocka_unit_test(slow_look_ups_hold_one_place),
        cmocka_unit_test(limits_are_the_groups),
        cmocka_unit_test(a_new_route_is_not_for_the_old_group),
        cmocka_unit_test(three_sides),
        cmocka_unit_test(sides_are_learned),
        cmocka_unit_test(all_at_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
