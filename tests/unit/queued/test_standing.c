/* test_standing.c - what the gauges count is what a count of everything finds, whatever happens */
#include "tests/support/unit.h"

#include "common/base/metric.h"
#include "queued/ctl.h"
#include "queued/measure.h"
#include "tests/unit/queued/rig.h"

#include <stdio.h>

#define STEPS 1500

static struct rig *r;
static uint64_t seed;

static int setup(void **state)
{
    (void)state;
    r = rig_new();
    rig_keep_all(r);
    r->hold_results = true;
    seed = 12345;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_free(r);
    return 0;
}

static unsigned below(unsigned n)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(seed >> 33) % n;
}

static void gauges_are_right(void)
{
    uint64_t total = 0;

    rig_check_standings(r);
    measure_queue(&r->q);
    for (unsigned i = 0; i < STANDING__N; i++) {
        assert_true(metric_cells[METRIC_QUEUE_MESSAGES][i] == r->q.ledger.standings[i]);
        total += r->q.ledger.standings[i];
    }
    assert_true(total == ledger_count(&r->q.ledger));
}

static uint64_t ids;

static void submit_one(void)
{
    static const char *const rcpts[] = { "r:a@far.test", "l:a@demo.test", "r:a@far.test r:b@other.test",
                                         "r:a@far.test r:b@far.test l:c@demo.test" };
    uint64_t id = 1000 + ids++;

    rig_submit(r, id, id, below(4) ? "s@x.test" : "", rcpts[below(4)], "body\r\n");
}

static void answer_one(void)
{
    struct rig_job *job = NULL;

    for (size_t i = 0; i < r->job_n && !job; i++)
        if (r->jobs[i].complete && !r->jobs[i].answered)
            job = &r->jobs[i];
    if (!job)
        return;
    job->answered = true;
    if (job->rcpt_n > 1 && below(2)) {
        rig_result_some(r, 0, job, 1u << job->rcpts[0].index, OUTCOME_DELIVERED, false);
        rig_result_some(r, 0, job, ~(1u << job->rcpts[0].index), (enum ipc_outcome)below(3), true);
    } else {
        rig_result(r, 0, job, (enum ipc_outcome)below(3), below(4) ? "rcpt" : "connect", true);
    }
}

static uint32_t any_message(void)
{
    uint32_t cursor = r->q.ledger.messages.used ? below(r->q.ledger.messages.used) : 0;

    return ledger_next(&r->q.ledger, &cursor);
}

static void change_one(void)
{
    uint32_t handle = any_message();

    if (handle)
        changes[below(5)].run(&r->q, handle, 0, SV_LIT("test"));
}

static void again(void)
{
    rig_rest(r);
    rig_kill(r);
    r->answer_n = r->notice_n = 0;
    rig_start(r);
}

static void lose_deliverd(void)
{
    rig_disconnect_deliverd(r, 0);
    rig_rest(r);
    rig_jobs_forget(r);
    rig_connect_deliverd(r, 0, false);
}

static void step(unsigned n)
{
    switch (below(16)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
    case 5: submit_one(); break;
    case 6:
    case 7:
    case 8:
    case 9:
    case 10: answer_one(); break;
    default: change_one(); break;
    }
    if (n % 100 == 50)
        lose_deliverd();
    if (n % 250 == 249)
        again();
    if (r->job_n > RIG_JOBS / 2)
        rig_jobs_forget(r);
    if (r->answer_n > RIG_ANSWERS / 2 || r->notice_n > 40)
        r->answer_n = r->notice_n = 0;
}

static void counted_is_what_is_there(void **state)
{
    (void)state;
    ids = 0;
    rig_start(r);
    for (unsigned n = 0; n < STEPS; n++) {
        step(n);
        gauges_are_right();
        for (unsigned i = below(4); i > 0; i--)
            loop_once(r->loop, 0);
        gauges_are_right();
    }
    for (unsigned i = 0; i < STANDING_DAMAGED; i++)
        if (r->q.ledger.standings[i] == 0)
            print_message("nobody stands as %u at the end\n", i);
    rig_kill(r);
}

/* Found damaged when it is to be sent: it stands so, until it is released. */
static void damage_is_counted(void **state)
{
    struct err err = { 0 };
    uint32_t handle;

    (void)state;
    rig_start_bare(r);
    rig_connect_cleanup(r);
    rig_submit(r, 1, 1001, "s@x.test", "r:a@far.test", "body\r\n");
    RIG_UNTIL(r, r->answer_n == 1);
    rig_rest(r);
    rig_kill(r);
    rig_start_bare(r);
    handle = ledger_find(&r->q.ledger, 1001);
    assert_true(handle > 0);
    ledger_at(&r->q.ledger, handle)->place.offset++;
    assert_null(message_bytes(&r->q, handle, &err));
    gauges_are_right();
    assert_int_equal(r->q.ledger.standings[STANDING_DAMAGED], 1);
    ledger_at(&r->q.ledger, handle)->place.offset--;
    assert_true(changes[1].run(&r->q, handle, 0, SV_LIT("")));
    gauges_are_right();
    assert_int_equal(r->q.ledger.standings[STANDING_ACTIVE], 1);
    rig_kill(r);
}

/* Id 0 is what free places have: no entry of a damaged journal may take one for a message. */
static void nobody_is_not_a_free_place(void **state)
{
    (void)state;
    rig_start_bare(r);
    rig_connect_cleanup(r);
    rig_submit(r, 1, 1001, "s@x.test", "r:a@far.test", "body\r\n");
    rig_submit(r, 2, 1002, "s@x.test", "r:a@far.test", "body\r\n");
    RIG_UNTIL(r, r->answer_n == 2);
    ledger_remove(&r->q.ledger, ledger_find(&r->q.ledger, 1002));
    ledger_apply(&r->q.ledger, &(struct entry){ .kind = ENTRY_HOLD, .id = 1001, .text = SV_LIT("x") });
    assert_int_equal(
        ledger_apply(&r->q.ledger, &(struct entry){ .kind = ENTRY_HOLD, .id = 0, .text = SV_LIT("x") }),
        LEDGER_UNKNOWN);
    gauges_are_right();
    rig_kill(r);
}

static void look(void)
{
    uint32_t cursor = 0, handle;

    measure_round(&r->q);
    while ((handle = ledger_next(&r->q.ledger, &cursor)))
        measure_message(&r->q, handle);
    measure_round(&r->q);
}

static void overdue(unsigned state, unsigned late)
{
    look();
    for (unsigned i = 0; i < 6; i++) {
        assert_true(metric_cells[METRIC_QUEUE_OVERDUE][i] == (i == state));
        assert_int_equal(metric_cells[METRIC_QUEUE_STATE_OLDEST][i] > 0, i == state);
    }
    assert_true(metric_cells[METRIC_QUEUE_OLDEST][0] == metric_cells[METRIC_QUEUE_STATE_OLDEST][state]);
    assert_true(measure_late()->messages == late);
}

/* A message from long ago, in each state: what keeps it there decides whether that is right. */
static void nothing_is_older_than_it_may_be_unseen(void **state)
{
    enum { OWED = STANDING__N };
    struct message *m;

    (void)state;
    rig_start_bare(r);
    rig_connect_cleanup(r);
    rig_submit(r, 1, 1001, "s@x.test", "r:a@far.test", "body\r\n");
    RIG_UNTIL(r, r->answer_n == 1);
    m = ledger_at(&r->q.ledger, ledger_find(&r->q.ledger, 1001));
    r->conf.expire_after = 4 * 86400; /* not before: the sweep would see to it that nothing is overdue */
    overdue(STANDING_ACTIVE, 1);
    assert_true(measure_late()->id == 1001 && !measure_late()->owed);
    r->q.ledger.paused = true;
    overdue(STANDING_ACTIVE, 0);
    r->q.ledger.paused = false;
    r->conf.deliver = false;
    overdue(STANDING_ACTIVE, 0);
    r->conf.deliver = true;
    m->flags |= MESSAGE_HELD;
    overdue(STANDING_HELD, 0);
    m->flags ^= MESSAGE_HELD | MESSAGE_DAMAGED;
    overdue(STANDING_DAMAGED, 0);
    m->flags ^= MESSAGE_DAMAGED;
    m->jobs++;
    overdue(STANDING_RUNNING, 1);
    m->jobs--;
    /* Its sender is owed a notice: no pause is an excuse for that. */
    message_rcpt(m, 0)->state = RCPT_OWED;
    r->q.ledger.paused = true;
    overdue(OWED, 1);
    assert_true(measure_late()->owed);
    r->q.ledger.paused = false;
    message_rcpt(m, 0)->state = RCPT_OPEN;
    /* Not long enough to be said. */
    r->conf.expire_after = (mailq_now_ms(&r->q) - id_wall_ms(1001)) / 1000 - 30;
    overdue(STANDING_ACTIVE, 0);
    r->conf.expire_after += 60;
    look();
    assert_true(metric_cells[METRIC_QUEUE_OVERDUE][STANDING_ACTIVE] == 0);
    assert_true(metric_cells[METRIC_QUEUE_STATE_OLDEST][STANDING_ACTIVE] > 0);
    /* Beside an older one that is to be delivered. */
    rig_submit(r, 2, 1002, "s@x.test", "r:a@far.test", "body\r\n");
    RIG_UNTIL(r, r->answer_n == 2);
    message_rcpt(ledger_at(&r->q.ledger, ledger_find(&r->q.ledger, 1002)), 0)->state = RCPT_OWED;
    look();
    assert_true(metric_cells[METRIC_QUEUE_STATE_OLDEST][STANDING_ACTIVE] > 0);
    assert_true(metric_cells[METRIC_QUEUE_STATE_OLDEST][OWED] > 0);
    rig_kill(r);
    measure_round(&r->q);
    measure_round(&r->q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(counted_is_what_is_there, setup, teardown),
        cmocka_unit_test_setup_teardown(damage_is_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_is_not_a_free_place, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_is_older_than_it_may_be_unseen, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
