/* test_limits.c - what a route allows: connections, recipients of one message, rate; room of each side */
#include "tests/unit/queued/rig.h"

#include "common/base/id.h"
#include "common/base/mem.h"
#include "common/os/fault.h"
#include "conf/conf.h"
#include "tests/support/unit.h"

#include <stdlib.h>

static struct conf *conf_of(const char *text)
{
    struct conf *conf = NULL;
    struct conf_errors errs;

    conf_errors_init(&errs);
    if (!conf_parse_text(SV(text), "test", ROLE_QUEUED, &conf, &errs))
        fail_msg("%s", errs.list[0].text);
    conf_errors_clear(&errs);
    return conf;
}

static struct rig *open_rig(const struct conf *conf)
{
    struct rig *r = mem_new(sizeof *r);

    rig_init(r);
    rig_start(r);
    r->q.routes = conf;
    return r;
}

static void close_rig(struct rig *r, struct conf *conf)
{
    rig_kill(r);
    rig_clear(r);
    free(r);
    conf_free(&conf);
}

/* The deliverd that has the message's job. */
static unsigned job_home(const struct rig *r, uint64_t id)
{
    for (unsigned i = 0; i < r->q.deliverd_n; i++)
        for (const struct job *job = r->q.deliverds[i].jobs; job; job = job->next)
            if (job->id == id)
                return i;
    fail_msg("no job");
    return 0;
}

static void a_message_goes_in_pieces(void **state)
{
    struct conf *conf = conf_of("hostname = own.test\nroute few.test { max_recipients = 2 }\n");
    struct rig *r = open_rig(conf);
    uint64_t id = id_new();
    unsigned at_few = 0;

    (void)state;
    rig_submit(r, 1, id, "s@example.org",
               "r:a@few.test r:b@few.test r:c@few.test r:d@few.test r:e@few.test "
               "r:a@any.test r:b@any.test r:c@any.test l:a@few.test l:b@few.test l:c@few.test",
               "x\r\n");
    RIG_UNTIL(r, r->job_n == 5);
    for (size_t i = 0; i < r->job_n; i++) {
        bool few = strcmp(r->jobs[i].dest, "few.test") == 0 && !r->jobs[i].local;

        at_few += few;
        assert_true(few ? r->jobs[i].rcpt_n <= 2 : r->jobs[i].rcpt_n == 3);
    }
    assert_int_equal(at_few, 3);
    for (size_t i = 0; i < 5; i++)
        rig_result(r, 0, &r->jobs[i], OUTCOME_DELIVERED, "end", true);
    RIG_UNTIL(r, ledger_count(&r->q.ledger) == 0);
    close_rig(r, conf);
}

/* New domains: which hosts they have is found out first, and is no attempt. */
static void a_rate_is_one_of_hosts(void **state)
{
    struct conf *conf = conf_of("hostname = own.test\nroute default { rate = 1 }\n");
    struct rig *r = open_rig(conf);
    char rcpts[64];

    (void)state;
    for (uint64_t i = 1; i <= 5; i++) {
        snprintf(rcpts, sizeof rcpts, "r:u@d%d.test r:v@d%d.test", (int)i, (int)i);
        rig_submit(r, i, id_new(), "s@example.org", rcpts, "x\r\n");
    }
    RIG_UNTIL(r, r->job_n == 5);
    r->group = "default|mxs mx.op.test:25";
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(r->jobs[i].flags, 2);
        rig_result(r, 0, &r->jobs[i], OUTCOME_DEFERRED, "hosts", true);
    }
    RIG_UNTIL(r, r->job_n == 6 && r->q.job_n == 1);
    rig_rest(r);
    assert_int_equal(r->job_n, 6);
    assert_int_equal(r->jobs[5].flags, 0);
    assert_int_equal(r->jobs[5].attempt, 1);
    assert_true(r->jobs[5].complete && r->jobs[5].rcpt_n == 2);
    rig_check_standings(r);
    for (uint32_t cursor = 0, m; (m = ledger_next(&r->q.ledger, &cursor));)
        assert_int_equal(sched_part(r->q.ledger.sched, ledger_at(&r->q.ledger, m)->part)->attempts, 0);
    rig_result(r, 0, &r->jobs[5], OUTCOME_DELIVERED, "end", true);
    RIG_UNTIL(r, ledger_count(&r->q.ledger) == 4);
    close_rig(r, conf);
}

/* With fewer connections than deliverds each could only count its own: one gets all. */
static void scarce_connections_are_one_deliverds(void **state)
{
    struct conf *conf = conf_of("hostname = own.test\n"
                                "route default { max_connections = 1 }\n"
                                "route .smart.test { via = relay.test  max_connections = 1 }\n"
                                "processes { deliverd = 2 }\n");
    struct rig *r = open_rig(conf);
    unsigned home;
    char rcpts[64];

    (void)state;
    rig_connect_deliverd(r, 1, false);
    for (uint64_t i = 1; i <= 20; i++) {
        snprintf(rcpts, sizeof rcpts, "r:u%d@d%d.smart.test", (int)i, (int)i);
        rig_submit(r, i, id_new(), "s@example.org", rcpts, "x\r\n");
    }
    RIG_UNTIL(r, r->job_n == 1);
    home = r->q.deliverds[1].job_n;
    for (size_t i = 0; i < 20; i++) {
        RIG_UNTIL(r, r->job_n == i + 1);
        assert_true(r->q.deliverds[home].job_n == 1 && r->q.job_n == 1);
        rig_result(r, home, &r->jobs[i], OUTCOME_DELIVERED, "end", true);
    }
    for (uint64_t i = 21; i <= 40; i++) {
        snprintf(rcpts, sizeof rcpts, "r:u%d@d%d.test", (int)i, (int)i);
        rig_submit(r, i, id_new(), "s@example.org", rcpts, "x\r\n");
    }
    RIG_UNTIL(r, r->job_n == 40);
    assert_true(r->q.deliverds[0].job_n > 0 && r->q.deliverds[1].job_n > 0);
    close_rig(r, conf);
}

/* What deliverd says of the hosts makes one destination of many domains, in one deliverd. */
static void domains_become_a_group(void **state)
{
    struct conf *conf = conf_of("hostname = own.test\nroute default { max_connections = 6 }\n"
                                "processes { deliverd = 2 }\n");
    struct rig *r = open_rig(conf);
    char rcpts[64];

    (void)state;
    rig_connect_deliverd(r, 1, false);
    r->group = "default|mxs mx.op.test:25";
    for (uint64_t i = 1; i <= 8; i++) {
        snprintf(rcpts, sizeof rcpts, "r:u@d%d.test", (int)i);
        rig_submit(r, i, id_new(), "s@example.org", rcpts, "x\r\n");
    }
    RIG_UNTIL(r, r->job_n == 8);
    for (size_t i = 0; i < 8; i++)
        rig_result(r, job_home(r, r->jobs[i].id), &r->jobs[i], OUTCOME_DELIVERED, "end", true);
    RIG_UNTIL(r, r->q.job_n == 0);
    for (uint64_t i = 11; i <= 13; i++) {
        snprintf(rcpts, sizeof rcpts, "r:u@d%d.test", (int)i - 10);
        rig_submit(r, i, id_new(), "s@example.org", rcpts, "x\r\n");
    }
    /* The first ones where its connections are, as many as there are. */
    RIG_UNTIL(r, r->answer_n == 11 && r->job_n == 11);
    assert_true(r->q.deliverds[0].job_n == 3 || r->q.deliverds[1].job_n == 3);
    for (uint64_t i = 14; i <= 18; i++) {
        snprintf(rcpts, sizeof rcpts, "r:u@d%d.test", (int)i - 10);
        rig_submit(r, i, id_new(), "s@example.org", rcpts, "x\r\n");
    }
    RIG_UNTIL(r, r->answer_n == 16);
    rig_rest(r);
    assert_int_equal(r->job_n, 14);
    assert_true(r->q.deliverds[0].job_n == 3 && r->q.deliverds[1].job_n == 3);
    close_rig(r, conf);
}

/* Five times no host answers: all of the group wait. Five times no DNS: that domain does. */
static void a_dead_domain_is_not_dead_hosts(void **state)
{
    struct conf *conf = conf_of("hostname = own.test\n");

    (void)state;
    for (int dns = 0; dns < 2; dns++) {
        struct rig *r = open_rig(conf);
        uint32_t good, bad;

        r->group = "default|mxs mx.op.test:25";
        rig_submit(r, 1, id_new(), "s@example.org", "r:u@good.test", "x\r\n");
        rig_submit(r, 2, id_new(), "s@example.org", "r:u@bad.test", "x\r\n");
        RIG_UNTIL(r, r->job_n == 2);
        for (size_t i = 0; i < 2; i++)
            rig_result(r, 0, &r->jobs[i], OUTCOME_DEFERRED, "mail", true);
        RIG_UNTIL(r, r->q.job_n == 0);
        if (dns)
            r->group = NULL;
        for (uint64_t i = 3; i <= 7; i++)
            rig_submit(r, i, id_new(), "s@example.org", "r:u@bad.test", "x\r\n");
        RIG_UNTIL(r, r->job_n == 7);
        for (size_t i = 2; i < 7; i++)
            rig_result(r, 0, &r->jobs[i], OUTCOME_DEFERRED, dns ? "dns" : "connect", true);
        RIG_UNTIL(r, r->q.job_n == 0);
        good = ledger_at(&r->q.ledger, ledger_find(&r->q.ledger, r->jobs[0].id))->part;
        bad = ledger_at(&r->q.ledger, ledger_find(&r->q.ledger, r->jobs[1].id))->part;
        if (strcmp(r->jobs[0].dest, "good.test") != 0) {
            uint32_t other = good;

            good = bad;
            bad = other;
        }
        assert_true(sched_rest_until(r->q.ledger.sched, bad) > 0);
        assert_int_equal(sched_rest_until(r->q.ledger.sched, good) > 0, !dns);
        /* What comes for it now waits with the words of the others. */
        rig_submit(r, 8, id_new(), "s@example.org", "r:u@bad.test", "x\r\n");
        RIG_UNTIL(r, rig_answer(r, 8));
        rig_submit(r, 9, id_new(), "s@example.org", "r:u@good.test", "x\r\n");
        RIG_UNTIL(r, rig_answer(r, 9));
        rig_rest(r);
        assert_int_equal(r->job_n, dns ? 8 : 7);
        rig_kill(r);
        rig_clear(r);
        free(r);
    }
    conf_free(&conf);
}

/* What deliverd says of its look-ups. */
static void slow_names_have_one_job(void **state)
{
    struct conf *conf = conf_of("hostname = own.test\n");
    struct rig *r = open_rig(conf);

    (void)state;
    rig_submit(r, 1, id_new(), "s@example.org", "r:a@far.test r:b@far.test", "x\r\n");
    RIG_UNTIL(r, r->job_n == 1);
    r->lookup = 59000;
    rig_result(r, 0, &r->jobs[0], OUTCOME_DELIVERED, "end", true);
    RIG_UNTIL(r, r->q.job_n == 0);
    r->lookup = 3;
    for (uint64_t i = 2; i <= 8; i++)
        rig_submit(r, i, id_new(), "s@example.org", "r:a@far.test r:b@far.test", "x\r\n");
    RIG_UNTIL(r, r->answer_n == 8);
    for (size_t i = 1; i <= 5; i++) {
        RIG_UNTIL(r, r->job_n == i + 1);
        rig_rest(r);
        assert_int_equal(r->job_n, i + 1);
        rig_result(r, 0, &r->jobs[i], OUTCOME_DELIVERED, "end", true);
    }
    RIG_UNTIL(r, r->job_n == 8);
    assert_int_equal(r->q.job_n, 2);
    close_rig(r, conf);
}

/* What is too fast waits without a failure; another destination does not notice; a reload lets it go. */
static void a_rate_holds_back(void **state)
{
    struct conf *conf = conf_of("hostname = own.test\n"
                                "queue { directory = /var/spool/mansio }\n"
                                "route .slow.test { via = relay.test  rate = 1 }\n"),
                *faster = conf_of("hostname = own.test\n"
                                  "queue { directory = /var/spool/mansio }\n"
                                  "route .slow.test { via = relay.test }\n");
    struct rig *r = open_rig(conf);
    char rcpts[64];

    (void)state;
    for (uint64_t i = 1; i <= 5; i++) {
        snprintf(rcpts, sizeof rcpts, "r:u@d%d.slow.test", (int)i);
        rig_submit(r, i, id_new(), "s@example.org", rcpts, "x\r\n");
    }
    rig_submit(r, 6, id_new(), "s@example.org", "r:u@any.test", "x\r\n");
    RIG_UNTIL(r, r->answer_n == 6 && r->job_n == 2);
    for (size_t i = 0; i < 2; i++)
        rig_result(r, 0, &r->jobs[i], OUTCOME_DELIVERED, "end", true);
    RIG_UNTIL(r, r->q.job_n == 0);
    rig_rest(r);
    assert_int_equal(r->job_n, 2);
    for (uint32_t cursor = 0, m; (m = ledger_next(&r->q.ledger, &cursor));) {
        const struct part *p = sched_part(r->q.ledger.sched, ledger_at(&r->q.ledger, m)->part);

        assert_true(p->attempts == 0 && p->state == PART_READY);
    }
    mailq_configure(&r->q, faster);
    RIG_UNTIL(r, r->job_n == 6);
    close_rig(r, conf);
    conf_free(&faster);
}

/* What is delivered while results cannot be recorded would be delivered again after a crash: to a limit. */
static void unrecorded_results_hold_jobs_back(void **state)
{
    struct rig *r = rig_new();
    struct err err;
    char rcpts[64];

    (void)state;
    r->conf.max_jobs = 3; /* one of them is for mailboxes alone */
    rig_start(r);
    r->q.unacked_min = 3;
    for (int k = 0; k < 8; k++) {
        snprintf(rcpts, sizeof rcpts, "r:u@d%d.test", k);
        rig_submit(r, (uint64_t)k + 1, id_new(), "s@example.org", rcpts, "x\r\n");
    }
    RIG_UNTIL(r, r->answer_n == 8 && r->job_n == 2);
    assert_true(fault_arm(SV("queued.journal.write:EIO:0"), &err));
    for (size_t k = 0; k < 3; k++) {
        RIG_UNTIL(r, r->job_n > k);
        rig_result(r, 0, &r->jobs[k], OUTCOME_DELIVERED, "end", true);
        RIG_UNTIL(r, r->q.ack_n == k + 1);
    }
    for (int k = 0; k < 30; k++)
        loop_once(r->loop, 5);
    assert_int_equal(r->job_n, 4); /* two of them begun by the first two results */
    assert_int_equal(r->acks, 0);
    fault_disarm_all();
    for (size_t k = 3; k < 8; k++) {
        RIG_UNTIL(r, r->job_n > k);
        rig_result(r, 0, &r->jobs[k], OUTCOME_DELIVERED, "end", true);
    }
    RIG_UNTIL(r, r->acks == 8);
    rig_kill(r);
    rig_free(r);
}

static void rcpt_of(char text[64], const char *domain, int k)
{
    bool remote = strcmp(domain, "far") == 0;

    snprintf(text, 64, "%s:u%d@%s%s", remote ? "r" : "l", k, domain, remote ? "" : ".test");
    if (remote)
        snprintf(text + strlen(text), 64 - strlen(text), "%d.test", k);
}

/* LMTP servers, mailboxes and other hosts: none of them takes the room of another. */
static void sides_have_room_of_their_own(void **state)
{
    static const char *const domains[SCHED_SIDES] = { "far", "box", "lmtp" };

    (void)state;
    for (int side = 0; side < SCHED_SIDES; side++) {
        struct rig *r = mem_new(sizeof *r);
        char rcpts[64];

        rig_init(r);
        r->conf.max_jobs = 10;
        rig_start(r);
        /* What deliverd says of its first attempt tells which domain is whose. */
        rig_submit(r, 100, id_new(), "s@example.org", "l:u@lmtp.test", "x\r\n");
        rig_submit(r, 101, id_new(), "s@example.org", "l:u@box.test", "x\r\n");
        RIG_UNTIL(r, r->job_n == 2);
        for (size_t k = 0; k < 2; k++)
            rig_result(r, 0, &r->jobs[k], OUTCOME_DELIVERED,
                       strcmp(r->jobs[k].dest, "lmtp.test") == 0 ? "lmtp" : "deposit", true);
        RIG_UNTIL(r, r->q.job_n == 0);
        for (int k = 1; k <= 20; k++) {
            rcpt_of(rcpts, domains[side], k);
            rig_submit(r, (uint64_t)k, id_new(), "s@example.org", rcpts, "x\r\n");
        }
        RIG_UNTIL(r, r->answer_n == 22);
        rig_rest(r);
        assert_int_equal(r->q.job_n, 6);
        /* All of it hangs; the others go on, and each may do so with two. */
        for (int k = 0; k < 9; k++) {
            rcpt_of(rcpts, domains[k % 3], 100 + k);
            rig_submit(r, (uint64_t)(30 + k), id_new(), "s@example.org", rcpts, "x\r\n");
        }
        RIG_UNTIL(r, r->answer_n == 31);
        rig_rest(r);
        assert_int_equal(r->q.job_n, 10);
        for (int n = 0; n < SCHED_SIDES; n++)
            assert_int_equal(r->q.side_n[n], n == side ? 6 : 2);
        rig_kill(r);
        rig_clear(r);
        free(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rate_is_one_of_hosts),
        cmocka_unit_test(a_message_goes_in_pieces),
        cmocka_unit_test(scarce_connections_are_one_deliverds),
        cmocka_unit_test(domains_become_a_group),
        cmocka_unit_test(a_dead_domain_is_not_dead_hosts),
        cmocka_unit_test(slow_names_have_one_job),
        cmocka_unit_test(a_rate_holds_back),
        cmocka_unit_test(unrecorded_results_hold_jobs_back),
        cmocka_unit_test(sides_have_room_of_their_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
