/* test_turns.c - turns of destinations and groups: a mailing to many domains, and letters of others */
#include "tests/unit/queued/sched_rig.h"

#include <stdio.h>

/* A mailing of one sender to many domains: with the same hosts (a smart host), or each with its own. */
static void mailing(struct sched *s, uint32_t domains, bool same_hosts)
{
    char name[32];

    for (uint32_t i = 0; i < domains; i++) {
        snprintf(name, sizeof name, "d%u.test", (unsigned)i);
        uint32_t p = part(s, name, SIDE_REMOTE, 7);

        if (same_hosts)
            sched_join(s, p, HOSTS);
    }
}

static void a_mailing_to_many_domains_delays_a_letter_by_one_turn(void **state)
{
    (void)state;
    for (unsigned run = 0; run < 32; run++) {
        struct sched *s = make();
        uint32_t picked, letter, before = 0;

        mailing(s, 3000, run % 2);
        for (unsigned i = 0; i < 20 + run; i++) {
            picked = sched_pick(s, SCHED_ANY);
            assert_int_not_equal(picked, 0);
            sched_ended(s, picked, SCHED_SUCCESS, 1000);
        }
        letter = part(s, run % 4 < 2 ? "letter.test" : "d2999.test", SIDE_REMOTE, 8);
        if (run % 2)
            sched_join(s, letter, HOSTS);
        while ((picked = sched_pick(s, SCHED_ANY)) != letter) {
            sched_ended(s, picked, SCHED_SUCCESS, 1000);
            before++;
        }
        assert_true(before <= 1);
        sched_free(&s);
    }
}

static void letters_leave_mailings_their_share(void **state)
{
    struct sched *s = make();
    unsigned mailings = 0;

    (void)state;
    mailing(s, 3000, true);
    for (uint32_t i = 0; i < 4; i++)
        sched_join(s, part(s, "letter.test", SIDE_REMOTE, 100 + i), HOSTS);
    for (uint32_t i = 0; i < 800; i++) {
        uint32_t picked = sched_pick(s, SCHED_ANY);

        mailings += sched_part(s, picked)->sender == 7;
        sched_ended(s, picked, SCHED_SUCCESS, 1000);
        if (sched_part(s, picked)->sender != 7)
            sched_ready(s, picked);
    }
    assert_in_range(mailings, 95, 120); /* the first parts of the mailing were letters themselves */
    sched_free(&s);
}

/* The n-th letter of one who has many waits for about as many of each other sender, not for all they have. */
static void letters_wait_for_as_many_of_a_mailing(void **state)
{
    struct sched *s = make();
    uint32_t letters = 0, mailings = 0, p;

    (void)state;
    mailing(s, 30000, true);
    for (uint32_t i = 0; i < 500; i++) {
        char name[32];

        snprintf(name, sizeof name, "d%u.test", 29999 - (unsigned)i * 7);
        part(s, name, SIDE_REMOTE, 8);
    }
    while (letters < 500) {
        p = sched_pick(s, SCHED_ANY);
        sched_ended(s, p, SCHED_SUCCESS, 1000);
        if (sched_part(s, p)->sender == 7)
            mailings++;
        else
            letters++;
        /* Four times as many, one at the destination of each letter of this tier, and the eighth turns. */
        assert_in_range(mailings, 0, 10 * letters + 8);
    }
    sched_free(&s);
}

/* At most: those of its own destination have a turn before it, and in between others have theirs. */
static void a_letter_waits_for_a_turn_of_each_sender(void **state)
{
    enum { SENDERS = 50, DOMAINS = 100 };
    struct sched *s = make();
    uint32_t letter, p, before = 0;

    (void)state;
    for (uint32_t m = 0; m < SENDERS; m++)
        for (uint32_t i = 0; i < DOMAINS; i++) {
            char name[32];

            snprintf(name, sizeof name, "d%u.test", (unsigned)i);
            sched_join(s, part(s, name, SIDE_REMOTE, 1000003u * (m + 1)), HOSTS);
        }
    letter = part(s, "d7.test", SIDE_REMOTE, 8);
    while ((p = sched_pick(s, SCHED_ANY)) != letter) {
        sched_ended(s, p, SCHED_SUCCESS, 1000);
        before++;
    }
    assert_in_range(before, 0, 3 * SENDERS);
    sched_free(&s);
}

/* However much there is in front of it, each tier goes on. */
static void every_tier_has_its_share(void **state)
{
    enum { PICKS = 8 * (int)SCHED_TIERS * 10 };
    struct sched *s = make();
    unsigned got[SCHED_TIERS] = { 0 };

    (void)state;
    mailing(s, 70000, true);
    for (int i = 0; i < PICKS; i++) {
        uint32_t p = sched_pick(s, SCHED_ANY);

        assert_true(p && sched_part(s, p)->tier < SCHED_TIERS);
        got[sched_part(s, p)->tier]++;
        sched_ended(s, p, SCHED_SUCCESS, 1000);
        /* What would be in front of all others is there again and again. */
        if (i > 100)
            sched_join(s, part(s, "letter.test", SIDE_REMOTE, 100000u + (uint32_t)i), HOSTS);
    }
    for (unsigned tier = 4; tier < SCHED_TIERS; tier++)
        assert_in_range(got[tier], 8, PICKS);
    sched_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mailing_to_many_domains_delays_a_letter_by_one_turn),
        cmocka_unit_test(letters_leave_mailings_their_share),
        cmocka_unit_test(letters_wait_for_as_many_of_a_mailing),
        cmocka_unit_test(a_letter_waits_for_a_turn_of_each_sender),
        cmocka_unit_test(every_tier_has_its_share),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
