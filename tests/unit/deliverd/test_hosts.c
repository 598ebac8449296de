/* test_hosts.c - what queued hears of a destination's hosts and of the look-up that told them */
#include "tests/unit/deliverd/world.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#define MESSAGE "Subject: t\r\n\r\nbody\r\n"

/* Also when nothing comes of it; a connection that is used again needs none. */
static void queued_hears_how_long_the_look_up_took(void **state)
{
    struct world *w = *state;
    uint64_t first, second, failed;

    w->dns_hold_ms = 30;
    first = job_send(w, "x.test", "a@x.test", MESSAGE);
    world_until_over(w);
    second = job_send(w, "x.test", "a@x.test", MESSAGE);
    world_until_over(w);
    w->dns_answer = DNS_TEMPFAIL;
    failed = job_send(w, "y.test", "a@y.test", MESSAGE);
    world_until_over(w);
    assert_true(told_of(w, first, 0)->lookup >= 30);
    assert_int_equal(told_of(w, second, 0)->lookup, 0);
    assert_true(told_of(w, failed, 0)->lookup >= 30);
    assert_string_equal(told_of(w, failed, 0)->step, "dns");
}

/* Nobody is spoken to; where no look-up is needed there is nothing to ask. */
static void a_job_may_only_ask(void **state)
{
    struct world *w = *state;
    uint64_t asks, literal, sends;
    const struct told *t;

    w->flags = 2;
    asks = job_send(w, "x.test", "a@x.test b@x.test", MESSAGE);
    world_until_over(w);
    for (uint64_t i = 0; i < 2; i++) {
        t = told_of(w, asks, i);
        assert_int_equal(t->outcome, OUTCOME_DEFERRED);
        assert_string_equal(t->step, "hosts");
        assert_int_equal(strncmp(t->group, "default|mxs mx1.x.test:", 23), 0);
    }
    assert_int_equal(w->servers[0].sessions_n, 0);
    assert_int_equal(w->lasts, 1);
    literal = job_send(w, "[127.0.0.2]", "a@[127.0.0.2]", MESSAGE);
    world_until_over(w);
    assert_string_not_equal(told_of(w, literal, 0)->step, "hosts");
    w->dns_answer = DNS_NXDOMAIN;
    asks = job_send(w, "y.test", "a@y.test", MESSAGE);
    world_until_over(w);
    assert_int_equal(told_of(w, asks, 0)->outcome, OUTCOME_FAILED);
    w->dns_answer = DNS_OK;
    w->flags = 0;
    sends = job_send(w, "x.test", "a@x.test", MESSAGE);
    world_until_over(w);
    assert_int_equal(told_of(w, sends, 0)->outcome, OUTCOME_DELIVERED);
}

/* queued dies before it acknowledges the hosts, and has sent the message by then: the next one hears of that
   job alone, or it would take the question's end for the delivery's and send once more. */
static void an_answered_question_is_not_told_again(void **state)
{
    struct world *w = *state;
    uint64_t sends;

    w->no_ack = true;
    w->flags = 2;
    job_send(w, "x.test", "a@x.test b@x.test", MESSAGE);
    world_until_told(w, 2);
    w->flags = 0;
    sends = job_send(w, "x.test", "a@x.test", MESSAGE);
    world_until_told(w, 3);
    assert_int_equal(told_of(w, sends, 0)->outcome, OUTCOME_DELIVERED);
    world_lose_queued(w);
    world_join_queued(w);
    w->no_ack = false;
    world_until_over(w);
    assert_int_equal(w->running_n, 1);
    assert_int_equal(w->told_n, 4);
    assert_int_equal(w->told[3].outcome, OUTCOME_DELIVERED);
}

/* That we have no descriptor left is no host's fault: queued lets nobody rest for it. */
static void our_own_shortage_is_not_theirs(void **state)
{
    struct world *w = *state;
    struct rlimit old, tight;
    int first = open("/dev/null", O_RDONLY | O_CLOEXEC);
    uint64_t short_of, sends;

    assert_true(first >= 0);
    close(first);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    tight = old;
    tight.rlim_cur = (rlim_t)first;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    short_of = job_send(w, "x.test", "a@x.test", MESSAGE);
    world_until_over(w);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_int_equal(told_of(w, short_of, 0)->outcome, OUTCOME_DEFERRED);
    assert_string_equal(told_of(w, short_of, 0)->step, "service");
    assert_string_equal(told_of(w, short_of, 0)->enhanced, "4.3.0");
    sends = job_send(w, "x.test", "a@x.test", MESSAGE);
    world_until_over(w);
    assert_int_equal(told_of(w, sends, 0)->outcome, OUTCOME_DELIVERED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD(a_job_may_only_ask),
        WORLD(an_answered_question_is_not_told_again),
        WORLD(queued_hears_how_long_the_look_up_took),
        WORLD(our_own_shortage_is_not_theirs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
