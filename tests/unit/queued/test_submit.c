/* test_submit.c - what cleanup is told: doubts that end, refusals */
#include "tests/support/unit.h"
#include "tests/unit/queued/rig.h"

#include "common/base/id.h"
#include "common/os/fault.h"

#include <stdlib.h>

static void queries_end_doubts(void **state)
{
    struct rig *r = rig_new();
    uint64_t stored = id_new(), over = id_new(), never = id_new();

    (void)state;
    rig_start(r);
    rig_submit(r, 1, stored, "s@example.org", "r:a@far.test", "x\r\n");
    rig_submit(r, 2, over, "s@example.org", "r:a@near.test", "x\r\n");
    RIG_UNTIL(r, rig_job(r, over));
    rig_result(r, 0, rig_job(r, over), OUTCOME_DELIVERED, "data", true);
    RIG_UNTIL(r, r->acks == 1);
    for (int restart = 0; restart < 2; restart++) {
        rig_query(r, 11, stored);
        rig_query(r, 12, over);
        rig_query(r, 13, never);
        rig_expect_accepted(r, 11);
        rig_expect_accepted(r, 12);
        RIG_UNTIL(r, rig_answer(r, 13));
        assert_int_equal(rig_answer(r, 13)->verdict, VERDICT_TEMPFAIL);
        if (restart == 0) {
            /* "No" was final. */
            rig_submit(r, 14, never, "s@example.org", "r:a@far.test", "x\r\n");
            RIG_UNTIL(r, rig_answer(r, 14));
            assert_int_equal(rig_answer(r, 14)->verdict, VERDICT_TEMPFAIL);
        }
        rig_kill(r);
        rig_start(r);
    }
    rig_kill(r);
    rig_free(r);
}

/* The disk is looked at once a second. */
static void pass_a_second(struct rig *r)
{
    for (int64_t end = loop_now(r->loop) + 1100; loop_now(r->loop) < end;)
        loop_once(r->loop, 20);
}

static void refusals(void **state)
{
    struct rig *r = rig_new();
    uint64_t id = id_new();
    struct err err;

    (void)state;
    rig_start(r);
    rig_submit(r, 1, id, "s@example.org", "r:a@far.test", "x\r\n");
    rig_expect_accepted(r, 1);
    rig_submit(r, 2, id, "s@example.org", "r:a@far.test", "x\r\n");
    RIG_UNTIL(r, rig_answer(r, 2));
    assert_int_equal(rig_answer(r, 2)->code, 451);
    rig_submit(r, 3, id_new(), "s@example.org", "", "x\r\n");
    RIG_UNTIL(r, rig_answer(r, 3));
    assert_int_equal(rig_answer(r, 3)->code, 451);
    r->conf.reserve = INT64_MAX / 2;
    pass_a_second(r);
    rig_submit(r, 4, id_new(), "s@example.org", "r:a@far.test", "x\r\n");
    RIG_UNTIL(r, rig_answer(r, 4));
    assert_int_equal(rig_answer(r, 4)->code, 452);
    r->conf.reserve = 1;
    pass_a_second(r);
    assert_true(fault_arm(SV("queued.segment.write:ENOSPC"), &err));
    rig_submit(r, 5, id_new(), "s@example.org", "r:a@far.test", "x\r\n");
    RIG_UNTIL(r, rig_answer(r, 5));
    assert_int_equal(rig_answer(r, 5)->code, 452);
    assert_true(fault_arm(SV("queued.segment.sync:EIO"), &err));
    rig_submit(r, 6, id_new(), "s@example.org", "r:a@far.test", "x\r\n");
    RIG_UNTIL(r, rig_answer(r, 6));
    assert_int_equal(rig_answer(r, 6)->code, 451);
    fault_disarm_all();
    rig_submit(r, 7, id_new(), "s@example.org", "r:a@far.test", "x\r\n");
    rig_expect_accepted(r, 7);
    rig_kill(r);
    rig_start(r);
    rig_rest(r);
    assert_int_equal(ledger_count(&r->q.ledger), 2);
    rig_kill(r);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queries_end_doubts),
        cmocka_unit_test(refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
