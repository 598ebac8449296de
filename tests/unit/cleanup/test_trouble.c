/* test_trouble.c - transactions that are refused, aborted or cut by the loss of a peer, at each point */
#include "tests/unit/cleanup/peers.h"

#include "common/base/clock.h"

static void queued_refuses(void **state)
{
    struct world *w = *state;

    w->verdict = VERDICT_TEMPFAIL;
    for (int i = 0; i < 2; i++) {
        w->code = i ? 452 : 0;
        smtpd_open(w, (uint64_t)i, false);
        smtpd_rcpt(w, (uint64_t)i, 0, "bob@own.test", true);
        world_turn(w);
        smtpd_whole(w, (uint64_t)i, world_message);
        expect_replies(w, "done", i ? "rcpt 1/0 ok|done 1 452 4.3.1" : "rcpt 0/0 ok|done 0 451 4.3.0");
    }
}

static void queued_refuses_in_the_middle(void **state)
{
    struct world *w = *state;
    struct buf b;
    size_t n = message_large(&b, 1, 2u << 20);

    smtpd_open(w, 1, false);
    smtpd_rcpt(w, 1, 0, "bob@own.test", true);
    world_turn(w);
    smtpd_body(w, 1, strv_sub(buf_view(&b), 0, 60000));
    world_turn(w);
    assert_int_equal(w->stored_n, 1);
    w->code = 452;
    queued_answer(w, 0, VERDICT_TEMPFAIL);
    world_turn(w);
    buf_drop(&b, 60000);
    smtpd_large(w, 1, &b);
    smtpd_end(w, 1, SV(""), n, 1);
    expect_replies(w, "done", "rcpt 1/0 ok|done 1 452 4.3.1");
    assert_false(w->stored[0].submitted);
    buf_clear(&b);
}

static void aborted_at_each_point(void **state)
{
    struct world *w = *state;
    struct buf b;

    message_large(&b, 1, 100000);
    smtpd_abort(w, 77); /* of nothing */
    smtpd_open(w, 1, false);
    smtpd_abort(w, 1);
    w->mapd_silent = true;
    smtpd_open(w, 2, false);
    smtpd_rcpt(w, 2, 0, "bob@own.test", true);
    world_turn(w);
    smtpd_abort(w, 2); /* while resolving */
    w->mapd_silent = false;
    smtpd_open(w, 3, false);
    smtpd_rcpt(w, 3, 0, "bob@own.test", true);
    world_turn(w);
    buf_reset(&w->replies);
    smtpd_body(w, 3, strv_sub(buf_view(&b), 0, 60000));
    world_turn(w);
    assert_int_equal(w->stored_n, 1);
    smtpd_abort(w, 3); /* while streaming */
    expect_replies(w, "nothing", "");
    assert_true(w->stored[0].aborted);
    assert_int_equal(w->cl.live, 0);
    /* after the end of data: it is queued's, whatever smtpd thinks */
    w->hold = true;
    smtpd_open(w, 4, false);
    smtpd_rcpt(w, 4, 0, "bob@own.test", true);
    world_turn(w);
    buf_reset(&w->replies);
    smtpd_whole(w, 4, world_message);
    world_turn(w);
    smtpd_abort(w, 4);
    world_turn(w);
    assert_int_equal(w->cl.live, 1);
    assert_false(w->stored[1].aborted);
    queued_answer(w, 1, VERDICT_ACCEPT);
    expect_replies(w, "unheard", "");
    assert_int_equal(w->cl.live, 0);
    buf_clear(&b);
}

static void smtpd_lost(void **state)
{
    struct world *w = *state;
    struct buf b;

    message_large(&b, 1, 100000);
    w->hold = true;
    for (uint64_t t = 1; t <= 3; t++) {
        smtpd_open(w, t, false);
        smtpd_rcpt(w, t, 0, "bob@own.test", true);
    }
    world_turn(w);
    smtpd_body(w, 2, strv_sub(buf_view(&b), 0, 60000));
    smtpd_whole(w, 3, world_message);
    world_turn(w);
    assert_int_equal(w->cl.live, 3);
    channel_free(&w->smtpd);
    world_turn(w);
    assert_int_equal(w->cl.live, 1);
    assert_true(w->stored[0].aborted);
    assert_true(w->stored[1].submitted);
    queued_answer(w, 1, VERDICT_ACCEPT);
    world_turn(w);
    assert_int_equal(w->cl.live, 0);
    world_join_smtpd(w);
    w->hold = false;
    buf_reset(&w->replies);
    smtpd_open(w, 1, false);
    smtpd_rcpt(w, 1, 0, "bob@own.test", true);
    world_turn(w);
    smtpd_whole(w, 1, world_message);
    expect_replies(w, "new channel", "rcpt 1/0 ok|done 1 ok");
    buf_clear(&b);
}

static void queued_lost(void **state)
{
    struct world *w = *state;
    struct buf b;

    message_large(&b, 1, 100000);
    for (uint64_t t = 1; t <= 2; t++) {
        smtpd_open(w, t, false);
        smtpd_rcpt(w, t, 0, "bob@own.test", true);
    }
    world_turn(w);
    buf_reset(&w->replies);
    smtpd_body(w, 1, strv_sub(buf_view(&b), 0, 60000));
    world_turn(w);
    channel_free(&w->queued);
    world_turn(w);
    /* streaming: refused at its end; not begun: refused when it would submit */
    buf_drop(&b, 60000);
    smtpd_large(w, 1, &b);
    smtpd_end(w, 1, SV(""), 60000 + b.len, 1);
    smtpd_whole(w, 2, world_message);
    expect_replies(w, "no queued", "done 1 451 4.3.0|done 2 451 4.3.0");
    world_join_queued(w);
    smtpd_open(w, 3, false);
    smtpd_rcpt(w, 3, 0, "bob@own.test", true);
    world_turn(w);
    smtpd_whole(w, 3, world_message);
    expect_replies(w, "queued is back", "rcpt 3/0 ok|done 3 ok");
    buf_clear(&b);
}

/* Between submission and answer a lost queued is asked, not guessed about. */
static void doubt(void **state)
{
    struct world *w = *state;

    for (int knows = 0; knows < 2; knows++) {
        uint64_t t = 1 + (uint64_t)knows;
        unsigned n = w->stored_n;

        w->hold = true;
        smtpd_open(w, t, false);
        smtpd_rcpt(w, t, 0, "bob@own.test", true);
        world_turn(w);
        buf_reset(&w->replies);
        smtpd_whole(w, t, world_message);
        world_turn(w);
        assert_true(w->stored[n].submitted);
        channel_free(&w->queued);
        expect_replies(w, "nothing is said yet", "");
        w->hold = false;
        w->knows = knows;
        world_join_queued(w);
        expect_replies(w, "asked", knows ? "done 2 ok" : "done 1 451 4.3.0");
        assert_true(w->stored[n + 1].query);
        assert_int_equal(w->stored[n + 1].id, 1000 + t);
        assert_int_equal(w->cl.live, 0);
    }
}

static void query_of_smtpd(void **state)
{
    struct world *w = *state;

    w->knows = true;
    smtpd_query(w, 1, 5001);
    expect_replies(w, "stored", "done 1 ok");
    w->knows = false;
    smtpd_query(w, 2, 5002);
    expect_replies(w, "not stored", "done 2 451 4.3.0");
    channel_free(&w->queued);
    world_turn(w);
    smtpd_query(w, 3, 5003);
    expect_replies(w, "queued is away", "");
    w->knows = true;
    world_join_queued(w);
    expect_replies(w, "queued is back", "done 3 ok");
    /* queued lost while it was asked */
    w->hold = true;
    smtpd_query(w, 4, 5004);
    world_turn(w);
    channel_free(&w->queued);
    world_turn(w);
    w->hold = false;
    world_join_queued(w);
    expect_replies(w, "asked again", "done 4 ok");
    /* the asker went away */
    w->hold = true;
    smtpd_query(w, 5, 5005);
    world_turn(w);
    channel_free(&w->smtpd);
    world_turn(w);
    queued_answer(w, w->stored_n - 1, VERDICT_ACCEPT);
    world_turn(w);
    assert_int_equal(w->cl.live, 0);
}

static void mapd_trouble(void **state)
{
    struct world *w = *state;

    w->mapd_fails = true;
    smtpd_open(w, 1, false);
    smtpd_rcpt(w, 1, 0, "bob@own.test", true);
    expect_replies(w, "failed", "rcpt 1/0 451 4.3.0");
    w->mapd_silent = true;
    smtpd_rcpt(w, 1, 1, "bob@own.test", true);
    expect_replies(w, "silent", "");
    channel_free(&w->mapd);
    expect_replies(w, "lost", "rcpt 1/1 451 4.3.0");
    smtpd_rcpt(w, 1, 2, "bob@own.test", true);
    expect_replies(w, "away", "rcpt 1/2 451 4.3.0");
    w->mapd_fails = w->mapd_silent = false;
    world_join_mapd(w);
    smtpd_rcpt(w, 1, 3, "bob@own.test", true);
    expect_replies(w, "back", "rcpt 1/3 ok");
    smtpd_whole(w, 1, world_message);
    expect_replies(w, "done", "done 1 ok");
    expect_text("rcpts", buf_view(&w->stored[0].rcpts), "bob@own.test*");
}

/* Data that overtakes the answer to its recipient waits for it in the resolve stage. */
static void end_before_resolution(void **state)
{
    struct world *w = *state;

    w->mapd_silent = true;
    smtpd_open(w, 1, false);
    smtpd_rcpt(w, 1, 0, "x@relay.test", false);
    smtpd_rcpt(w, 1, 1, "bob@own.test", true);
    world_turn(w);
    smtpd_end(w, 1, SV(world_message), strlen(world_message), 1);
    expect_replies(w, "waits", "rcpt 1/0 ok");
    channel_free(&w->mapd);
    expect_replies(w, "then goes on", "rcpt 1/1 451 4.3.0|done 1 ok");
    expect_text("rcpts", buf_view(&w->stored[0].rcpts), "x@relay.test");
}

static int64_t fake_ms = 1000000;

static int64_t fake_clock(void)
{
    return fake_ms;
}

/* Nobody may hear 451 for what queued may have stored: it is told late, or nothing is. */
static void doubt_deadline(void **state)
{
    struct world *w = *state;

    clock_fake(fake_clock, NULL);
    world_turn(w);
    channel_free(&w->queued);
    world_turn(w);
    smtpd_query(w, 1, 5001);
    world_turn(w);
    fake_ms += 290000;
    smtpd_query(w, 2, 5002);
    expect_replies(w, "still time", "");
    fake_ms += 71000;
    expect_replies(w, "the first is over, without an answer", "");
    assert_int_equal(w->cl.live, 1);
    w->knows = true;
    world_join_queued(w);
    expect_replies(w, "the second hears it late", "done 2 ok");
    assert_int_equal(w->cl.live, 0);
    clock_fake(NULL, NULL);
}

/* The new queued has the question and is stopped: its answer comes behind the deadline. */
static void doubt_deadline_of_a_silent_queued(void **state)
{
    struct world *w = *state;

    clock_fake(fake_clock, NULL);
    w->hold = true;
    smtpd_open(w, 1, false);
    smtpd_rcpt(w, 1, 0, "bob@own.test", true);
    world_turn(w);
    buf_reset(&w->replies);
    smtpd_whole(w, 1, world_message);
    world_turn(w);
    channel_free(&w->queued);
    world_turn(w);
    world_join_queued(w);
    world_turn(w);
    assert_true(w->stored[w->stored_n - 1].query);
    fake_ms += 361000;
    expect_replies(w, "nothing", "");
    assert_int_equal(w->cl.live, 0);
    queued_answer(w, w->stored_n - 1, VERDICT_ACCEPT);
    expect_replies(w, "too late for everybody", "");
    smtpd_abort(w, 1); /* smtpd lets its client go */
    expect_replies(w, "and nothing breaks", "");
    assert_non_null(w->smtpd);
    assert_non_null(w->queued);
    clock_fake(NULL, NULL);
}

/* A peer that breaks the rules loses its channel, and its transactions with it; cleanup goes on. */
static void nonsense_from_smtpd(void **state)
{
    struct world *w = *state;
    static char zeros[60000];

    memset(zeros, 'x', sizeof zeros);
    smtpd_open(w, 1, false);
    smtpd_query(w, 1, 1001);
    world_turn(w);
    assert_null(w->smtpd);
    assert_int_equal(w->cl.live, 0);
    world_join_smtpd(w);
    /* more than its credit */
    w->no_credit = true;
    smtpd_open(w, 2, false);
    smtpd_rcpt(w, 2, 0, "bob@own.test", true);
    world_turn(w);
    smtpd_body(w, 2, SV("A: b\r\n\r\n"));
    for (int i = 0; i < 20 && w->smtpd; i++) {
        smtpd_body(w, 2, strv_make(zeros, sizeof zeros));
        world_turn(w);
    }
    assert_null(w->smtpd);
    assert_int_equal(w->cl.live, 0);
    world_join_smtpd(w);
    w->no_credit = false;
    buf_reset(&w->replies);
    /* a number used twice: the older transaction is gone, the newer one lives */
    smtpd_open(w, 3, false);
    smtpd_rcpt(w, 3, 0, "bob@own.test", true);
    smtpd_open(w, 3, false);
    smtpd_rcpt(w, 3, 1, "alice@own.test", true);
    world_turn(w);
    smtpd_whole(w, 3, world_message);
    world_turn(w);
    assert_int_equal(w->cl.live, 0);
    expect_text("the newer", buf_view(&w->stored[w->stored_n - 1].rcpts), "alice@own.test*");
}

static void queued_answers_too_early(void **state)
{
    struct world *w = *state;
    struct buf b;

    message_large(&b, 1, 100000);
    smtpd_open(w, 1, false);
    smtpd_rcpt(w, 1, 0, "bob@own.test", true);
    world_turn(w);
    smtpd_body(w, 1, strv_sub(buf_view(&b), 0, 60000));
    world_turn(w);
    queued_answer(w, 0, VERDICT_ACCEPT);
    world_turn(w);
    assert_null(w->queued);
    buf_reset(&w->replies);
    smtpd_abort(w, 1);
    expect_replies(w, "nothing was accepted", "");
    buf_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD(queued_refuses),        WORLD(queued_refuses_in_the_middle),
        WORLD(aborted_at_each_point), WORLD(smtpd_lost),
        WORLD(queued_lost),           WORLD(doubt),
        WORLD(query_of_smtpd),        WORLD(mapd_trouble),
        WORLD(end_before_resolution), WORLD(doubt_deadline), WORLD(doubt_deadline_of_a_silent_queued),
        WORLD(nonsense_from_smtpd),   WORLD(queued_answers_too_early),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
