/* test_hosts.c - what queued hears of a destination's hosts and of the look-up that told them */
#include "tests/unit/deliverd/world.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD(queued_hears_how_long_the_look_up_took),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
