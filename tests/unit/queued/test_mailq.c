/* test_mailq.c - the whole queue between a cleanup and a deliverd of the test: submit to restart */
#include "tests/support/unit.h"
#include "tests/unit/queued/rig.h"

#include "common/base/id.h"
#include "common/os/fault.h"

#include <stdlib.h>

static void a_message_goes_through(void **state)
{
    struct rig *r = rig_new();
    uint64_t id = id_new();

    (void)state;
    rig_start(r);
    rig_submit(r, 7, id, "s@example.org", "l:user@demo.test", "Hello\r\n");
    rig_expect_accepted(r, 7);
    RIG_UNTIL(r, r->job_n == 1);
    assert_true(r->jobs[0].complete && r->jobs[0].local);
    assert_string_equal(r->jobs[0].dest, "demo.test");
    assert_string_equal(r->jobs[0].sender, "s@example.org");
    expect_text("message", buf_view(&r->jobs[0].data), "Subject: test\r\n\r\nHello\r\n");
    rig_result(r, 0, &r->jobs[0], OUTCOME_DELIVERED, "deposit", true);
    RIG_UNTIL(r, r->acks == 1);
    assert_int_equal(ledger_count(&r->q.ledger), 0);
    assert_int_equal(r->q.job_n, 0);
    rig_stop(r);
    rig_start(r);
    rig_rest(r);
    assert_int_equal(r->job_n, 0);
    rig_kill(r);
    rig_free(r);
}

static void an_unfinished_message_comes_again(void **state)
{
    struct rig *r = rig_new();
    uint64_t id = id_new();

    (void)state;
    rig_start(r);
    rig_submit(r, 7, id, "s@example.org", "l:a@demo.test l:b@demo.test r:c@far.test", "Hello\r\n");
    rig_expect_accepted(r, 7);
    RIG_UNTIL(r, r->job_n == 2);
    for (size_t i = 0; i < 2; i++)
        if (r->jobs[i].local)
            rig_result_some(r, 0, &r->jobs[i], 1, OUTCOME_DELIVERED, false);
    RIG_UNTIL(r, r->acks == 1);
    rig_kill(r);
    rig_start(r);
    RIG_UNTIL(r, r->job_n == 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(r->jobs[i].rcpt_n, 1);
        assert_string_equal(r->jobs[i].rcpts[0].to, r->jobs[i].local ? "b@demo.test" : "c@far.test");
        expect_text("message", buf_view(&r->jobs[i].data), "Subject: test\r\n\r\nHello\r\n");
        rig_result(r, 0, &r->jobs[i], OUTCOME_DELIVERED, "data", true);
    }
    RIG_UNTIL(r, ledger_count(&r->q.ledger) == 0);
    rig_kill(r);
    rig_free(r);
}

static void large_bodies_lie_in_files(void **state)
{
    struct rig *r = rig_new();
    char names[8][64];

    (void)state;
    rig_start(r);
    for (uint64_t i = 1; i <= 2; i++) {
        size_t size = i == 1 ? 200000 : 600000;
        struct rig_job *j;
        uint64_t id = id_new();

        rig_submit_large(r, i, id, "r:a@far.test", size);
        rig_expect_accepted(r, i);
        assert_int_equal(spool_list(&r->spool, "big", "", names, 8), i - 1);
        RIG_UNTIL(r, rig_job(r, id) && rig_job(r, id)->complete);
        j = rig_job(r, id);
        assert_int_equal(j->data.len, j->size);
        assert_int_equal(j->size, size + 5 + 2 + strlen("X-First: header\r\nSubject: test\r\n"));
        assert_memory_equal(j->data.data + j->data.len - 5, "end\r\n", 5);
        assert_memory_equal(j->data.data, "X-First: header\r\nSubject: test\r\n\r\nabc", 37);
        rig_result(r, 0, j, OUTCOME_DELIVERED, "data", true);
        RIG_UNTIL(r, ledger_count(&r->q.ledger) == 0);
    }
    RIG_UNTIL(r, spool_list(&r->spool, "big", "", names, 8) == 0);
    rig_kill(r);
    rig_free(r);
}

static void a_large_body_survives_a_restart(void **state)
{
    struct rig *r = rig_new();
    uint64_t id = id_new();

    (void)state;
    r->conf.deliver = false;
    rig_start(r);
    rig_submit_large(r, 1, id, "r:a@far.test", 600000);
    rig_expect_accepted(r, 1);
    rig_kill(r);
    r->conf.deliver = true;
    rig_start(r);
    RIG_UNTIL(r, rig_job(r, id) && rig_job(r, id)->complete);
    assert_int_equal(rig_job(r, id)->data.len, rig_job(r, id)->size);
    rig_kill(r);
    rig_free(r);
}

static void deferred_recipients_wait_for_their_time(void **state)
{
    struct rig *r = rig_new();
    uint64_t id = id_new();

    (void)state;
    r->retry[0] = r->retry[1] = 1;
    rig_start(r);
    rig_submit(r, 1, id, "s@example.org", "r:a@far.test r:b@far.test", "x\r\n");
    RIG_UNTIL(r, r->job_n == 1);
    assert_int_equal(r->jobs[0].rcpt_n, 2);
    rig_result_some(r, 0, &r->jobs[0], 1, OUTCOME_DELIVERED, false);
    rig_result_some(r, 0, &r->jobs[0], 2, OUTCOME_DEFERRED, true);
    RIG_UNTIL(r, r->acks == 2);
    assert_int_equal(ledger_count(&r->q.ledger), 1);
    rig_kill(r);
    rig_start(r);
    RIG_UNTIL(r, r->job_n == 1);
    assert_int_equal(r->jobs[0].attempt, 2);
    assert_int_equal(r->jobs[0].rcpt_n, 1);
    assert_string_equal(r->jobs[0].rcpts[0].to, "b@far.test");
    rig_kill(r);
    rig_free(r);
}

static void a_new_configuration_shortens_old_waits(void **state)
{
    struct rig *r = rig_new();

    (void)state;
    rig_start(r);
    rig_submit(r, 1, id_new(), "s@example.org", "r:a@far.test", "x\r\n");
    RIG_UNTIL(r, r->job_n == 1);
    rig_result(r, 0, &r->jobs[0], OUTCOME_DEFERRED, "connect", true);
    RIG_UNTIL(r, r->acks == 1);
    rig_stop(r);
    r->retry[0] = r->retry[1] = 1;
    rig_start(r);
    RIG_UNTIL(r, r->job_n == 1);
    rig_kill(r);
    rig_free(r);
}

static void an_unreachable_destination_rests(void **state)
{
    struct rig *r = rig_new();
    char rcpts[64];

    (void)state;
    rig_start(r);
    for (uint64_t i = 1; i <= 12; i++) {
        snprintf(rcpts, sizeof rcpts, "r:u%d@far.test", (int)i);
        rig_submit(r, i, id_new(), "s@example.org", rcpts, "x\r\n");
    }
    RIG_UNTIL(r, r->answer_n == 12);
    RIG_UNTIL(r, r->job_n == 5);
    for (size_t i = 0; i < 5; i++)
        rig_result(r, 0, &r->jobs[i], OUTCOME_DEFERRED, "connect", true);
    RIG_UNTIL(r, r->acks == 5);
    rig_rest(r);
    assert_int_equal(r->job_n, 5);
    /* A newcomer is not tried either, but its line says why. */
    rig_submit(r, 20, id_new(), "s@example.org", "r:new@far.test", "x\r\n");
    rig_expect_accepted(r, 20);
    rig_rest(r);
    assert_int_equal(r->job_n, 5);
    /* Other destinations do not care. */
    rig_submit(r, 21, id_new(), "s@example.org", "r:new@near.test", "x\r\n");
    RIG_UNTIL(r, r->job_n == 6);
    rig_kill(r);
    rig_free(r);
}

/* mapd or dnsd away: neither an attempt, nor the destination's fault, nor a matter of minutes. */
static void own_troubles_cost_no_attempt(void **state)
{
    struct rig *r = rig_new();
    char rcpts[64];

    (void)state;
    rig_start(r);
    for (uint64_t i = 1; i <= 5; i++) {
        snprintf(rcpts, sizeof rcpts, "r:u%d@far.test", (int)i);
        rig_submit(r, i, id_new(), "s@example.org", rcpts, "x\r\n");
    }
    RIG_UNTIL(r, r->job_n == 5);
    for (size_t i = 0; i < 5; i++)
        rig_result(r, 0, &r->jobs[i], OUTCOME_DEFERRED, "service", true);
    RIG_UNTIL(r, r->acks == 5);
    for (size_t i = 0; i < 5; i++) {
        uint32_t part = ledger_at(&r->q.ledger, ledger_find(&r->q.ledger, r->jobs[i].id))->part;
        const struct part *p = sched_part(r->q.ledger.sched, part);

        assert_int_equal(p->attempts, 0);
        assert_true(p->due <= mailq_now_s(&r->q) + 10);
        assert_int_equal(sched_rest_until(r->q.ledger.sched, part), 0);
        assert_true(sched_window(r->q.ledger.sched, part) >= 5);
    }
    rig_submit(r, 6, id_new(), "s@example.org", "r:new@far.test", "x\r\n");
    RIG_UNTIL(r, r->job_n >= 6);
    rig_kill(r);
    rig_free(r);
}

static void slow_hosts_leave_room_for_mailboxes(void **state)
{
    struct rig *r = rig_new();
    char rcpts[64];

    (void)state;
    r->conf.max_jobs = 10;
    rig_start(r);
    rig_connect_deliverd(r, 1, false);
    for (uint64_t i = 1; i <= 20; i++) {
        snprintf(rcpts, sizeof rcpts, "r:u@slow%d.test", (int)i);
        rig_submit(r, i, id_new(), "s@example.org", rcpts, "x\r\n");
    }
    RIG_UNTIL(r, r->answer_n == 20);
    RIG_UNTIL(r, r->job_n == 8);
    rig_rest(r);
    assert_int_equal(r->job_n, 8);
    for (uint64_t i = 21; i <= 23; i++)
        rig_submit(r, i, id_new(), "s@example.org", "l:user@demo.test", "x\r\n");
    RIG_UNTIL(r, r->job_n == 10);
    assert_true(r->jobs[8].local && r->jobs[9].local);
    rig_rest(r);
    assert_int_equal(r->job_n, 10);
    assert_true(r->q.deliverds[0].job_n == 5 && r->q.deliverds[1].job_n == 5);
    rig_kill(r);
    rig_free(r);
}

static void nothing_is_dispatched_before_the_inventory(void **state)
{
    struct rig *r = rig_new();
    uint64_t id = id_new();
    struct rig_job old;
    struct err err;

    (void)state;
    rig_start(r);
    rig_submit(r, 1, id, "s@example.org", "r:a@far.test r:b@other.test", "x\r\n");
    RIG_UNTIL(r, r->job_n == 2);
    old = strcmp(r->jobs[0].dest, "far.test") == 0 ? r->jobs[0] : r->jobs[1];
    old.data = (struct buf){ .data = NULL };
    rig_kill(r);

    r->loop = loop_new();
    mailq_init(&r->q, r->loop, &r->conf);
    r->q.store = store_open(r->spool.fd, &r->sizes, &err);
    assert_non_null(r->q.store);
    assert_true(store_threads(r->q.store, &err));
    rig_connect_deliverd(r, 0, true);
    rig_connect_deliverd(r, 1, true);
    rig_connect_cleanup(r);
    assert_true(mailq_start(&r->q, &err));
    rig_rest(r);
    assert_int_equal(r->job_n, 0);
    rig_inventory(r, 0, id, old.rcpts[0].index);
    rig_rest(r);
    assert_int_equal(r->job_n, 0);
    deliverd_gone(&r->q, 1);
    RIG_UNTIL(r, r->job_n == 1);
    assert_string_equal(r->jobs[0].dest, "other.test");
    /* The job that was inherited ends under a number of deliverd's own. */
    old.txn = (uint64_t)1 << 63;
    rig_result(r, 0, &old, OUTCOME_DELIVERED, "data", true);
    rig_result(r, 0, &r->jobs[0], OUTCOME_DELIVERED, "data", true);
    RIG_UNTIL(r, ledger_count(&r->q.ledger) == 0);
    assert_int_equal(r->q.job_n, 0);
    rig_kill(r);
    rig_free(r);
}

static void a_result_presented_again_changes_nothing(void **state)
{
    struct rig *r = rig_new();

    (void)state;
    rig_start(r);
    rig_submit(r, 1, id_new(), "s@example.org", "r:a@far.test r:b@far.test", "x\r\n");
    RIG_UNTIL(r, r->job_n == 1);
    rig_result_some(r, 0, &r->jobs[0], 1, OUTCOME_DELIVERED, false);
    rig_result_some(r, 0, &r->jobs[0], 1, OUTCOME_FAILED, false);
    RIG_UNTIL(r, r->acks == 2);
    rig_rest(r);
    assert_int_equal(r->notice_n, 0);
    rig_result_some(r, 0, &r->jobs[0], 2, OUTCOME_DELIVERED, true);
    rig_result_some(r, 0, &r->jobs[0], 2, OUTCOME_DELIVERED, true);
    RIG_UNTIL(r, r->acks == 4);
    assert_int_equal(ledger_count(&r->q.ledger), 0);
    rig_kill(r);
    rig_free(r);
}

static void a_lost_deliverd_gives_its_jobs_back(void **state)
{
    struct rig *r = rig_new();

    (void)state;
    rig_start(r);
    rig_submit(r, 1, id_new(), "s@example.org", "r:a@far.test", "x\r\n");
    RIG_UNTIL(r, r->job_n == 1);
    rig_disconnect_deliverd(r, 0);
    rig_rest(r);
    /* Only the channel is gone: the job may run on. */
    assert_int_equal(r->q.job_n, 1);
    deliverd_gone(&r->q, 0);
    assert_int_equal(r->q.job_n, 0);
    rig_connect_deliverd(r, 0, false);
    RIG_UNTIL(r, r->job_n == 2);
    /* The second deliverd that dies of it: the message waits like a deferred one. */
    deliverd_gone(&r->q, 0);
    rig_connect_deliverd(r, 0, false);
    rig_rest(r);
    assert_int_equal(r->job_n, 2);
    rig_kill(r);
    rig_free(r);
}

static void a_reconnected_deliverd_keeps_what_it_names(void **state)
{
    struct rig *r = rig_new();
    struct rig_job *named;

    (void)state;
    rig_start(r);
    rig_submit(r, 1, id_new(), "s@example.org", "r:a@far.test", "x\r\n");
    rig_submit(r, 2, id_new(), "s@example.org", "r:b@near.test", "x\r\n");
    RIG_UNTIL(r, r->job_n == 2);
    named = strcmp(r->jobs[0].dest, "far.test") == 0 ? &r->jobs[0] : &r->jobs[1];
    rig_connect_deliverd(r, 0, true);
    rig_inventory(r, 0, named->id, 0);
    RIG_UNTIL(r, r->job_n == 3);
    assert_string_equal(r->jobs[2].dest, "near.test");
    named->txn = (uint64_t)1 << 63 | 5;
    rig_result(r, 0, named, OUTCOME_DELIVERED, "data", true);
    RIG_UNTIL(r, ledger_count(&r->q.ledger) == 1);
    assert_int_equal(r->q.job_n, 1);
    rig_kill(r);
    rig_free(r);
}

/* Deliverd gave the job a number of its own, which only a result of a recipient that is still there tells. */
static void a_deleted_message_keeps_no_place(void **state)
{
    struct rig *r = rig_new();
    struct rig_job *job = &r->jobs[0];
    struct list_writer list = { .out = &r->q.list };

    (void)state;
    rig_start(r);
    rig_submit(r, 1, id_new(), "s@example.org", "r:a@far.test", "x\r\n");
    RIG_UNTIL(r, r->job_n == 1);
    rig_connect_deliverd(r, 0, true);
    rig_inventory(r, 0, job->id, 0);
    rig_inventory(r, 0, 0, 0);
    rig_rest(r);
    assert_int_equal(r->q.job_n, 1);
    buf_reset(&r->q.list);
    list_write(&list, 0);
    list_finish(&list);
    store_note(r->q.store, &(struct entry){ .kind = ENTRY_DROPPED,
                                            .id = job->id,
                                            .list = buf_view(&r->q.list),
                                            .time = 1 });
    rig_rest(r);
    assert_int_equal(ledger_count(&r->q.ledger), 0);
    assert_int_equal(r->q.job_n, 1);
    job->txn = (uint64_t)1 << 63;
    rig_result(r, 0, job, OUTCOME_DELIVERED, "data", true);
    RIG_UNTIL(r, r->acks == 1);
    assert_int_equal(r->q.job_n, 0);
    rig_kill(r);
    rig_free(r);
}

static void a_failure_is_told_and_then_over(void **state)
{
    struct rig *r = rig_new();
    uint64_t id = id_new(), notice = id_new();

    (void)state;
    rig_start(r);
    rig_submit(r, 1, id, "s@example.org", "r:a@far.test r:b@far.test", "x\r\n");
    RIG_UNTIL(r, r->job_n == 1);
    rig_result(r, 0, &r->jobs[0], OUTCOME_FAILED, "rcpt", true);
    RIG_UNTIL(r, r->notice_n == 1);
    assert_int_equal(r->notices[0].kind, NOTICE_FAILURE);
    assert_int_equal(r->notices[0].rcpt_n, 2);
    assert_string_equal(r->notices[0].sender, "s@example.org");
    assert_string_equal(r->notices[0].reply, "550 5.1.1 no such user");
    assert_string_equal(r->notices[0].header, "Subject: test\r\n");
    /* Not now: it stays owed, also over a restart. */
    rig_notice_failed(r, r->notices[0].txn, r->notices[0].origin);
    rig_rest(r);
    assert_int_equal(ledger_count(&r->q.ledger), 1);
    rig_kill(r);
    rig_start(r);
    RIG_UNTIL(r, r->notice_n == 1);
    assert_int_equal(r->job_n, 0);
    rig_submit_origin(r, 9, notice, "r:s@example.org", r->notices[0].origin);
    rig_expect_accepted(r, 9);
    RIG_UNTIL(r, ledger_count(&r->q.ledger) == 1);
    assert_int_equal(ledger_find(&r->q.ledger, id), 0);
    /* A second copy is accepted and not stored. */
    rig_submit_origin(r, 10, id_new(), "r:s@example.org", r->notices[0].origin);
    rig_expect_accepted(r, 10);
    RIG_UNTIL(r, r->job_n == 1);
    assert_string_equal(r->jobs[0].sender, "");
    /* The failure of a notice is told to postmaster, and its own to nobody. */
    rig_result(r, 0, &r->jobs[0], OUTCOME_FAILED, "rcpt", true);
    RIG_UNTIL(r, r->notice_n == 2);
    assert_string_equal(r->notices[1].sender, "postmaster");
    assert_true(strv_ends(SV(r->notices[1].origin), SV("/double")));
    rig_submit_origin(r, 11, id_new(), "r:postmaster@example.org", r->notices[1].origin);
    rig_expect_accepted(r, 11);
    RIG_UNTIL(r, r->job_n == 2);
    rig_result(r, 0, &r->jobs[1], OUTCOME_FAILED, "rcpt", true);
    RIG_UNTIL(r, ledger_count(&r->q.ledger) == 0);
    rig_rest(r);
    assert_int_equal(r->notice_n, 2);
    rig_kill(r);
    rig_free(r);
}

static void a_lost_cleanup_is_asked_again(void **state)
{
    struct rig *r = rig_new();

    (void)state;
    rig_start(r);
    rig_submit(r, 1, id_new(), "s@example.org", "r:a@far.test", "x\r\n");
    RIG_UNTIL(r, r->job_n == 1);
    rig_result(r, 0, &r->jobs[0], OUTCOME_FAILED, "rcpt", true);
    RIG_UNTIL(r, r->notice_n == 1);
    rig_connect_cleanup(r);
    RIG_UNTIL(r, r->notice_n == 2);
    assert_string_equal(r->notices[0].origin, r->notices[1].origin);
    rig_kill(r);
    rig_free(r);
}

/* The remote's words stay its words; that time ran out, and when the attempt was, is said beside them. */
static void expiry_is_said_beside_a_remotes_words(void **state)
{
    struct rig *r = rig_new();
    uint64_t from, until;

    (void)state;
    r->busy = true;
    rig_start(r);
    from = (uint64_t)mailq_now_ms(&r->q);
    rig_submit(r, 1, id_new(), "s@example.org", "r:a@far.test", "x\r\n");
    RIG_UNTIL(r, r->job_n == 1);
    rig_result(r, 0, &r->jobs[0], OUTCOME_DEFERRED, "rcpt", true);
    RIG_UNTIL(r, r->acks == 1);
    until = (uint64_t)mailq_now_ms(&r->q);
    /* What the journal says of it is all that is left after a restart. */
    rig_kill(r);
    r->conf.expire_after = 3; /* not before: there is an attempt, however long it took to come to it */
    rig_start(r);
    RIG_UNTIL(r, r->notice_n == 1);
    assert_string_equal(r->notices[0].reply, "450 4.2.0 busy");
    assert_string_equal(r->notices[0].enhanced, "4.2.0");
    assert_string_equal(r->notices[0].text,
                        "not delivered within 3 seconds: the time for delivery has expired");
    assert_true(r->notices[0].last_attempt / 1000 >= from / 1000 && r->notices[0].last_attempt <= until);
    rig_kill(r);
    rig_free(r);
}

static void old_messages_expire_and_warn(void **state)
{
    struct rig *r = rig_new();

    (void)state;
    r->conf.warn_after = 1;
    rig_start(r);
    rig_submit(r, 1, id_new(), "s@example.org", "r:a@far.test", "x\r\n");
    RIG_UNTIL(r, r->job_n == 1);
    rig_result(r, 0, &r->jobs[0], OUTCOME_DEFERRED, "connect", true);
    RIG_UNTIL(r, r->notice_n == 1);
    assert_int_equal(r->notices[0].kind, NOTICE_DELAY);
    rig_submit_origin(r, 2, id_new(), "l:s@example.org", r->notices[0].origin);
    rig_expect_accepted(r, 2);
    r->conf.expire_after = 4; /* not before: the warning is first, however long it took */
    RIG_UNTIL(r, r->notice_n == 2);
    assert_int_equal(r->notices[1].kind, NOTICE_FAILURE);
    assert_non_null(strstr(r->notices[1].reply, "expired"));
    rig_kill(r);
    rig_free(r);
}

static void many_recipients_go_in_several_jobs(void **state)
{
    struct rig *r = rig_new();
    struct buf rcpts;

    (void)state;
    rig_start(r);
    buf_init(&rcpts, 1u << 16);
    for (int i = 0; i < 250; i++)
        buf_addf(&rcpts, "r:user%d@far.test ", i);
    rig_submit(r, 1, id_new(), "s@example.org", buf_cstr(&rcpts), "x\r\n");
    rig_expect_accepted(r, 1);
    RIG_UNTIL(r, r->job_n == 3);
    assert_int_equal(r->jobs[0].rcpt_n + r->jobs[1].rcpt_n + r->jobs[2].rcpt_n, 250);
    for (size_t i = 0; i < 3; i++)
        rig_result(r, 0, &r->jobs[i], OUTCOME_DELIVERED, "data", true);
    RIG_UNTIL(r, ledger_count(&r->q.ledger) == 0);
    buf_clear(&rcpts);
    rig_kill(r);
    rig_free(r);
}

static void two_queues_on_one_spool(void **state)
{
    struct rig *r = rig_new();
    struct store_sizes sizes = r->sizes;
    struct err err;

    (void)state;
    rig_start(r);
    sizes.lock_ms = 50;
    assert_null(store_open(r->spool.fd, &sizes, &err));
    assert_non_null(strstr(err.text, "in use"));
    rig_kill(r);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_goes_through),
        cmocka_unit_test(an_unfinished_message_comes_again),
        cmocka_unit_test(large_bodies_lie_in_files),
        cmocka_unit_test(a_large_body_survives_a_restart),
        cmocka_unit_test(deferred_recipients_wait_for_their_time),
        cmocka_unit_test(a_new_configuration_shortens_old_waits),
        cmocka_unit_test(an_unreachable_destination_rests),
        cmocka_unit_test(own_troubles_cost_no_attempt),
        cmocka_unit_test(slow_hosts_leave_room_for_mailboxes),
        cmocka_unit_test(nothing_is_dispatched_before_the_inventory),
        cmocka_unit_test(a_result_presented_again_changes_nothing),
        cmocka_unit_test(a_lost_deliverd_gives_its_jobs_back),
        cmocka_unit_test(a_reconnected_deliverd_keeps_what_it_names),
        cmocka_unit_test(a_deleted_message_keeps_no_place),
        cmocka_unit_test(a_failure_is_told_and_then_over),
        cmocka_unit_test(a_lost_cleanup_is_asked_again),
        cmocka_unit_test(expiry_is_said_beside_a_remotes_words),
        cmocka_unit_test(old_messages_expire_and_warn),
        cmocka_unit_test(many_recipients_go_in_several_jobs),
        cmocka_unit_test(two_queues_on_one_spool),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
