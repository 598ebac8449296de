/* test_schedule.c - fairness, windows, rest and retry times with a fake clock */
#include "tests/support/unit.h"

#include "queued/schedule.h"

#include <stdlib.h>
#include <string.h>

static const int64_t retry[] = { 300, 600, 1200 };
static uint64_t dice;

static uint64_t below(uint64_t n)
{
    return dice < n ? dice : n - 1;
}

static struct sched *make(void)
{
    const struct sched_conf conf = { .retry = retry, .retry_n = COUNT(retry), .below = below };

    dice = 0;
    return sched_new(&conf);
}

static uint32_t part(struct sched *s, const char *domain, uint32_t sender, uint32_t message)
{
    uint32_t p = sched_part_new(s, SV(domain), false, sender);

    sched_part(s, p)->message = message;
    sched_ready(s, p);
    return p;
}

/* With letters of several senders, and with one bulk mailing. */
static void destinations_take_turns(void **state)
{
    (void)state;
    for (unsigned bulk = 0; bulk < 2; bulk++) {
        struct sched *s = make();
        unsigned got[3] = { 0, 0, 0 };
        uint32_t p;

        for (uint32_t i = 0; i < 103; i++) {
            uint32_t message = i < 100 ? 0 : i < 102 ? 1 : 2;

            p = sched_part_new(s, SV(message == 0 ? "busy.test" : message == 1 ? "b.test" : "c.test"), false,
                               bulk ? 1 : message);
            sched_part(s, p)->message = message;
            sched_part(s, p)->class = bulk ? SCHED_BULK : SCHED_NORMAL;
            sched_ready(s, p);
        }
        for (int i = 0; i < 6 && (p = sched_pick(s, SCHED_ANY)); i++)
            got[sched_part(s, p)->message]++;
        assert_true(got[1] == 2 && got[2] == 1 && got[0] == 3);
        /* The busy one's window is full after five. */
        while ((p = sched_pick(s, SCHED_ANY)))
            got[sched_part(s, p)->message]++;
        assert_int_equal(got[0], 5);
        sched_free(&s);
    }
}

/* A million that are due at once become ready in turns, none is forgotten. */
static void ticks_are_bounded(void **state)
{
    struct sched *s = make();
    size_t moved;

    (void)state;
    for (uint32_t i = 0; i < 2 * SCHED_TICK_MAX + 7; i++)
        sched_wait(s, part(s, "a.test", i, 0), 1000 + i % 100);
    assert_int_equal(sched_tick(s, 999), 0);
    for (size_t left = 2 * SCHED_TICK_MAX + 7; left > 0; left -= moved) {
        moved = sched_tick(s, 5000);
        assert_int_equal(moved, left < SCHED_TICK_MAX ? left : SCHED_TICK_MAX);
        assert_true(left == moved ? sched_next(s) == 0 : sched_next(s) <= 5000);
    }
    assert_int_equal(sched_tick(s, 5000), 0);
    sched_free(&s);
}

static void sides_have_room_of_their_own(void **state)
{
    struct sched *s = make();
    uint32_t here = sched_part_new(s, SV("a.test"), true, 1), there = part(s, "b.test", 1, 1);
    unsigned locals = 0;

    (void)state;
    sched_ready(s, here);
    assert_int_equal(sched_pick(s, 0), 0);
    assert_int_equal(sched_pick(s, SCHED_LOCAL), here);
    assert_int_equal(sched_pick(s, SCHED_LOCAL), 0);
    assert_int_equal(sched_pick(s, SCHED_REMOTE), there);
    /* Ten destinations there are one side, one here is the other: they take turns. */
    for (int i = 0; i < 10; i++) {
        char name[32];

        snprintf(name, sizeof name, "d%d.test", i);
        part(s, name, 1, 0);
        sched_ready(s, sched_part_new(s, SV("a.test"), true, 1));
    }
    for (int i = 0; i < 10; i++)
        locals += sched_is_local(s, sched_pick(s, SCHED_ANY));
    assert_int_equal(locals, 5);
    sched_free(&s);
}

static void senders_take_turns(void **state)
{
    struct sched *s = make();
    uint32_t p, order[5];

    (void)state;
    for (uint32_t i = 0; i < 1000; i++)
        part(s, "a.test", 7, 100 + i);
    part(s, "a.test", 8, 1);
    part(s, "a.test", 9, 2);
    for (size_t i = 0; i < 5; i++) {
        p = sched_pick(s, SCHED_ANY);
        assert_true(p);
        order[i] = sched_part(s, p)->message;
    }
    assert_true(order[0] == 100 && order[1] == 1 && order[2] == 2 && order[3] == 101 && order[4] == 102);
    sched_free(&s);
}

static void windows_grow_and_shrink(void **state)
{
    struct sched *s = make();
    uint32_t p[200], other;
    size_t n = 0;

    (void)state;
    for (uint32_t i = 0; i < 200; i++)
        part(s, "a.test", i, i);
    while ((p[n] = sched_pick(s, SCHED_ANY)))
        n++;
    assert_int_equal(n, 5);
    for (size_t i = 0; i < 4; i++)
        sched_ended(s, p[i], SCHED_SUCCESS, 1000);
    assert_int_equal(sched_window(s, p[0]), 9);
    for (n = 4; (p[n + 1] = sched_pick(s, SCHED_ANY));)
        n++;
    assert_int_equal(n, 4 + 8);
    for (int i = 0; i < 2000; i++) {
        sched_started(s, p[0]);
        sched_ended(s, p[0], SCHED_SUCCESS, 1000);
    }
    assert_int_equal(sched_window(s, p[0]), 50);
    sched_started(s, p[0]);
    assert_false(sched_ended(s, p[0], SCHED_UNREACHABLE, 1000));
    assert_int_equal(sched_window(s, p[0]), 25);
    sched_started(s, p[0]);
    sched_ended(s, p[0], SCHED_NEUTRAL, 1000);
    assert_int_equal(sched_window(s, p[0]), 25);
    /* The last one that fails sends it to rest. */
    other = 0;
    for (size_t i = 4; i <= n; i++)
        other += sched_ended(s, p[i], SCHED_UNREACHABLE, 1000);
    assert_int_equal(other, 1);
    assert_int_equal(sched_rest_until(s, p[0]), 1300);
    assert_int_equal(sched_pick(s, SCHED_ANY), 0);
    assert_int_equal(sched_next(s), 1300);
    assert_int_equal(sched_tick(s, 1299), 0);
    assert_int_equal(sched_tick(s, 1300), 1);
    /* One probe, and only when it succeeds others. */
    p[0] = sched_pick(s, SCHED_ANY);
    assert_true(p[0]);
    assert_int_equal(sched_pick(s, SCHED_ANY), 0);
    sched_ended(s, p[0], SCHED_SUCCESS, 1301);
    assert_true(sched_pick(s, SCHED_ANY));
    assert_true(sched_pick(s, SCHED_ANY));
    assert_int_equal(sched_pick(s, SCHED_ANY), 0);
    sched_free(&s);
}

static void so_many(void *arg, struct strv domain, struct sched_limits *l)
{
    (void)domain;
    l->max_jobs = *(uint32_t *)arg;
}

static void a_limit_is_below_the_window(void **state)
{
    struct sched *s = make();
    uint32_t p[50], n = 0, limit = 3;

    (void)state;
    for (uint32_t i = 0; i < 50; i++)
        part(s, "a.test", i, i);
    p[n++] = sched_pick(s, SCHED_ANY);
    sched_on_limits(s, so_many, &limit);
    while ((p[n] = sched_pick(s, SCHED_ANY)))
        n++;
    assert_int_equal(n, 3);
    for (int i = 0; i < 20; i++) {
        sched_ended(s, p[0], SCHED_SUCCESS, 1000);
        assert_true(sched_pick(s, SCHED_ANY));
        assert_int_equal(sched_pick(s, SCHED_ANY), 0);
    }
    assert_true(sched_window(s, p[0]) >= 20);
    limit = 0;
    sched_on_limits(s, so_many, &limit);
    for (n = 0; sched_pick(s, SCHED_ANY);)
        n++;
    assert_int_equal(n, sched_window(s, p[0]) - 3);
    sched_free(&s);
}

static void one_dead_destination_stops_nobody_else(void **state)
{
    struct sched *s = make();
    uint32_t p, dead = part(s, "dead.test", 1, 1);

    (void)state;
    assert_int_equal(sched_pick(s, SCHED_ANY), dead);
    for (int i = 1; i < 5; i++) {
        assert_false(sched_ended(s, dead, SCHED_UNREACHABLE, 100));
        sched_started(s, dead);
    }
    assert_true(sched_ended(s, dead, SCHED_UNREACHABLE, 100));
    part(s, "dead.test", 1, 2);
    part(s, "alive.test", 1, 3);
    p = sched_pick(s, SCHED_ANY);
    assert_int_equal(sched_part(s, p)->message, 3);
    assert_int_equal(sched_pick(s, SCHED_ANY), 0);
    sched_free(&s);
}

static void waiting_parts_come_in_order_of_time(void **state)
{
    struct sched *s = make();
    uint32_t p[50], last = 0;

    (void)state;
    for (uint32_t i = 0; i < 50; i++) {
        p[i] = sched_part_new(s, SV("local.test"), true, 1);
        sched_part(s, p[i])->message = (i * 37) % 50;
        sched_wait(s, p[i], 1000 + (i * 37) % 50);
    }
    sched_idle(s, p[10]);
    sched_wait(s, p[11], 5000);
    sched_part_free(s, p[12]);
    for (uint32_t now = 1000; now < 1050; now++) {
        uint32_t got;

        sched_tick(s, now);
        while ((got = sched_pick(s, SCHED_ANY))) {
            assert_true(sched_part(s, got)->message + 1000 <= now && sched_part(s, got)->message >= last);
            last = sched_part(s, got)->message;
            sched_ended(s, got, SCHED_SUCCESS, now);
        }
    }
    assert_int_equal(sched_next(s), 5000);
    sched_free(&s);
}

static void retry_times(void **state)
{
    struct sched *s = make();
    const struct {
        unsigned attempts;
        uint64_t dice;
        uint32_t want;
    } cases[] = {
        { 1, 0, 1300 },     { 2, 0, 1600 }, { 3, 0, 2200 },          { 4, 0, 2200 },
        { 65535, 0, 2200 }, { 0, 0, 1300 }, { 1, UINT64_MAX, 1337 }, { 3, UINT64_MAX, 2350 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        dice = cases[i].dice;
        assert_int_equal(sched_retry_at(s, cases[i].attempts, 1000), cases[i].want);
        assert_true(sched_retry_limit(s, cases[i].attempts, 1000) >= cases[i].want);
    }
    sched_free(&s);
}

static unsigned dropped;

static void on_drop(void *arg, void *why)
{
    (void)arg;
    (void)why;
    dropped++;
}

static void destinations_are_forgotten(void **state)
{
    const struct sched_conf conf = { .retry = retry, .retry_n = 3, .below = below, .drop = on_drop };
    struct sched *s = sched_new(&conf);
    uint32_t p = part(s, "a.test", 1, 1), q = part(s, "b.test", 1, 1);
    int why;

    (void)state;
    dropped = 0;
    sched_set_why(s, p, SCHED_UNREACHABLE, &why);
    sched_set_why(s, q, SCHED_UNREACHABLE, &why);
    sched_pick(s, SCHED_ANY);
    sched_pick(s, SCHED_ANY);
    sched_ended(s, p, SCHED_NEUTRAL, 1);
    /* One failure is not yet a rest; five in a row are. */
    assert_false(sched_ended(s, q, SCHED_UNREACHABLE, 1));
    assert_int_equal(sched_rest_until(s, q), 0);
    for (int i = 2; i <= 5; i++) {
        sched_started(s, q);
        assert_int_equal(sched_ended(s, q, SCHED_UNREACHABLE, 1), i == 5);
    }
    assert_int_equal(sched_dest_count(s), 2);
    sched_part_free(s, p);
    sched_part_free(s, q);
    sched_trim(s);
    /* A rest is remembered until it is over. */
    assert_int_equal(sched_dest_count(s), 1);
    assert_int_equal(dropped, 1);
    sched_tick(s, 1000);
    sched_trim(s);
    assert_int_equal(sched_dest_count(s), 0);
    assert_int_equal(dropped, 2);
    sched_free(&s);
}

struct each {
    struct sched *s;
    unsigned count;
};

static void on_each(void *arg, uint32_t p)
{
    struct each *e = arg;

    e->count++;
    sched_wait(e->s, p, 9999);
}

static void ready_parts_can_leave_while_walked(void **state)
{
    struct sched *s = make();
    struct each e = { .s = s };
    uint32_t p = 0;

    (void)state;
    for (uint32_t i = 0; i < 300; i++)
        p = part(s, "a.test", i, i);
    sched_each_ready(s, p, on_each, &e);
    assert_int_equal(e.count, 300);
    assert_int_equal(sched_pick(s, SCHED_ANY), 0);
    sched_ready(s, p);
    e.count = 0;
    sched_each_ready(s, p, on_each, &e);
    assert_int_equal(e.count, 1);
    sched_free(&s);
}

/* What the schedule promises about one mailing and one letter, over the life of connections: at most one job
 * of the mailing starts after the letter was ready, and none at all when the mailing is alone. */
static void a_mailing_of_100000_delays_a_letter_by_a_job_per_connection(void **state)
{
    enum { MESSAGES = 1000, OTHERS = 3 };

    (void)state;
    for (unsigned run = 0; run < 60; run++) {
        struct sched *s = make();
        uint32_t running[64], n = 0, letter, p = 0, after = 0, window = 0, others = run % 2 ? OTHERS : 0;

        /* A hundred recipients each. */
        for (uint32_t i = 0; i < MESSAGES; i++)
            part(s, "big.test", 7, 1);
        for (uint32_t i = 0; i < others * 50; i++)
            part(s, "big.test", 100 + i % OTHERS, 2);
        /* The window grows with every success; the letter comes at any time. */
        for (unsigned step = 0; step < 10 + run * 5; step++) {
            while ((p = sched_pick(s, SCHED_ANY)))
                running[n++] = p;
            window = n;
            p = running[0];
            memmove(running, running + 1, --n * sizeof *running);
            sched_ended(s, p, SCHED_SUCCESS, 1000);
        }
        letter = part(s, "big.test", 8, 3);
        for (p = 0; p != letter;) {
            while (n < window && p != letter && (p = sched_pick(s, SCHED_ANY))) {
                running[n++] = p;
                after += sched_part(s, p)->message == 1;
            }
            if (p == letter)
                break;
            sched_ended(s, running[0], SCHED_SUCCESS, 1000);
            memmove(running, running + 1, --n * sizeof *running);
        }
        assert_true(window <= 64);
        assert_true(after <= (others ? 1u : 0u));
        sched_free(&s);
    }
}

static void bulk_is_never_a_letter(void **state)
{
    struct sched *s = make();
    uint32_t bulk = sched_part_new(s, SV_LIT("a.test"), false, 1), letter;

    (void)state;
    sched_part(s, bulk)->class = SCHED_BULK;
    sched_ready(s, bulk);
    letter = part(s, "b.test", 2, 0);
    assert_int_equal(sched_pick(s, SCHED_ANY), letter);
    assert_int_equal(sched_pick(s, SCHED_ANY), bulk);
    sched_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(destinations_take_turns),
        cmocka_unit_test(bulk_is_never_a_letter),
        cmocka_unit_test(ticks_are_bounded),
        cmocka_unit_test(sides_have_room_of_their_own),
        cmocka_unit_test(senders_take_turns),
        cmocka_unit_test(a_mailing_of_100000_delays_a_letter_by_a_job_per_connection),
        cmocka_unit_test(windows_grow_and_shrink),
        cmocka_unit_test(a_limit_is_below_the_window),
        cmocka_unit_test(one_dead_destination_stops_nobody_else),
        cmocka_unit_test(waiting_parts_come_in_order_of_time),
        cmocka_unit_test(retry_times),
        cmocka_unit_test(destinations_are_forgotten),
        cmocka_unit_test(ready_parts_can_leave_while_walked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
