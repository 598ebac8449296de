/* test_lmtp_server.c - when an LMTP server may be asked: names, rests, one probe at a time */
#include "tests/support/unit.h"

#include "common/base/clock.h"
#include "common/net/loop.h"
#include "conf/conf.h"
#include "conf/mailbox.h"
#include "deliverd/deliverd.h"
#include "deliverd/lmtp.h"
#include "deliverd/lmtp_server.h"

#include <stdio.h>

static const char text[] = "hostname = mx.own.test\n"
                           "domains = [ own.test ]\n"
                           "mailbox unix { method = lmtp  via = \"unix:/run/dovecot/lmtp\"  timeout = 7s }\n"
                           "mailbox name { method = lmtp  via = imap.test }\n"
                           "mailbox v4 { method = lmtp  via = \"192.0.2.1:2400\" }\n"
                           "mailbox v6 { method = lmtp  via = \"2001:db8::1\"  max_connections = 3 }\n";

static struct conf *conf;
static struct deliverd d;
static int64_t now;

static int64_t fake_now(void)
{
    return now;
}

static int setup(void **state)
{
    struct conf_errors errs;

    (void)state;
    conf_errors_init(&errs);
    assert_true(conf_parse_text(SV(text), "test", ROLE_DELIVERD, &conf, &errs));
    conf_errors_clear(&errs);
    clock_fake(fake_now, NULL);
    now = 1000;
    d = (struct deliverd){ .loop = loop_new(), .conf = conf };
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    loop_free(&d.loop);
    conf_free(&conf);
    clock_fake(NULL, NULL);
    return 0;
}

static struct lmtp_server server(const char *label)
{
    struct lmtp_server s;

    for (size_t i = 0; i < conf->mailbox_n; i++)
        if (strcmp(conf->mailboxes[i]->head.name, label) == 0) {
            lmtp_server_init(&s, &d, conf->mailboxes[i]);
            return s;
        }
    fail_msg("no mailbox %s", label);
    return (struct lmtp_server){ .d = NULL };
}

static void names_and_limits(void **state)
{
    struct lmtp_server s = server("unix");

    (void)state;
    assert_string_equal(s.name, "unix:/run/dovecot/lmtp");
    assert_string_equal(s.route.helo, "mx.own.test");
    /* A connection takes twice its route's time at the end of a message: at least what was written. */
    assert_int_equal(s.route.timeout, 4);
    assert_int_equal(s.route.connect_timeout, 7);
    assert_int_equal(s.key[0], ' '); /* no label of a route begins so */
    s = server("name");
    assert_string_equal(s.name, "imap.test:24");
    assert_int_equal(s.route.max_connections, 20);
    s = server("v4");
    assert_string_equal(s.name, "[192.0.2.1]:2400");
    s = server("v6");
    assert_string_equal(s.name, "[2001:db8::1]:24");
    assert_int_equal(s.route.max_connections, 3);
}

static void fail_it(struct lmtp_server *s)
{
    lmtp_server_failed(s, STATUS(4, 4, 1), SV("relay"), SV("refused"), false);
}

static void one_probe_at_a_time(void **state)
{
    struct lmtp_server s = server("unix");
    int a, b;

    (void)state;
    assert_true(lmtp_server_may(&s, &a) && lmtp_server_may(&s, &b));
    fail_it(&s);
    lmtp_server_left(&s, &a);
    assert_false(lmtp_server_may(&s, &b));
    now += LMTP_DOWN_MS - 1;
    assert_false(lmtp_server_may(&s, &b));
    now++;
    assert_true(lmtp_server_may(&s, &a));
    assert_false(lmtp_server_may(&s, &b)); /* a is on its way */
    lmtp_server_left(&s, &b);              /* says nothing of a */
    assert_false(lmtp_server_may(&s, &b));
    fail_it(&s);
    lmtp_server_left(&s, &a);
    assert_false(lmtp_server_may(&s, &b)); /* rests again */
    now += LMTP_DOWN_MS;
    assert_true(lmtp_server_may(&s, &b));
    lmtp_server_left(&s, &b); /* cancelled, nothing was learned */
    assert_true(lmtp_server_may(&s, &a));
    lmtp_server_answered(&s);
    assert_true(lmtp_server_may(&s, &b) && !s.down);
}

static void first_minute_may_be_a_restart(void **state)
{
    struct lmtp_server s = server("unix");

    (void)state;
    assert_false(lmtp_server_blinks(&s));
    fail_it(&s);
    assert_true(lmtp_server_blinks(&s));
    now += LMTP_BLINK_MS - 1;
    fail_it(&s); /* failing again is no new beginning */
    assert_true(lmtp_server_blinks(&s));
    now++;
    assert_false(lmtp_server_blinks(&s));
    lmtp_server_answered(&s);
    fail_it(&s);
    assert_true(lmtp_server_blinks(&s));
}

static void words_are_bounded(void **state)
{
    struct lmtp_server s = server("unix");
    char flood[5000];

    (void)state;
    memset(flood, 'x', sizeof flood);
    lmtp_server_failed(&s, STATUS(4, 4, 1), strv_make(flood, sizeof flood), strv_make(flood, sizeof flood),
                       true);
    assert_true(strlen(s.why) < sizeof s.why && strlen(s.relay) < sizeof s.relay && s.remote);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_limits),
        cmocka_unit_test(one_probe_at_a_time),
        cmocka_unit_test(first_minute_may_be_a_restart),
        cmocka_unit_test(words_are_bounded),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
