/* test_lanes.c - the order inside a destination: classes, senders in turn, nobody kept out */
#include "tests/support/unit.h"

#include "queued/lanes.h"
#include "queued/schedule.h"

#include <stdlib.h>

struct rig {
    struct pool parts;
    struct lanes lanes;
    struct order order;
};

static void rig_make(struct rig *r)
{
    memset(r, 0, sizeof *r);
    pool_init(&r->parts, sizeof(struct part));
    lanes_init(&r->lanes, &r->parts);
}

static void rig_free(struct rig *r)
{
    order_clear(&r->order);
    lanes_clear(&r->lanes);
    pool_clear(&r->parts);
}

static struct part *at(struct rig *r, uint32_t p)
{
    return pool_at(&r->parts, p);
}

static uint32_t add(struct rig *r, uint32_t sender, enum sched_class class)
{
    uint32_t p = pool_take(&r->parts);

    at(r, p)->sender = sender;
    at(r, p)->class = (uint8_t) class;
    order_add(&r->lanes, &r->order, 1, p);
    return p;
}

/* The sender whose turn it is; the part is gone then. */
static uint32_t pick(struct rig *r)
{
    uint32_t p = order_pick(&r->lanes, &r->order), sender = at(r, p)->sender;

    pool_give(&r->parts, p);
    return sender;
}

static void one_part_costs_nothing(void **state)
{
    struct rig r;
    uint32_t p, q;

    (void)state;
    rig_make(&r);
    p = add(&r, 7, SCHED_NORMAL);
    assert_null(r.order.rounds);
    assert_null(r.lanes.buckets);
    q = add(&r, 8, SCHED_BULK);
    assert_non_null(r.order.rounds);
    assert_int_equal(r.lanes.pool.live, 2);
    order_remove(&r.lanes, &r.order, p);
    assert_int_equal(order_pick(&r.lanes, &r.order), q);
    assert_null(r.order.rounds);
    assert_null(r.lanes.buckets);
    assert_int_equal(r.lanes.pool.live, 0);
    rig_free(&r);
}

/* Sixty thousand senders, and each of them has a lane of its own. */
static void lanes_are_exact(void **state)
{
    enum { SENDERS = 60000 };
    struct rig r;
    uint8_t *seen = calloc(SENDERS, 1);

    (void)state;
    rig_make(&r);
    for (uint32_t round = 0; round < 3; round++)
        for (uint32_t i = 0; i < SENDERS; i++)
            add(&r, i * 2654435761u, SCHED_NORMAL);
    assert_int_equal(r.lanes.pool.live, SENDERS);
    for (uint8_t round = 1; round <= 3; round++)
        for (uint32_t i = 0; i < SENDERS; i++) {
            uint32_t sender = pick(&r) * 244002641u; /* the inverse */

            assert_true(sender < SENDERS);
            assert_int_equal(++seen[sender], round);
        }
    assert_int_equal(r.order.ready, 0);
    free(seen);
    rig_free(&r);
}

/* A mailing alone, then a letter: nothing of the mailing goes between. With others waiting: once at most. */
static void a_letter_passes_a_mailing(void **state)
{
    enum { MAILING = 1, LETTER = 2 };
    struct rig r;

    (void)state;
    for (unsigned before = 0; before < 40; before++)
        for (uint32_t others = 0; others < 5; others++) {
            unsigned mailing = 0;
            uint32_t got;

            rig_make(&r);
            for (unsigned i = 0; i < 1000; i++)
                add(&r, MAILING, SCHED_NORMAL);
            for (uint32_t i = 0; i < others * 20; i++)
                add(&r, 10 + i % (others ? others : 1), SCHED_NORMAL);
            for (unsigned i = 0; i < before; i++)
                pick(&r);
            add(&r, LETTER, SCHED_NORMAL);
            while ((got = pick(&r)) != LETTER)
                mailing += got == MAILING;
            assert_true(mailing <= (others > 0 || before == 0));
            rig_free(&r);
        }
}

/* Each turn three new senders come: the old one still has his, and no newcomer waits for ever. */
static void newcomers_keep_nobody_out(void **state)
{
    struct rig r;
    unsigned old = 0, since = 0, longest = 0;

    (void)state;
    rig_make(&r);
    for (unsigned i = 0; i < 100; i++)
        add(&r, 1, SCHED_NORMAL);
    for (uint32_t i = 0; i < 3000; i++) {
        add(&r, 1000 + 3 * i, SCHED_NORMAL);
        add(&r, 1001 + 3 * i, SCHED_NORMAL);
        add(&r, 1002 + 3 * i, SCHED_NORMAL);
        since++;
        if (pick(&r) == 1) {
            old++;
            longest = since > longest ? since : longest;
            since = 0;
        }
    }
    /* Rounds grow as the senders do: a logarithm of them fits. */
    assert_true(old >= 4);
    assert_true(longest < 3000);
    rig_free(&r);
}

static void classes_have_their_shares(void **state)
{
    struct rig r;
    unsigned got[SCHED_CLASSES] = { 0 };
    uint32_t first;

    (void)state;
    rig_make(&r);
    for (uint32_t i = 0; i < 6000; i++)
        for (uint32_t class = 0; class < SCHED_CLASSES; class ++)
            add(&r, class, (enum sched_class) class);
    for (unsigned i = 0; i < 6400; i++)
        got[pick(&r)]++;
    assert_int_equal(got[SCHED_BULK], 100);
    assert_int_equal(got[SCHED_NORMAL], 700);
    assert_int_equal(got[SCHED_URGENT], 5600);
    rig_free(&r);

    /* A letter of the sender whose mailing runs goes before the rest of it. */
    rig_make(&r);
    for (unsigned i = 0; i < 100; i++)
        add(&r, 1, SCHED_BULK);
    pick(&r);
    first = add(&r, 1, SCHED_NORMAL);
    assert_int_equal(order_pick(&r.lanes, &r.order), first);
    rig_free(&r);
}

/* One message with many recipients goes out job by job: its part is back as soon as it was picked. */
static void who_comes_back_at_once_is_not_new(void **state)
{
    enum { BIG = 1, OTHER = 2, LETTER = 3 };
    struct rig r;
    unsigned got[4] = { 0 };

    (void)state;
    rig_make(&r);
    add(&r, BIG, SCHED_NORMAL);
    for (unsigned i = 0; i < 500; i++)
        add(&r, OTHER, SCHED_NORMAL);
    for (unsigned i = 0; i < 400; i++) {
        uint32_t sender = pick(&r);

        got[sender]++;
        if (sender == BIG)
            add(&r, BIG, SCHED_NORMAL);
    }
    assert_int_equal(got[BIG], 200);
    rig_free(&r);

    /* Alone there, too: the letter goes first. */
    for (unsigned bulk = 0; bulk < 2; bulk++) {
        rig_make(&r);
        add(&r, BIG, SCHED_NORMAL);
        assert_int_equal(pick(&r), BIG);
        add(&r, BIG, SCHED_NORMAL);
        if (bulk)
            add(&r, OTHER, SCHED_BULK);
        add(&r, LETTER, SCHED_NORMAL);
        assert_int_equal(pick(&r), LETTER);
        assert_int_equal(pick(&r), BIG);
        rig_free(&r);
    }
}

struct all {
    struct rig *r;
    uint32_t seen;
    bool remove;
};

static void on_each(void *arg, uint32_t p)
{
    struct all *a = arg;

    a->seen++;
    if (a->remove && a->seen % 3 != 0) {
        order_remove(&a->r->lanes, &a->r->order, p);
        pool_give(&a->r->parts, p);
    }
}

/* Whatever is put in and taken out, the counts agree and everything comes out once. */
static void any_order_of_calls(void **state)
{
    enum { LIVE = 500 };
    struct rig r;
    uint32_t live[LIVE], n = 0, left;
    struct all all = { .r = &r };

    (void)state;
    srand(7);
    rig_make(&r);
    for (unsigned step = 0; step < 200000; step++) {
        unsigned what = (unsigned)rand() % 8;

        if (step / 5000 % 2 ? what < 3 : what < 5) {
            if (n < LIVE)
                live[n++] = add(&r, (uint32_t)rand() % 100, (enum sched_class)(rand() % SCHED_CLASSES));
        } else if (n > 0 && what == 7) {
            uint32_t p = order_pick(&r.lanes, &r.order), i = 0;

            while (i < n && live[i] != p)
                i++;
            assert_true(i < n);
            live[i] = live[--n];
            pool_give(&r.parts, p);
        } else if (n > 0) {
            uint32_t i = (uint32_t)rand() % n;

            order_remove(&r.lanes, &r.order, live[i]);
            pool_give(&r.parts, live[i]);
            live[i] = live[--n];
        }
        assert_int_equal(r.order.ready, n);
        assert_int_equal(r.parts.live, n);
    }
    for (; n < LIVE; n++)
        live[n] = add(&r, n, SCHED_NORMAL);
    order_each(&r.lanes, &r.order, on_each, &all);
    assert_int_equal(all.seen, n);
    all = (struct all){ .r = &r, .remove = true };
    order_each(&r.lanes, &r.order, on_each, &all);
    assert_int_equal(all.seen, n);
    left = r.order.ready;
    assert_int_equal(left, n / 3);
    while (left-- > 0)
        pick(&r);
    assert_int_equal(r.lanes.pool.live, 0);
    rig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_part_costs_nothing),
        cmocka_unit_test(lanes_are_exact),
        cmocka_unit_test(a_letter_passes_a_mailing),
        cmocka_unit_test(newcomers_keep_nobody_out),
        cmocka_unit_test(classes_have_their_shares),
        cmocka_unit_test(any_order_of_calls),
        cmocka_unit_test(who_comes_back_at_once_is_not_new),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
