/* test_driver.c - sessions over sockets: frames, credit, loss, half close, deadlines, limits, drain */
#include "../../support/unit.h"

#include "harness.h"
#include "rig.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define GREETING  "220 mx.own.test ESMTP\r\n"
#define GROUP     "MAIL FROM:<a@far.test>\r\nRCPT TO:<user@own.test>\r\nDATA\r\n"
#define GROUP_OK  "250 2.1.0 Sender ok\r\n250 2.1.5 Recipient ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n"
#define QUEUED    "250 2.0.0 Ok: queued as ID\r\n"
#define TEMPORARY "451 4.3.0 Temporary failure here, try again later\r\n"

static int helo(struct rig *r)
{
    int fd = rig_connect(r, NULL);

    rig_expect(r, fd, GREETING);
    rig_send(r, fd, "HELO client\r\n");
    rig_expect(r, fd, "250 mx.own.test\r\n");
    return fd;
}

static int in_data(struct rig *r)
{
    int fd = helo(r);

    rig_send(r, fd, GROUP);
    rig_expect(r, fd, GROUP_OK);
    return fd;
}

static void small_message_is_one_frame(void **state)
{
    struct rig r;
    int fd;

    (void)state;
    rig_open(&r, "");
    fd = in_data(&r);
    rig_send(&r, fd, "Subject: x\r\n\r\n..\r\n.\r\nQUIT\r\n");
    rig_expect_end(&r, fd, QUEUED "221 2.0.0 Bye\r\n");
    expect_text("frames", SV(r.trace), "OPEN RCPT END ");
    expect_text("data", buf_view(&r.data), "Subject: x\r\n\r\n.\r\n");
    assert_non_null(strstr(r.open, "sender=a@far.test"));
    assert_non_null(strstr(r.open, "client=127.0.0.1"));
    assert_non_null(strstr(r.open, "client-name=client.name.test"));
    assert_non_null(strstr(r.open, "helo=client"));
    assert_non_null(strstr(r.open, "protocol=SMTP"));
    assert_non_null(strstr(r.open, "listener=smtp"));
    assert_non_null(strstr(r.open, "own=1"));
    assert_int_equal(server_sessions(r.server), 0);
    rig_close(&r);
}

static void big_message_waits_for_credit(void **state)
{
    struct rig r;
    char *line = malloc(10001);
    int fd;

    (void)state;
    memset(line, 'x', 9998);
    memcpy(line + 9998, "\r\n", 3);
    rig_open(&r, "");
    fd = in_data(&r);
    r.hold_credit = true;
    for (int i = 0; i < 50; i++)
        rig_send(&r, fd, line);
    rig_send(&r, fd, ".\r\n");
    rig_spin(&r, 20);
    expect_text("frames before credit", SV(r.trace), "OPEN RCPT BODY BODY ");
    assert_true(r.data.len <= IPC_CREDIT_START);
    rig_give_credit(&r);
    rig_expect(&r, fd, QUEUED);
    assert_int_equal(r.data.len, 500000);
    close(fd);
    free(line);
    rig_close(&r);
}

static void loss_of_cleanup_costs_one_transaction(void **state)
{
    struct rig r;
    int fd;

    (void)state;
    rig_open(&r, "");
    fd = in_data(&r);
    rig_lose_cleanup(&r, false);
    rig_send(&r, fd, "text\r\n.\r\n");
    rig_expect(&r, fd, TEMPORARY);
    rig_lose_cleanup(&r, true);
    rig_send(&r, fd, GROUP);
    rig_expect(&r, fd, GROUP_OK);
    rig_send(&r, fd, "x\r\n.\r\n");
    rig_expect(&r, fd, QUEUED);
    close(fd);
    rig_close(&r);
}

/* Several at once, one of which leaves with its reply; and one that waits in vain. */
static void mail_waits_for_a_new_cleanup(void **state)
{
    struct rig r;
    int a, b, c;

    (void)state;
    rig_open(&r, "");
    a = helo(&r);
    b = helo(&r);
    c = helo(&r);
    rig_lose_cleanup(&r, false);
    rig_send(&r, a, "MAIL FROM:<a@far.test>\r\nQUIT\r\n");
    rig_send(&r, b, "MAIL FROM:<a@far.test>\r\nRCPT TO:<user@own.test>\r\nDATA\r\n");
    rig_send(&r, c, "MAIL FROM:<a@far.test>\r\n");
    rig_pass(&r, 4000);
    close(c);
    rig_lose_cleanup(&r, true);
    rig_expect_end(&r, a, "250 2.1.0 Sender ok\r\n221 2.0.0 Bye\r\n");
    rig_expect(&r, b, GROUP_OK);
    rig_send(&r, b, "x\r\n.\r\n");
    rig_expect(&r, b, QUEUED);
    rig_lose_cleanup(&r, false);
    rig_send(&r, b, "MAIL FROM:<a@far.test>\r\nNOOP\r\n");
    rig_pass(&r, 4900);
    rig_pass(&r, 200);
    rig_expect(&r, b, TEMPORARY "250 2.0.0 Ok\r\n");
    close(b);
    rig_spin(&r, 5);
    assert_int_equal(server_sessions(r.server), 0);
    rig_close(&r);
}

static void loss_while_answers_are_awaited(void **state)
{
    struct rig r;
    int a, b;

    (void)state;
    rig_open(&r, "");
    a = in_data(&r);
    b = helo(&r);
    r.mute_rcpt = r.mute_done = true;
    rig_send(&r, a, "text\r\n.\r\nNOOP\r\n");
    rig_send(&r, b, "MAIL FROM:<a@far.test>\r\nRCPT TO:<user@own.test>\r\nNOOP\r\n");
    rig_wait_trace(&r, "OPEN RCPT ");
    rig_lose_cleanup(&r, false);
    rig_expect(&r, b, "250 2.1.0 Sender ok\r\n" TEMPORARY "250 2.0.0 Ok\r\n");
    /* The end of the other message was sent: what became of it is asked, and asked again. */
    rig_lose_cleanup(&r, true);
    rig_wait_trace(&r, "QUERY ");
    rig_lose_cleanup(&r, true);
    rig_wait_trace(&r, "QUERY QUERY ");
    r.mute_done = false;
    rig_lose_cleanup(&r, true);
    rig_expect(&r, a, QUEUED "250 2.0.0 Ok\r\n");
    close(a);
    close(b);
    rig_close(&r);
}

static void message_that_was_not_stored_is_451_after_the_loss(void **state)
{
    struct rig r;
    int fd;

    (void)state;
    rig_open(&r, "");
    fd = in_data(&r);
    r.mute_done = true;
    rig_send(&r, fd, "text\r\n.\r\n");
    rig_wait_trace(&r, "END ");
    r.stored = VERDICT_TEMPFAIL;
    r.mute_done = false;
    rig_lose_cleanup(&r, true);
    rig_expect(&r, fd, TEMPORARY);
    rig_send(&r, fd, GROUP);
    rig_expect(&r, fd, GROUP_OK);
    close(fd);
    rig_close(&r);
}

static void message_in_doubt_gets_no_reply_when_cleanup_stays_away(void **state)
{
    struct rig r;
    int fd, gone;

    (void)state;
    rig_open(&r, "");
    fd = in_data(&r);
    gone = in_data(&r);
    r.mute_done = true;
    rig_send(&r, fd, "text\r\n.\r\n");
    rig_wait_trace(&r, "END ");
    rig_send(&r, gone, "text\r\n.\r\n");
    rig_wait_trace(&r, "END END ");
    rig_lose_cleanup(&r, false);
    rig_pass(&r, 61 * 1000);
    rig_expect_end(&r, fd, "");
    rig_expect_end(&r, gone, "");
    rig_lose_cleanup(&r, true);
    rig_spin(&r, 5);
    assert_null(strstr(r.trace, "QUERY"));
    rig_close(&r);
}

static void nonsense_from_cleanup_costs_its_channel(void **state)
{
    struct rig r;
    int fd;

    (void)state;
    rig_open(&r, "");
    fd = in_data(&r);
    ipc_begin(&r.out, IPC_TX_DONE, r.txn);
    ipc_put_u64(&r.out, TAG_VERDICT, VERDICT_ACCEPT);
    channel_send(r.cleanup, &r.out);
    rig_wait_trace(&r, "LOST ");
    rig_lose_cleanup(&r, true);
    rig_send(&r, fd, "x\r\n.\r\n");
    rig_expect(&r, fd, TEMPORARY);
    close(fd);
    rig_close(&r);
}

static void half_closed_client_hears_its_replies(void **state)
{
    struct rig r;
    int fd;

    (void)state;
    rig_open(&r, "");
    fd = in_data(&r);
    rig_send(&r, fd, "x\r\n.\r\n");
    shutdown(fd, SHUT_WR);
    rig_expect_end(&r, fd, QUEUED);
    expect_text("frames", SV(r.trace), "OPEN RCPT END ");
    fd = in_data(&r);
    rig_send(&r, fd, "x\r\n.\r\nNOOP\r\nQUIT\r\n");
    shutdown(fd, SHUT_WR);
    rig_expect_end(&r, fd, QUEUED "250 2.0.0 Ok\r\n221 2.0.0 Bye\r\n");
    rig_close(&r);
}

static void client_that_leaves_aborts(void **state)
{
    struct rig r;
    int fd;

    (void)state;
    rig_open(&r, "");
    fd = in_data(&r);
    rig_send(&r, fd, "half of a mess");
    close(fd);
    rig_wait_trace(&r, "OPEN RCPT ABORT ");
    fd = helo(&r);
    rig_send(&r, fd, "MAIL FROM:<a@far.test>\r\n");
    rig_expect(&r, fd, "250 2.1.0 Sender ok\r\n");
    close(fd);
    rig_wait_trace(&r, "OPEN ABORT ");
    rig_spin(&r, 3);
    assert_int_equal(server_sessions(r.server), 0);
    rig_close(&r);
}

static void bare_lf_is_answered(void **state)
{
    struct rig r;
    int fd;

    (void)state;
    rig_open(&r, "");
    fd = helo(&r);
    rig_send(&r, fd, "NOOP\nNOOP\n");
    rig_expect_end(&r, fd,
                   "500 5.5.2 Line ends in a bare LF; SMTP lines end in CR LF (RFC 5321 2.3.8). Closing\r\n");
    rig_close(&r);
}

/* INCIDENTS 8 */
static void who_speaks_before_the_greeting_is_cut_off(void **state)
{
    struct rig r;
    int fd;

    (void)state;
    rig_open(&r, "");
    fd = rig_connect(&r, NULL);
    assert_int_equal(send(fd, "EHLO x\r\n", 8, 0), 8);
    rig_expect_end(&r, fd, "554 5.5.0 You must wait for the greeting. Closing\r\n");
    rig_close(&r);
}

/* --- names --- */

static void name_that_does_not_come_delays_mail_for_two_seconds(void **state)
{
    struct rig r;
    int fd;

    (void)state;
    rig_open(&r, "");
    r.name[0] = '\0';
    fd = helo(&r);
    rig_send(&r, fd, "MAIL FROM:<a@far.test>\r\n");
    rig_spin(&r, 5);
    expect_text("nothing yet", SV(r.trace), "");
    rig_pass(&r, 2100);
    rig_expect(&r, fd, "250 2.1.0 Sender ok\r\n");
    assert_null(strstr(r.open, "client-name"));
    close(fd);
    rig_close(&r);
}

static void loss_of_dnsd_means_no_name(void **state)
{
    struct rig r;
    int fd;

    (void)state;
    rig_open(&r, "");
    r.name[0] = '\0';
    fd = helo(&r);
    rig_send(&r, fd, "MAIL FROM:<a@far.test>\r\n");
    rig_spin(&r, 5);
    channel_free(&r.dns);
    rig_expect(&r, fd, "250 2.1.0 Sender ok\r\n");
    close(fd);
    fd = in_data(&r);
    close(fd);
    rig_close(&r);
}

/* --- deadlines --- */

static void silent_client_hears_421(void **state)
{
    struct rig r;
    int fd;

    (void)state;
    rig_open(&r, "timeout = 300s");
    fd = helo(&r);
    rig_pass(&r, 299 * 1000);
    rig_send(&r, fd, "NO");
    rig_pass(&r, 2000);
    rig_expect_end(&r, fd, "421 4.4.2 Timeout. Closing\r\n");
    rig_close(&r);
}

static void each_command_has_its_own_time(void **state)
{
    struct rig r;
    int fd;

    (void)state;
    rig_open(&r, "timeout = 300s");
    fd = helo(&r);
    for (int i = 0; i < 5; i++) {
        rig_pass(&r, 290 * 1000);
        rig_send(&r, fd, "NOOP\r\n");
        rig_expect(&r, fd, "250 2.0.0 Ok\r\n");
    }
    close(fd);
    rig_close(&r);
}

/* Somebody types a message: a character a second, for some minutes. */
static void typist_survives_and_dripper_does_not(void **state)
{
    struct rig r;
    int fd, seconds = 0;

    (void)state;
    rig_open(&r, "timeout = 300s min_rate = 50");
    fd = in_data(&r);
    for (int i = 0; i < 8 * 6; i++) {
        rig_pass(&r, 10 * 1000);
        rig_send(&r, fd, "typing...\r\n");
    }
    rig_send(&r, fd, ".\r\n");
    rig_expect(&r, fd, QUEUED);
    rig_send(&r, fd, GROUP);
    rig_expect(&r, fd, GROUP_OK);
    for (; server_sessions(r.server) > 0 && seconds < 3600; seconds += 20) {
        rig_pass(&r, 20 * 1000);
        if (server_sessions(r.server) > 0)
            rig_send(&r, fd, "x");
    }
    assert_true(seconds >= 600 && seconds < 700);
    rig_expect_end(&r, fd, "421 4.4.2 Data come too slowly. Closing\r\n");
    rig_wait_trace(&r, "ABORT ");
    rig_close(&r);
}

static void session_has_an_end(void **state)
{
    struct rig r;
    int fd;

    (void)state;
    rig_open(&r, "timeout = 60s session_timeout = 100s");
    fd = helo(&r);
    rig_pass(&r, 50 * 1000);
    rig_send(&r, fd, "NOOP\r\n");
    rig_expect(&r, fd, "250 2.0.0 Ok\r\n");
    rig_pass(&r, 51 * 1000);
    rig_expect_end(&r, fd, "421 4.4.2 The session lasted too long. Closing\r\n");
    rig_close(&r);
}

/* A verdict about a recipient may be replaced by 451; one about a commit may not. */
static void cleanup_that_does_not_answer_is_451(void **state)
{
    struct rig r;
    int fd;

    (void)state;
    rig_open(&r, "");
    fd = helo(&r);
    r.mute_rcpt = true;
    rig_send(&r, fd, "MAIL FROM:<a@far.test>\r\nRCPT TO:<user@own.test>\r\n");
    rig_wait_trace(&r, "RCPT ");
    rig_pass(&r, 61 * 1000);
    rig_expect(&r, fd, "250 2.1.0 Sender ok\r\n" TEMPORARY);
    rig_wait_trace(&r, "RCPT ABORT ");
    r.mute_rcpt = false;
    r.mute_done = true;
    rig_send(&r, fd, "RSET\r\n");
    rig_expect(&r, fd, "250 2.0.0 Ok\r\n");
    rig_send(&r, fd, GROUP);
    rig_expect(&r, fd, GROUP_OK);
    rig_send(&r, fd, "x\r\n.\r\n");
    rig_wait_trace(&r, "END ");
    rig_pass(&r, 301 * 1000);
    rig_expect_end(&r, fd, "");
    rig_wait_trace(&r, "END ABORT ");
    rig_close(&r);
}

/* --- limits and drain --- */

static void sessions_are_limited(void **state)
{
    struct rig r;
    int fds[4], fd;

    (void)state;
    rig_open(&r, "max_sessions = 4 max_sessions_per_client = 3");
    for (int i = 0; i < 3; i++)
        fds[i] = helo(&r);
    fd = rig_connect(&r, NULL);
    rig_expect_end(&r, fd, "421 4.7.0 Too many connections from your address\r\n");
    fds[3] = rig_connect(&r, "127.0.0.2");
    rig_expect(&r, fds[3], GREETING);
    fd = rig_connect(&r, "127.0.0.3");
    rig_expect_end(&r, fd, "421 4.3.2 Too many connections, try again later\r\n");
    rig_send(&r, fds[0], "QUIT\r\n");
    rig_expect_end(&r, fds[0], "221 2.0.0 Bye\r\n");
    fds[0] = helo(&r);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    rig_spin(&r, 5);
    assert_int_equal(server_sessions(r.server), 0);
    rig_close(&r);
}

/* Who does not close his side holds a descriptor of ours for a moment; it counts as his until it is free. */
static void connections_count_until_they_are_closed(void **state)
{
    struct rig r;
    int fds[3], fd;

    (void)state;
    rig_open(&r, "max_sessions_per_client = 3");
    for (int i = 0; i < 3; i++) {
        fds[i] = helo(&r);
        rig_send(&r, fds[i], "QUIT\r\n");
        rig_expect(&r, fds[i], "221 2.0.0 Bye\r\n");
    }
    assert_int_equal(server_sessions(r.server), 0);
    fd = rig_connect(&r, NULL);
    rig_expect_end(&r, fd, "421 4.7.0 Too many connections from your address\r\n");
    close(fds[0]);
    rig_spin(&r, 5);
    fds[0] = helo(&r);
    rig_pass(&r, 2100);
    fd = helo(&r);
    rig_send(&r, fd, "QUIT\r\n");
    rig_expect(&r, fd, "221 2.0.0 Bye\r\n");
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    close(fd);
    rig_close(&r);
}

static void drain_ends_idle_sessions_and_finishes_transactions(void **state)
{
    struct rig r;
    int idle, busy, next;

    (void)state;
    rig_open(&r, "");
    idle = helo(&r);
    next = helo(&r);
    busy = in_data(&r);
    server_drain(r.server, 60 * 1000);
    rig_send(&r, next, "MAIL FROM:<a@far.test>\r\n");
    rig_expect_end(&r, next, "421 4.3.2 Service is restarting, try again. Closing\r\n");
    rig_pass(&r, 3100);
    rig_expect_end(&r, idle, "421 4.3.2 Service is restarting, try again. Closing\r\n");
    assert_false(r.over);
    rig_send(&r, busy, "x\r\n.\r\nQUIT\r\n");
    rig_expect_end(&r, busy, QUEUED "221 2.0.0 Bye\r\n");
    rig_pass(&r, 400);
    assert_true(r.over);
    rig_close(&r);
}

static void drain_is_over_when_everybody_left_early(void **state)
{
    struct rig r;
    int fd;

    (void)state;
    rig_open(&r, "");
    fd = helo(&r);
    server_drain(r.server, 60 * 1000);
    rig_send(&r, fd, "QUIT\r\n");
    rig_expect_end(&r, fd, "221 2.0.0 Bye\r\n");
    rig_pass(&r, 400);
    assert_true(r.over);
    rig_pass(&r, 5000);
    rig_close(&r);
}

static void drain_without_sessions_is_over_at_once(void **state)
{
    struct rig r;

    (void)state;
    rig_open(&r, "");
    server_drain(r.server, 60 * 1000);
    rig_spin(&r, 3);
    assert_true(r.over);
    rig_close(&r);
}

static void kill_with_open_sessions_leaks_nothing(void **state)
{
    struct rig r;
    int a, b;

    (void)state;
    rig_open(&r, "");
    a = in_data(&r);
    b = helo(&r);
    rig_close(&r);
    close(a);
    close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_message_is_one_frame),
        cmocka_unit_test(big_message_waits_for_credit),
        cmocka_unit_test(loss_of_cleanup_costs_one_transaction),
        cmocka_unit_test(mail_waits_for_a_new_cleanup),
        cmocka_unit_test(loss_while_answers_are_awaited),
        cmocka_unit_test(message_that_was_not_stored_is_451_after_the_loss),
        cmocka_unit_test(message_in_doubt_gets_no_reply_when_cleanup_stays_away),
        cmocka_unit_test(nonsense_from_cleanup_costs_its_channel),
        cmocka_unit_test(half_closed_client_hears_its_replies),
        cmocka_unit_test(client_that_leaves_aborts),
        cmocka_unit_test(bare_lf_is_answered),
        cmocka_unit_test(who_speaks_before_the_greeting_is_cut_off),
        cmocka_unit_test(name_that_does_not_come_delays_mail_for_two_seconds),
        cmocka_unit_test(loss_of_dnsd_means_no_name),
        cmocka_unit_test(silent_client_hears_421),
        cmocka_unit_test(each_command_has_its_own_time),
        cmocka_unit_test(typist_survives_and_dripper_does_not),
        cmocka_unit_test(session_has_an_end),
        cmocka_unit_test(cleanup_that_does_not_answer_is_451),
        cmocka_unit_test(sessions_are_limited),
        cmocka_unit_test(connections_count_until_they_are_closed),
        cmocka_unit_test(drain_ends_idle_sessions_and_finishes_transactions),
        cmocka_unit_test(drain_is_over_when_everybody_left_early),
        cmocka_unit_test(drain_without_sessions_is_over_at_once),
        cmocka_unit_test(kill_with_open_sessions_leaks_nothing),
    };

    harness_quiet();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
