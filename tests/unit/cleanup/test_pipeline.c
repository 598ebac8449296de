/* test_pipeline.c - transactions from smtpd to queued: small and large ones, header and body, recipients */
#include "tests/unit/cleanup/peers.h"

#include <stdlib.h>

static void small_message(void **state)
{
    struct world *w = *state;
    struct stored *s = &w->stored[0];

    smtpd_open(w, 1, false);
    smtpd_rcpt(w, 1, 0, "bob@own.test", true);
    expect_replies(w, "rcpt", "rcpt 1/0 ok");
    smtpd_whole(w, 1, world_message);
    expect_replies(w, "done", "done 1 ok");
    assert_int_equal(w->stored_n, 1);
    assert_int_equal(s->frames, 1);
    assert_int_equal(s->id, 1001);
    expect_text("sender", buf_view(&s->sender), "sender@far.test");
    expect_text("rcpts", buf_view(&s->rcpts), "bob@own.test*");
    expect_text("body", buf_view(&s->body), "line one\r\nline two\r\n");
    expect_text("words", buf_view(&s->words),
                "sid=SESSION client=192.0.2.7 helo=helo.far.test protocol=ESMTP ");
    assert_int_equal(s->body_size, 20);
    assert_non_null(
        strstr(buf_cstr(&s->header),
               "Received: from helo.far.test (client.far.test [192.0.2.7])\r\n\tby mx.own.test with "
               "ESMTP id 00000000000Z9\r\n\tfor <bob@own.test>;\r\n\t"));
    assert_true(strv_ends(buf_view(&s->header), SV("Subject: hello\r\nDate: x\r\nMessage-ID: <1@2>\r\n")));
}

/* The same bytes in two frames of every possible cut, and one byte at a time. */
static void trickled_is_whole(void **state)
{
    struct world *w = *state;
    size_t n = strlen(world_message);

    for (size_t cut = 0; cut <= n + 1; cut++) {
        struct stored *s = &w->stored[cut ? 1 : 0];

        smtpd_open(w, 10 + cut, false);
        smtpd_rcpt(w, 10 + cut, 0, "bob@own.test", true);
        world_turn(w);
        buf_reset(&w->replies);
        if (cut > n)
            for (size_t i = 0; i < n; i++)
                smtpd_body(w, 10 + cut, strv_sub(SV(world_message), i, 1));
        else if (cut)
            smtpd_body(w, 10 + cut, strv_sub(SV(world_message), 0, cut));
        smtpd_end(w, 10 + cut, cut > n ? SV("") : strv_from(SV(world_message), cut), n, 1);
        world_turn(w);
        assert_true(strv_ends(buf_view(&w->replies), SV(" ok")));
        assert_true(s->submitted);
        assert_true(
            strv_ends(buf_view(&s->header), SV("Subject: hello\r\nDate: x\r\nMessage-ID: <1@2>\r\n")));
        expect_text("body", buf_view(&s->body), "line one\r\nline two\r\n");
        if (!cut)
            continue;
        buf_clear(&s->header);
        buf_clear(&s->body);
        buf_clear(&s->rcpts);
        buf_clear(&s->sender);
        buf_clear(&s->words);
        memset(s, 0, sizeof *s);
        w->stored_n = 1;
    }
}

static const struct {
    const char *name, *text, *header, *body;
} splits[] = {
    { "no body", "Subject: x\r\n\r\n", "Subject: x\r\n", "" },
    { "no empty line", "Subject: x\r\n", "Subject: x\r\n", "" },
    { "no line end", "Subject: x", "Subject: x\r\n", "" },
    { "nothing", "", "", "" },
    { "empty header", "\r\nbody\r\n", "", "body\r\n" },
    { "no header at all", "this is text\r\nmore\r\n", "", "this is text\r\nmore\r\n" },
    { "a line that is no field ends the header", "A: b\r\nno field\r\nB: c\r\n", "A: b\r\n",
      "no field\r\nB: c\r\n" },
    { "folded", "A: b\r\n c\r\n\r\n\r\nx\r\n", "A: b\r\n c\r\n", "\r\nx\r\n" },
};

static void header_and_body(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < COUNT(splits); i++) {
        struct stored *s = &w->stored[i];
        struct strv head;
        size_t at;

        smtpd_open(w, 1 + i, false);
        smtpd_rcpt(w, 1 + i, 0, "bob@own.test", true);
        world_turn(w);
        smtpd_whole(w, 1 + i, splits[i].text);
        world_turn(w);
        assert_true(s->submitted);
        head = buf_view(&s->header);
        assert_true(strv_starts(head, SV("Received: ")));
        for (at = 0; at + 2 < head.n && !(head.p[at] == '\n' && head.p[at + 1] != '\t'); at++)
            ;
        expect_text(splits[i].name, strv_from(head, head.p[at] == '\n' ? at + 1 : at + 2), splits[i].header);
        expect_text(splits[i].name, buf_view(&s->body), splits[i].body);
        assert_int_equal(s->body_size, s->body.len);
    }
}

#define ID "Date: x\r\nMessage-ID: <1@2>\r\n"

/* Of own clients: what hides the header's end must not show a Bcc to everybody. */
static const struct {
    const char *name, *text, *header, *body;
} strays[] = {
    { "separator line", "From user Thu Jan  1 00:00:00 1970\r\n" ID "Bcc: a@b\r\n\r\nx\r\n", ID, "x\r\n" },
    { "two of them: the second is text", "From u x\r\nFrom u y\r\n\r\nx\r\n", NULL, "From u y\r\n\r\nx\r\n" },
    { "From: is a field", ID "From : u\r\n\r\nx\r\n", ID "From : u\r\n", "x\r\n" },
    { "bad line", ID "bad line\r\nTo: c\r\nBcc: a@b,\r\n d@e\r\nX: y\r\n\r\nBcc: text\r\n", ID,
      "bad line\r\nTo: c\r\nX: y\r\n\r\nBcc: text\r\n" },
    { "bad line first", ">From u\r\nTo: c\r\nresent-bcc: a\r\n\r\nx\r\n", NULL,
      ">From u\r\nTo: c\r\n\r\nx\r\n" },
    { "bad line at the end", ID "Bcc: a@b\r\nbad line", ID, "bad line" },
    { "no empty line", ID "bad line\r\nBcc: a@b", ID, "bad line\r\n" },
    { "a text", "Hello,\r\nBcc: is a field\r\n\r\nx\r\n", NULL, "Hello,\r\nBcc: is a field\r\n\r\nx\r\n" },
};

static void own_clients_strays(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < 2 * COUNT(strays); i++) {
        struct stored *s = &w->stored[i];
        struct strv text = SV(strays[i / 2].text);
        size_t n = text.n;

        smtpd_open(w, 1 + i, true);
        smtpd_rcpt(w, 1 + i, 0, "bob@own.test", true);
        world_turn(w);
        for (; i % 2 && text.n; text = strv_from(text, 1))
            smtpd_body(w, 1 + i, strv_sub(text, 0, 1));
        smtpd_end(w, 1 + i, text, n, 1);
        world_turn(w);
        assert_true(s->submitted);
        if (strays[i / 2].header)
            assert_true(strv_ends(buf_view(&s->header), SV(strays[i / 2].header)));
        expect_text(strays[i / 2].name, buf_view(&s->body), strays[i / 2].body);
        assert_int_equal(s->body_size, s->body.len);
    }
}

/* Lines below a bad one that never end: they are held as far as credit goes, and no further. */
static void endless_stray(void **state)
{
    struct world *w = *state;
    struct buf b;
    size_t n;

    buf_init(&b, 1u << 20);
    buf_adds(&b, ID "bad line\r\n");
    while (b.len < 500000)
        buf_adds(&b, "X-Field: text\r\n");
    n = b.len;
    smtpd_open(w, 1, true);
    smtpd_rcpt(w, 1, 0, "bob@own.test", true);
    world_turn(w);
    smtpd_large(w, 1, &b);
    smtpd_end(w, 1, SV(""), n, 1);
    expect_replies(w, "done", "rcpt 1/0 ok|done 1 ok");
    assert_int_equal(w->stored[0].body_size, n - strlen(ID));
    assert_int_equal(w->stored[0].body.len, n - strlen(ID));
    buf_clear(&b);
}

static void recipients(void **state)
{
    struct world *w = *state;

    smtpd_open(w, 1, false);
    smtpd_rcpt(w, 1, 0, "nobody@own.test", true);
    smtpd_rcpt(w, 1, 1, "both@own.test", true);
    smtpd_rcpt(w, 1, 2, "bob@own.test", true);
    smtpd_rcpt(w, 1, 3, "postmaster", true);
    smtpd_rcpt(w, 1, 4, "x@relay.test", false);
    expect_replies(w, "rcpt", "rcpt 1/4 ok|rcpt 1/0 550 5.1.1|rcpt 1/2 ok|rcpt 1/3 ok|rcpt 1/1 ok");
    smtpd_end(w, 1, SV(world_message), strlen(world_message), 4);
    expect_replies(w, "done", "done 1 ok");
    /* bob once, by the first way that led to him; several recipients: the trace field names none */
    expect_text("rcpts", buf_view(&w->stored[0].rcpts),
                "x@relay.test bob@own.test*(+both@own.test) postmaster@own.test*(postmaster) "
                "alice@own.test*(both@own.test)");
    assert_null(strstr(buf_cstr(&w->stored[0].header), "for <"));
}

static void too_many_recipients(void **state)
{
    struct world *w = *state;
    char rcpt[32];

    smtpd_open(w, 1, false);
    for (unsigned i = 0; i < 4; i++) {
        snprintf(rcpt, sizeof rcpt, "r%u@relay.test", i);
        smtpd_rcpt(w, 1, i, rcpt, false);
    }
    world_turn(w);
    buf_reset(&w->replies);
    smtpd_rcpt(w, 1, 4, "both@own.test", true);
    expect_replies(w, "rcpt", "rcpt 1/4 452 4.5.3");
    smtpd_rcpt(w, 1, 5, "bob@own.test", true);
    expect_replies(w, "rcpt", "rcpt 1/5 ok");
    smtpd_end(w, 1, SV(world_message), strlen(world_message), 5);
    expect_replies(w, "done", "done 1 ok");
}

static void discarded(void **state)
{
    struct world *w = *state;

    smtpd_open(w, 1, false);
    smtpd_rcpt(w, 1, 0, "null@own.test", true);
    world_turn(w);
    smtpd_whole(w, 1, world_message);
    expect_replies(w, "done", "rcpt 1/0 ok|done 1 ok");
    assert_int_equal(w->stored_n, 0);
}

static void counts_must_agree(void **state)
{
    struct world *w = *state;

    smtpd_open(w, 1, false);
    smtpd_rcpt(w, 1, 0, "bob@own.test", true);
    world_turn(w);
    smtpd_end(w, 1, SV(world_message), strlen(world_message) - 1, 1);
    smtpd_open(w, 2, false);
    smtpd_rcpt(w, 2, 0, "bob@own.test", true);
    expect_replies(w, "bytes", "rcpt 1/0 ok|done 1 451 4.3.0|rcpt 2/0 ok");
    smtpd_end(w, 2, SV(world_message), strlen(world_message), 2);
    expect_replies(w, "recipients", "done 2 451 4.3.0");
    assert_int_equal(w->stored_n, 0);
}

static void loop_refused(void **state)
{
    struct world *w = *state;
    struct buf b;

    buf_init(&b, 1u << 16);
    for (int i = 0; i < 51; i++)
        buf_adds(&b, "Received: x\r\n");
    buf_adds(&b, "\r\n");
    smtpd_open(w, 1, false);
    smtpd_rcpt(w, 1, 0, "bob@own.test", true);
    world_turn(w);
    smtpd_whole(w, 1, buf_cstr(&b));
    expect_replies(w, "hops", "rcpt 1/0 ok|done 1 554 5.4.6");
    assert_int_equal(w->stored_n, 0);
    buf_clear(&b);
}

/* ---- large messages ---- */

static void large(struct world *w, size_t fields, size_t size, unsigned want_frames)
{
    struct buf b;
    struct stored *s = &w->stored[0];
    size_t n = message_large(&b, fields, size), body_at;
    const char *end;

    smtpd_open(w, 1, false);
    smtpd_rcpt(w, 1, 0, "bob@own.test", true);
    world_turn(w);
    smtpd_large(w, 1, &b);
    smtpd_end(w, 1, SV(""), n, 1);
    expect_replies(w, "done", "rcpt 1/0 ok|done 1 ok");
    end = strstr(buf_cstr(&b), "\r\n\r\n");
    body_at = (size_t)(end - b.data) + 4;
    assert_true(strv_eq(buf_view(&s->body), strv_from(buf_view(&b), body_at)));
    assert_true(strv_ends(buf_view(&s->header), strv_sub(buf_view(&b), 0, body_at - 2)));
    assert_int_equal(s->body_size, n - body_at);
    assert_true(s->frames >= want_frames);
    buf_clear(&b);
}

static void large_body(void **state)
{
    large(*state, 1, 10u << 20, 160);
}

static void large_header(void **state)
{
    large(*state, 1500, 200000, 4);
}

static void every_size_around_one_frame(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < 10; i++) {
        size_t size = 40000 + i * 3000;
        struct buf b;
        size_t n = message_large(&b, 1, size);

        smtpd_open(w, 1 + i, false);
        smtpd_rcpt(w, 1 + i, 0, "bob@own.test", true);
        world_turn(w);
        smtpd_large(w, 1 + i, &b);
        smtpd_end(w, 1 + i, SV(""), n, 1);
        world_turn(w);
        assert_true(w->stored[i].submitted);
        assert_int_equal(w->stored[i].body.len, w->stored[i].body_size);
        buf_clear(&b);
    }
}

static void header_too_large(void **state)
{
    struct world *w = *state;
    struct buf b;
    size_t n = message_large(&b, 3000, 500000);

    smtpd_open(w, 1, false);
    smtpd_rcpt(w, 1, 0, "bob@own.test", true);
    world_turn(w);
    smtpd_large(w, 1, &b);
    smtpd_end(w, 1, SV(""), n, 1);
    expect_replies(w, "done", "rcpt 1/0 ok|done 1 552 5.3.4");
    buf_clear(&b);
}

/* queued takes nothing: cleanup holds a bounded part and smtpd runs out of credit. Then it goes on to the
 * end. */
static void back_pressure(void **state)
{
    struct world *w = *state;
    struct buf b;
    size_t n = message_large(&b, 1, 4u << 20), at = 0;

    w->no_credit = true;
    smtpd_open(w, 1, false);
    smtpd_rcpt(w, 1, 0, "bob@own.test", true);
    world_turn(w);
    while (channel_credit(w->smtpd, 1)) {
        smtpd_body(w, 1, strv_sub(buf_view(&b), at, 30000));
        at += 30000;
        world_turn(w);
        assert_true(at < 1u << 20);
    }
    assert_true(at < 600000);
    w->no_credit = false;
    channel_consumed(w->queued, w->stored[0].txn, w->stored[0].body.len);
    for (int idle = 0; at < b.len;) {
        size_t part = b.len - at < 30000 ? b.len - at : 30000;

        if (!channel_credit(w->smtpd, 1)) {
            loop_once(w->loop, 0);
            assert_true(++idle < 1000);
            continue;
        }
        idle = 0;
        smtpd_body(w, 1, strv_sub(buf_view(&b), at, part));
        at += part;
    }
    smtpd_end(w, 1, SV(""), n, 1);
    expect_replies(w, "done", "rcpt 1/0 ok|done 1 ok");
    assert_int_equal(w->stored[0].body.len, w->stored[0].body_size);
    buf_clear(&b);
}

static void many_recipients(void **state)
{
    struct world *w = *state;
    struct conf *conf = w->conf;
    struct conf_errors errs;
    char rcpt[250];
    size_t spaces = 0;

    conf_errors_init(&errs);
    assert_true(conf_parse_text(SV("hostname = mx.own.test\ndomains = [ own.test ]\n"
                                   "address { max_expansion = 5000 }\n"
                                   "mailbox postmaster { lookup = pm  root = /p  path = \"post/\" }\n"),
                                "t", ROLE_CLEANUP, &w->conf, &errs));
    w->cl.conf = w->conf;
    conf_free(&conf);
    smtpd_open(w, 1, false);
    for (unsigned i = 0; i < 2000; i++) {
        snprintf(rcpt, sizeof rcpt, "%0200u@relay.test", i);
        smtpd_rcpt(w, 1, i, rcpt, false);
        if (i % 50 == 0)
            loop_once(w->loop, 0);
    }
    while (w->reply_n < 2000)
        loop_once(w->loop, 1000);
    buf_reset(&w->replies);
    smtpd_end(w, 1, SV(world_message), strlen(world_message), 2000);
    expect_replies(w, "done", "done 1 ok");
    for (size_t i = 0; i < w->stored[0].rcpts.len; i++)
        spaces += w->stored[0].rcpts.data[i] == ' ';
    assert_int_equal(spaces, 1999);
    assert_true(w->stored[0].frames > 5);
}

static void own_clients(void **state)
{
    struct world *w = *state;

    smtpd_open(w, 1, true);
    smtpd_rcpt(w, 1, 0, "x@relay.test", false);
    world_turn(w);
    smtpd_whole(w, 1, "Bcc: secret@x\r\nSubject: y\r\n\r\n");
    world_turn(w);
    assert_null(strstr(buf_cstr(&w->stored[0].header), "secret"));
    assert_non_null(strstr(buf_cstr(&w->stored[0].header), "\r\nDate: "));
    assert_non_null(
        strstr(buf_cstr(&w->stored[0].header), "\r\nMessage-ID: <00000000000Z9@mx.own.test>\r\n"));
}

/* No byte of one message in the next: transactions are used again. */
static void pooled_transactions_are_blank(void **state)
{
    struct world *w = *state;

    smtpd_open(w, 1, false);
    smtpd_rcpt(w, 1, 0, "both@own.test", true);
    world_turn(w);
    smtpd_whole(w, 1, "Secret: header\r\n\r\nsecret body\r\n");
    world_turn(w);
    smtpd_open(w, 2, false);
    smtpd_rcpt(w, 2, 0, "bob@own.test", true);
    world_turn(w);
    smtpd_whole(w, 2, "A: b\r\n\r\n");
    world_turn(w);
    assert_int_equal(w->cl.pooled, 1);
    expect_text("rcpts", buf_view(&w->stored[1].rcpts), "bob@own.test*");
    assert_null(strstr(buf_cstr(&w->stored[1].header), "Secret"));
    assert_int_equal(w->stored[1].body.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD(small_message),
        WORLD(trickled_is_whole),
        WORLD(header_and_body), WORLD(own_clients_strays), WORLD(endless_stray),
        WORLD(recipients),
        WORLD(too_many_recipients),
        WORLD(discarded),
        WORLD(counts_must_agree),
        WORLD(loop_refused),
        WORLD(large_body),
        WORLD(large_header),
        WORLD(every_size_around_one_frame),
        WORLD(header_too_large),
        WORLD(back_pressure),
        WORLD(many_recipients),
        WORLD(own_clients),
        WORLD(pooled_transactions_are_blank),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
