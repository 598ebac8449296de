/* test_jobs.c - as many jobs as the configuration can allow, and what is kept of those that are over */
#include "deliverd/job.h"
#include "tests/unit/deliverd/world.h"

#include "common/base/id.h"

#define BODY "Subject: t\r\n\r\nbody\r\n"

/* The message is announced and follows later. */
static uint64_t job_announce(struct world *w)
{
    struct ipc_out *o = &w->out;

    ipc_begin(o, IPC_J_START, ++w->txn);
    ipc_put_u64(o, TAG_ID, id_new());
    ipc_put_text(o, TAG_DEST, SV_LIT("x.test"));
    ipc_put_u64(o, TAG_LOCAL, 0);
    ipc_put_text(o, TAG_SENDER, SV_LIT("s@own.test"));
    ipc_group_begin(o, TAG_RCPT);
    ipc_put_u64(o, TAG_RCPT_INDEX, 0);
    ipc_put_text(o, TAG_RCPT, SV_LIT("a@x.test"));
    ipc_group_end(o);
    ipc_put_u64(o, TAG_SIZE, strlen(BODY));
    ipc_put_u64(o, TAG_ARRIVAL, 1);
    channel_send(w->queued, o);
    return w->txn;
}

/* The channel holds (world.c fails when it is lost), and the last of them is delivered. */
static void as_many_as_can_be_configured(void **state)
{
    struct world *w = *state;
    uint64_t txn = 0;

    for (size_t i = 0; i < CONF_JOBS_MAX; i++) {
        txn = job_announce(w);
        while (i % 500 == 499 && jobs_count(w->d.jobs) <= i)
            world_turn(w, 1);
    }
    assert_int_equal(jobs_count(w->d.jobs), CONF_JOBS_MAX);
    ipc_begin(&w->out, IPC_J_BODY, txn);
    ipc_put_bytes(&w->out, TAG_DATA, SV_LIT(BODY));
    ipc_put_u64(&w->out, TAG_LAST, 1);
    channel_send(w->queued, &w->out);
    world_until_told(w, 1);
    assert_int_equal(told_of(w, txn, 0)->outcome, OUTCOME_DELIVERED);
}

/* While queued records results, which may take long, their messages are not kept. */
static void a_job_that_is_over_keeps_its_result_alone(void **state)
{
    struct world *w = *state;
    uint64_t txn;

    w->no_ack = true;
    txn = job_send(w, "x.test", "a@x.test", BODY);
    world_turn(w, 2);
    assert_true(jobs_held(w->d.jobs) > strlen(BODY));
    world_until_told(w, 1);
    world_turn(w, 4);
    assert_int_equal(jobs_count(w->d.jobs), 1);
    assert_int_equal(jobs_held(w->d.jobs), 0);
    /* A new queued hears the same. */
    world_lose_queued(w);
    world_join_queued(w);
    w->no_ack = false;
    world_until_told(w, 2);
    assert_int_equal(w->running_n, 1);
    assert_int_equal(w->told[1].outcome, OUTCOME_DELIVERED);
    assert_string_equal(w->told[1].reply, told_of(w, txn, 0)->reply);
    world_until_over(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD(as_many_as_can_be_configured),
        WORLD(a_job_that_is_over_keeps_its_result_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
