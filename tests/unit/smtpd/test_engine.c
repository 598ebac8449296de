/* test_engine.c - what reaches cleanup, back-pressure, loss, drain, names, and what stands in the log */
#include "../../support/unit.h"

#include "harness.h"

#include <stdlib.h>

#define START "EHLO client.far.test\r\nMAIL FROM:<Me@Far.Test>\r\nRCPT TO:<user@OWN.test>\r\n"

/* Runs start without looking at its replies. */
static void begin(struct harness *h, const char *client, const char *start)
{
    harness_init(h, client);
    h->service.strict_sync = false;
    harness_run(h, SV(start), 0);
    harness_cut(h);
}

static void say(struct harness *h, const char *text, const char *want)
{
    harness_cut(h);
    harness_run(h, SV(text), 0);
    expect_text(text, harness_transcript(h), want);
}

static void log_has(const char *what)
{
    if (!strstr(harness_log_last, what))
        fail_msg("\"%s\" is not in: %s", what, harness_log_last);
}

/* --- what reaches cleanup --- */

static void message_reaches_cleanup_byte_for_byte(void **state)
{
    struct harness h;

    (void)state;
    begin(&h, "192.0.2.1", START "RCPT TO:<x@backup.test>\r\nRCPT TO:<\"user\"@other.test>\r\nDATA\r\n");
    say(&h, "Subject: x\r\n\r\n..\r\n..a\r\n \xff\r\n\r\n.\r\n", "250 2.0.0 Ok: queued as ID\r\n");
    expect_text("sender", SV(h.last.sender), "Me@far.test");
    expect_text("recipients", SV(h.last.rcpts), "=user@own.test x@backup.test =user@other.test ");
    expect_text("data", buf_view(&h.last.data), "Subject: x\r\n\r\n.\r\n.a\r\n \xff\r\n\r\n");
    assert_int_equal(h.opens, 1);
    assert_int_equal(h.aborts, 0);
    harness_clear(&h);
}

static void envelope_is_kept_for_the_frame(void **state)
{
    struct harness h;

    (void)state;
    begin(&h, "127.0.0.1", "EHLO [127.0.0.1]\r\nMAIL FROM:<> SIZE=77 BODY=8BITMIME\r\n");
    assert_true(h.engine.own);
    assert_true(h.engine.esmtp);
    assert_true(h.engine.envelope.eight_bit);
    assert_int_equal(h.engine.envelope.declared, 77);
    assert_int_equal(h.engine.envelope.tx, TX_OPENED);
    assert_true(address_is_null(&h.engine.envelope.sender.address));
    assert_true(h.engine.envelope.id != 0);
    harness_clear(&h);
}

static void ids_differ_and_stand_in_reply_and_log(void **state)
{
    struct harness h;
    char id[ID_TEXT_SIZE];

    (void)state;
    begin(&h, "192.0.2.1", START "DATA\r\n");
    id_text(h.engine.envelope.id, id);
    harness_run(&h, SV_LIT("x\r\n.\r\n"), 0);
    assert_non_null(strstr(buf_cstr(&h.transcript), id));
    log_has("event=smtp.message.accepted");
    log_has(id);
    log_has("sid=");
    log_has("listener=smtp");
    log_has("client=192.0.2.1");
    log_has("helo=client.far.test");
    log_has("sender=Me@far.test");
    log_has("rcpts=1");
    log_has("bytes=3");
    harness_clear(&h);
}

/* --- back-pressure --- */

static void fill(struct buf *b, size_t n)
{
    buf_init(b, 1u << 24);
    while (b->len + 100 <= n)
        buf_adds(b,
                 "012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
                 "01234567\r\n");
}

static void big_message_stalls_until_there_is_room(void **state)
{
    struct harness h;
    struct buf text;

    (void)state;
    begin(&h, "192.0.2.1", START "DATA\r\n");
    fill(&text, 65000);
    h.room = 0;
    harness_feed(&h, buf_view(&text));
    assert_int_equal(h.step, STEP_STALL);
    assert_true(h.in.len > 0);
    harness_feed(&h, SV_LIT(".\r\n"));
    assert_int_equal(h.step, STEP_STALL);
    h.room = BODY_CHUNK;
    harness_feed(&h, strv_make("", 0));
    harness_settle(&h);
    expect_text("reply", harness_transcript(&h), "250 2.0.0 Ok: queued as ID\r\n");
    assert_int_equal(h.last.data.len, text.len);
    assert_memory_equal(h.last.data.data, text.data, text.len);
    buf_clear(&text);
    harness_clear(&h);
}

static void small_message_waits_for_room_at_its_end(void **state)
{
    struct harness h;

    (void)state;
    begin(&h, "192.0.2.1", START "DATA\r\n");
    h.room = 3;
    harness_feed(&h, SV_LIT("four\r\n.\r\nNOOP\r\n"));
    assert_int_equal(h.step, STEP_STALL);
    expect_text("where", SV(engine_where(&h.engine)), "end-of-data");
    h.room = 6;
    harness_feed(&h, strv_make("", 0));
    harness_settle(&h);
    expect_text("reply", harness_transcript(&h), "250 2.0.0 Ok: queued as ID\r\n250 2.0.0 Ok\r\n");
    harness_clear(&h);
}

static void oversize_message_frees_cleanup_at_once(void **state)
{
    struct harness h;
    struct buf text;

    (void)state;
    begin(&h, "192.0.2.1", START "DATA\r\n");
    fill(&text, 70000);
    harness_feed(&h, buf_view(&text));
    assert_int_equal(h.aborts, 1);
    assert_false(h.open);
    assert_int_equal(h.engine.body.data.len, 0);
    say(&h, ".\r\n", "552 5.3.4 Message too big, the limit is 65536 bytes\r\n");
    log_has("event=smtp.message.refused");
    log_has("rule=\"listen.max_message_size harness.conf:3\"");
    buf_clear(&text);
    harness_clear(&h);
}

static void endless_message_is_cut_off(void **state)
{
    struct harness h;
    struct buf text;

    (void)state;
    begin(&h, "192.0.2.1", START "DATA\r\n");
    fill(&text, 60000);
    for (int i = 0; i < 40 && !harness_closed(&h); i++)
        harness_feed(&h, buf_view(&text));
    assert_true(harness_closed(&h));
    assert_int_equal(h.engine.end, END_OVERSIZE);
    expect_text("reply", harness_transcript(&h), "552 5.3.4 Message too big, the limit is 65536 bytes\r\n");
    buf_clear(&text);
    harness_clear(&h);
}

/* --- loss of cleanup --- */

#define TEMPORARY "451 4.3.0 Temporary failure here, try again later\r\n"

static void without_cleanup_mail_waits(void **state)
{
    struct harness h;

    (void)state;
    harness_init(&h, "192.0.2.1");
    h.up = false;
    harness_run(&h, SV_LIT("HELO x\r\n"), 0);
    say(&h, "MAIL FROM:<a@far.test>\r\nNOOP\r\n", "");
    assert_int_equal(h.step, STEP_WAIT);
    harness_cleanup(&h, false);
    expect_text("too late", harness_transcript(&h), TEMPORARY "250 2.0.0 Ok\r\n");
    harness_cut(&h);
    say(&h, "MAIL FROM:<a@far.test>\r\nNOOP\r\n", "");
    harness_cleanup(&h, true);
    expect_text("in time", harness_transcript(&h), "250 2.1.0 Sender ok\r\n250 2.0.0 Ok\r\n");
    /* to a session that does not wait the news is nothing */
    harness_cleanup(&h, true);
    assert_int_equal(h.opens, 1);
    harness_clear(&h);
}

static void refusal_for_want_of_cleanup_is_logged(void **state)
{
    struct harness h;

    (void)state;
    harness_init(&h, "192.0.2.1");
    h.up = false;
    harness_run(&h, SV_LIT("HELO x\r\n"), 0);
    harness_run(&h, SV_LIT("MAIL FROM:<a@far.test>\r\n"), 0);
    harness_cleanup(&h, false);
    log_has("rule=no-cleanup");
    harness_clear(&h);
}

/* The name is asked for first: cleanup may go while it is awaited. */
static void cleanup_goes_while_the_name_is_awaited(void **state)
{
    struct harness h;

    (void)state;
    harness_init(&h, "192.0.2.1");
    h.engine.name_pending = true;
    harness_run(&h, SV_LIT("HELO x\r\n"), 0);
    harness_run(&h, SV_LIT("MAIL FROM:<a@far.test>\r\n"), 0);
    assert_int_equal(h.engine.wait, AWAIT_NAME);
    h.up = false;
    engine_name(&h.engine, SV_LIT("client.test"));
    assert_int_equal(h.engine.wait, AWAIT_CLEANUP);
    harness_cleanup(&h, true);
    assert_int_equal(h.opens, 1);
    harness_clear(&h);
}

static void loss_while_a_recipient_is_judged(void **state)
{
    struct harness h;

    (void)state;
    begin(&h, "192.0.2.1", START);
    h.delay = 1000;
    harness_feed(&h, SV_LIT("RCPT TO:<a@own.test>\r\n"));
    assert_int_equal(h.step, STEP_WAIT);
    harness_lose_cleanup(&h, true);
    expect_text("verdict", harness_transcript(&h), TEMPORARY);
    h.delay = 0;
    say(&h, "RCPT TO:<user@own.test>\r\nDATA\r\n", TEMPORARY TEMPORARY);
    say(&h, "MAIL FROM:<a@far.test>\r\nRCPT TO:<user@own.test>\r\n",
        "250 2.1.0 Sender ok\r\n250 2.1.5 Recipient ok\r\n");
    assert_int_equal(h.aborts, 0);
    harness_clear(&h);
}

static void loss_in_the_middle_of_data(void **state)
{
    struct harness h;

    (void)state;
    begin(&h, "192.0.2.1", START "DATA\r\n");
    harness_feed(&h, SV_LIT("one\r\n"));
    harness_lose_cleanup(&h, true);
    say(&h, "two\r\nMAIL FROM:<x@far.test>\r\n", "");
    say(&h, ".\r\n", TEMPORARY);
    say(&h, "MAIL FROM:<a@far.test>\r\n", "250 2.1.0 Sender ok\r\n");
    assert_int_equal(h.ends, 0);
    harness_clear(&h);
}

/* Neither 250 nor 451 may be guessed. */
static void loss_while_the_commit_is_awaited(void **state)
{
    struct harness h;

    (void)state;
    begin(&h, "192.0.2.1", START "DATA\r\n");
    h.delay = 1000;
    harness_feed(&h, SV_LIT("one\r\n.\r\nNOOP\r\n"));
    assert_int_equal(h.step, STEP_WAIT);
    harness_lose_cleanup(&h, false);
    expect_text("nothing yet", harness_transcript(&h), "");
    harness_settle(&h);
    expect_text("replies", harness_transcript(&h), "250 2.0.0 Ok: queued as ID\r\n250 2.0.0 Ok\r\n");
    harness_clear(&h);
}

static void commit_that_nobody_can_settle_gets_no_reply(void **state)
{
    struct harness h;

    (void)state;
    begin(&h, "192.0.2.1", START "DATA\r\n");
    h.delay = 1000;
    harness_feed(&h, SV_LIT("one\r\n.\r\nNOOP\r\n"));
    harness_lose_cleanup(&h, false);
    assert_int_equal(engine_unsettled(&h.engine), STEP_CLOSE);
    expect_text("no reply", buf_view(&h.out), "");
    log_has("event=smtp.message.unsettled");
    log_has("id=");
    engine_finish(&h.engine, END_CLIENT_CLOSED, 0, 0, 0);
    log_has("how=unsettled");
    log_has("step=end-of-data");
    harness_clear(&h);
}

static void loss_while_room_is_awaited(void **state)
{
    struct harness h;

    (void)state;
    begin(&h, "192.0.2.1", START "DATA\r\n");
    h.room = 0;
    harness_feed(&h, SV_LIT("one\r\n.\r\n"));
    assert_int_equal(h.step, STEP_STALL);
    harness_lose_cleanup(&h, true);
    expect_text("reply", harness_transcript(&h), TEMPORARY);
    harness_clear(&h);
}

/* --- ends --- */

static void end_of_session_aborts_the_transaction(void **state)
{
    static const char *const starts[] = { START, START "DATA\r\n", START "DATA\r\none\r\n" };

    (void)state;
    for (size_t i = 0; i < COUNT(starts); i++) {
        struct harness h;

        begin(&h, "192.0.2.1", starts[i]);
        assert_true(h.open);
        engine_finish(&h.engine, END_CLIENT_RESET, 1, 2, 3);
        assert_int_equal(h.aborts, 1);
        harness_clear(&h);
    }
}

static void session_line_says_how_and_where(void **state)
{
    static const struct {
        const char *text, *step;
        enum engine_end end;
        const char *how;
    } cases[] = {
        { "", "step=helo", END_CLIENT_CLOSED, "how=client-closed" },
        { "EHLO x\r\n", "step=ready", END_TIMEOUT, "how=timeout" },
        { "EHLO x\r\nMAIL FROM:<>\r\n", "step=mail", END_CLIENT_RESET, "how=client-reset" },
        { START, "step=rcpt", END_CLIENT_CLOSED, "how=client-closed" },
        { START "DATA\r\n", "step=data", END_TOO_SLOW, "how=too-slow" },
        { "QUIT\r\n", "step=helo", END_CLIENT_CLOSED, "how=quit" },
        { "GET / HTTP/1.0\r\n", "step=helo", END_CLIENT_CLOSED, "how=protocol-violation" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct harness h;

        begin(&h, "192.0.2.1", cases[i].text);
        engine_finish(&h.engine, cases[i].end, 11, 22, 1500);
        log_has("event=smtp.session.ended");
        log_has(cases[i].step);
        log_has(cases[i].how);
        log_has("bytes_in=11");
        log_has("bytes_out=22");
        log_has("time=1.500");
        harness_clear(&h);
    }
}

static void draining_ends_sessions_between_transactions(void **state)
{
    struct harness h;

    (void)state;
    begin(&h, "192.0.2.1", START);
    engine_drain(&h.engine);
    assert_false(engine_is_idle(&h.engine));
    say(&h, "RCPT TO:<a@own.test>\r\nNOOP\r\n", "250 2.1.5 Recipient ok\r\n250 2.0.0 Ok\r\n");
    say(&h, "DATA\r\nx\r\n.\r\n", "354 End data with <CR><LF>.<CR><LF>\r\n250 2.0.0 Ok: queued as ID\r\n");
    assert_true(engine_is_idle(&h.engine));
    say(&h, "MAIL FROM:<a@far.test>\r\n", "421 4.3.2 Service is restarting, try again. Closing\r\n");
    assert_true(harness_closed(&h));
    harness_clear(&h);
}

static void quit_is_served_while_draining(void **state)
{
    struct harness h;

    (void)state;
    begin(&h, "192.0.2.1", "EHLO x\r\n");
    engine_drain(&h.engine);
    say(&h, "QUIT\r\n", "221 2.0.0 Bye\r\n");
    harness_clear(&h);
}

/* INCIDENTS 8: what comes before the greeting. */
static void early_talkers_hear_554(void **state)
{
    struct harness h;

    (void)state;
    harness_init(&h, "192.0.2.1");
    h.engine.phase = PH_START;
    assert_int_equal(engine_start(&h.engine, true), STEP_CLOSE);
    expect_text("reply", buf_view(&h.out), "554 5.5.0 You must wait for the greeting. Closing\r\n");
    harness_clear(&h);
}

static void listener_that_demands_auth_takes_nothing_without(void **state)
{
    struct harness h;

    (void)state;
    harness_init(&h, "192.0.2.1");
    h.engine.phase = PH_START;
    h.service.unavailable = true;
    assert_int_equal(engine_start(&h.engine, false), STEP_CLOSE);
    expect_text("reply", buf_view(&h.out), "421 4.3.2 Service not available\r\n");
    harness_clear(&h);
}

/* --- the client's name --- */

static void mail_waits_for_the_name(void **state)
{
    struct harness h;

    (void)state;
    begin(&h, "192.0.2.1", "EHLO x\r\n");
    h.engine.name_pending = true;
    say(&h, "MAIL FROM:<a@far.test>\r\nRCPT TO:<user@own.test>\r\n", "");
    assert_int_equal(h.step, STEP_WAIT);
    assert_int_equal(h.opens, 0);
    engine_name(&h.engine, SV_LIT("client.far.test"));
    assert_int_equal(h.opens, 1);
    harness_feed(&h, strv_make("", 0));
    harness_settle(&h);
    expect_text("replies", harness_transcript(&h), "250 2.1.0 Sender ok\r\n250 2.1.5 Recipient ok\r\n");
    expect_text("name", SV(h.engine.client_name), "client.far.test");
    harness_clear(&h);
}

/* INCIDENTS 13: odd bytes from DNS are no name. */
static void names_that_are_none(void **state)
{
    static const struct strv names[] = {
        { "", 0 },   { "a b.test", 8 }, { "a\0b.test", 8 }, { "a\r\nb.test", 9 },
        { "..", 2 }, { "(x).test", 8 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++) {
        struct harness h;

        begin(&h, "192.0.2.1", "EHLO x\r\n");
        h.engine.name_pending = true;
        engine_name(&h.engine, names[i]);
        assert_null(h.engine.client_name);
        harness_clear(&h);
    }
}

static void answers_that_nobody_awaits_are_ignored(void **state)
{
    struct harness h;
    struct tx_answer a = { .verdict = TX_ACCEPT };

    (void)state;
    begin(&h, "192.0.2.1", START);
    engine_rcpt_answer(&h.engine, &a);
    engine_done(&h.engine, &a);
    engine_name(&h.engine, SV_LIT("late.test"));
    assert_int_equal(h.out.len, 0);
    assert_int_equal(h.engine.envelope.accepted, 1);
    harness_clear(&h);
}

/* --- refusals in the log: enough to act on at three in the morning --- */

static void refusal_lines_tell_everything(void **state)
{
    struct harness h;

    (void)state;
    begin(&h, "192.0.2.1", "EHLO client.far.test\r\nMAIL FROM:<a@far.test>\r\n");
    harness_run(&h, SV_LIT("RCPT TO:<b@elsewhere.test>\r\n"), 0);
    log_has("event=smtp.rcpt.refused");
    log_has("sid=");
    log_has("id=");
    log_has("listener=smtp");
    log_has("client=192.0.2.1");
    log_has("helo=client.far.test");
    log_has("sender=a@far.test");
    log_has("rcpt=b@elsewhere.test");
    log_has("reply=\"550 5.7.1 Relaying denied\"");
    log_has("rule=\"relay.from harness.conf:5\"");
    harness_run(&h, SV_LIT("RCPT TO:<b%elsewhere.test@own.test>\r\n"), 0);
    log_has("rule=routed-local-part");
    harness_run(&h, SV_LIT("RCPT TO:<nobody@own.test>\r\n"), 0);
    log_has("reply=\"550 5.1.1 No such user here\"");
    log_has("rule=mailbox");
    harness_run(&h, SV_LIT("FROB \x01\"quoted\"\r\n"), 0);
    log_has("event=smtp.command.refused");
    log_has("command=");
    log_has("rule=unknown-command");
    harness_clear(&h);
}

/* Cleanup is a peer like others: what it says about code and status is held to its verdict. */
static void verdicts_and_codes_must_agree(void **state)
{
    static const struct {
        const char *name;
        struct tx_answer a;
        const char *want;
    } cases[] = {
        { "refusal", { TX_REFUSE, 553, { "5.1.3", 5 }, { "No", 2 }, { "", 0 } }, "553 5.1.3 No\r\n" },
        { "2xx in a refusal",
          { TX_REFUSE, 250, { "2.0.0", 5 }, { "Ha", 2 }, { "", 0 } },
          "550 5.0.0 Ha\r\n" },
        { "5xx in a tempfail",
          { TX_TEMPFAIL, 550, { "5.0.0", 5 }, { "Ha", 2 }, { "", 0 } },
          "451 4.3.0 Ha\r\n" },
        { "nothing said", { TX_REFUSE, 0, { "", 0 }, { "", 0 }, { "", 0 } }, "550 5.0.0 Not accepted\r\n" },
        { "line ends in the text",
          { TX_REFUSE, 550, { "5.1.1", 5 }, { "a\r\n250 b", 9 }, { "", 0 } },
          "550-5.1.1 a?\r\n550 5.1.1 250 b\r\n" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct harness h;

        begin(&h, "192.0.2.1", "EHLO x\r\nMAIL FROM:<>\r\n");
        h.delay = 1000;
        harness_feed(&h, SV_LIT("RCPT TO:<user@own.test>\r\n"));
        h.pending = ANSWER_NONE;
        engine_rcpt_answer(&h.engine, &cases[i].a);
        expect_text(cases[i].name, buf_view(&h.out), cases[i].want);
        harness_clear(&h);
    }
}

/* A client that sends a flood of commands and reads nothing holds a bounded amount of replies. */
static void replies_are_bounded(void **state)
{
    struct harness h;
    size_t used;
    struct buf text;

    (void)state;
    begin(&h, "192.0.2.1", "");
    buf_init(&text, 65536);
    for (int i = 0; i < 290; i++)
        buf_adds(&text, "EHLO x\r\n");
    assert_int_equal(engine_input(&h.engine, buf_view(&text), &used), STEP_FLUSH);
    assert_true(used < text.len);
    assert_true(h.out.len < 20000);
    buf_clear(&text);
    harness_clear(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(message_reaches_cleanup_byte_for_byte),
        cmocka_unit_test(envelope_is_kept_for_the_frame),
        cmocka_unit_test(ids_differ_and_stand_in_reply_and_log),
        cmocka_unit_test(big_message_stalls_until_there_is_room),
        cmocka_unit_test(small_message_waits_for_room_at_its_end),
        cmocka_unit_test(oversize_message_frees_cleanup_at_once),
        cmocka_unit_test(endless_message_is_cut_off),
        cmocka_unit_test(without_cleanup_mail_waits),
        cmocka_unit_test(refusal_for_want_of_cleanup_is_logged),
        cmocka_unit_test(cleanup_goes_while_the_name_is_awaited),
        cmocka_unit_test(loss_while_a_recipient_is_judged),
        cmocka_unit_test(loss_in_the_middle_of_data),
        cmocka_unit_test(loss_while_the_commit_is_awaited),
        cmocka_unit_test(commit_that_nobody_can_settle_gets_no_reply),
        cmocka_unit_test(loss_while_room_is_awaited),
        cmocka_unit_test(end_of_session_aborts_the_transaction),
        cmocka_unit_test(session_line_says_how_and_where),
        cmocka_unit_test(draining_ends_sessions_between_transactions),
        cmocka_unit_test(quit_is_served_while_draining),
        cmocka_unit_test(early_talkers_hear_554),
        cmocka_unit_test(listener_that_demands_auth_takes_nothing_without),
        cmocka_unit_test(mail_waits_for_the_name),
        cmocka_unit_test(names_that_are_none),
        cmocka_unit_test(answers_that_nobody_awaits_are_ignored),
        cmocka_unit_test(refusal_lines_tell_everything),
        cmocka_unit_test(verdicts_and_codes_must_agree),
        cmocka_unit_test(replies_are_bounded),
    };

    harness_quiet();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
