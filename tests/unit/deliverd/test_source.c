/* test_source.c - the addresses that connections leave from, and what is never shared between two of them */
#include "deliverd/job.h"
#include "deliverd/pool.h"
#include "deliverd/trouble.h"
#include "tests/unit/deliverd/world.h"

#define MESSAGE "Subject: t\r\n\r\nbody\r\n"

static const struct told *deliver(struct world *w, const char *dest, const char *rcpt)
{
    uint64_t txn = job_send(w, dest, rcpt, MESSAGE);

    world_until_over(w);
    return told_of(w, txn, 0);
}

static void leaves_from_its_address(void **state)
{
    struct world *w = *state;
    const struct told *t;
    char group[300];

    assert_int_equal(deliver(w, "x.test", "a@x.test")->outcome, OUTCOME_DELIVERED);
    assert_string_equal(w->servers[0].peer, "127.0.0.1");
    t = deliver(w, "from.test", "a@from.test");
    assert_int_equal(t->outcome, OUTCOME_DELIVERED);
    assert_string_equal(w->servers[0].peer, "127.0.0.77");
    snprintf(group, sizeof group, "from.test from 127.0.0.77,2001:db8::77|mxs mx1.x.test:%u", w->port);
    assert_string_equal(t->group, group);
}

/* The same hosts by three routes: no connection of one carries mail of another, whoever was first. */
static void connections_are_of_one_source(void **state)
{
    static const char *const domains[] = { "x.test", "from.test", "other.test" };
    struct world *w = *state;
    char rcpt[64];

    for (unsigned round = 0; round < 3; round++)
        for (unsigned i = 0; i < 3; i++) {
            snprintf(rcpt, sizeof rcpt, "a@%s", domains[i]);
            assert_int_equal(deliver(w, domains[i], rcpt)->outcome, OUTCOME_DELIVERED);
        }
    assert_int_equal(w->servers[0].messages, 9);
    assert_int_equal(w->servers[0].sessions_n, 3);
    assert_string_not_equal(w->told[0].group, w->told[1].group);
    assert_string_not_equal(w->told[1].group, w->told[2].group);
}

/* Nobody answers one address of ours: another one does not put that host behind the others. */
static void failures_are_of_one_source(void **state)
{
    struct world *w = *state;
    struct netaddr dead = { .family = AF_INET, .port = w->port, .ip = { 127, 0, 0, 3 } };
    struct netaddr one = { .family = AF_INET, .ip = { 127, 0, 0, 77 } };
    struct netaddr two = { .family = AF_INET, .ip = { 127, 0, 0, 78 } };

    w->dns_hosts = "mx2.x.test 10 127.0.0.3; mx1.x.test 20 127.0.0.2";
    assert_int_equal(deliver(w, "from.test", "a@from.test")->outcome, OUTCOME_DELIVERED);
    assert_true(trouble_has_address(w->d.trouble, &dead, &one, loop_now(w->loop)));
    assert_false(trouble_has_address(w->d.trouble, &dead, &two, loop_now(w->loop)));
    assert_false(trouble_has_address(w->d.trouble, &dead, NULL, loop_now(w->loop)));
}

/* Nothing is held against the host, which never saw us; the mail waits; an address that is back is used. */
static void an_address_that_is_not_there(void **state)
{
    struct world *w = *state;
    struct netaddr host = { .family = AF_INET, .port = w->port, .ip = { 127, 0, 0, 2 } };
    struct netaddr gone = { .family = AF_INET, .ip = { 192, 0, 2, 77 } };
    const struct told *t;

    for (unsigned i = 0; i < 2; i++) {
        t = deliver(w, "gone.test", "a@gone.test");
        assert_int_equal(t->outcome, OUTCOME_DEFERRED);
        assert_string_equal(t->enhanced, "4.3.5");
        assert_string_equal(t->step, "source");
        assert_non_null(strstr(t->reply, " from 192.0.2.77: this host does not have that address"));
        assert_false(t->remote);
    }
    assert_int_equal(w->servers[0].sessions_n, 0);
    assert_false(trouble_has_address(w->d.trouble, &host, &gone, loop_now(w->loop)));
    assert_int_equal(deliver(w, "x.test", "a@x.test")->outcome, OUTCOME_DELIVERED);
}

/* Ports of an address that is there are not an address that is not. */
static void a_refused_connection_is_the_hosts(void **state)
{
    struct world *w = *state;
    const struct told *t;

    world_deaf(w, 0);
    t = deliver(w, "from.test", "a@from.test");
    assert_string_equal(t->step, "connect");
    assert_string_equal(t->enhanced, "4.4.1");
    assert_non_null(strstr(t->reply, " from 127.0.0.77: Connection refused"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD(leaves_from_its_address),
        WORLD(connections_are_of_one_source),
        WORLD(failures_are_of_one_source),
        WORLD(an_address_that_is_not_there),
        WORLD(a_refused_connection_is_the_hosts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
