/* test_notice.c - notices: composed from queued's facts, resolved like other mail, finished by origin
   or by N_FAILED; with MANSIO_NOTICE_DIR set each is written there for test_notice.py to read */
#include "tests/unit/cleanup/peers.h"

#include "common/mail/header.h"
#include "common/os/fd.h"

#include <stdlib.h>
#include <sys/mman.h>

struct fact {
    const char *rcpt, *original, *orcpt, *enhanced, *reply, *relay;
    bool remote;
    const char *text; /* beside the peer's words */
};

/* What comes along when the message is returned whole. */
static struct {
    const char *message; /* NULL: nothing */
    struct strv body;    /* a large one, in a descriptor of its own; p NULL: none */
    uint64_t missing;    /* so many bytes of it are promised and not there */
} whole;

static void put_memory(struct world *w, struct strv bytes)
{
    int fd = memfd_create("test", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_true(fd_write_full(fd, bytes.p, bytes.n));
    ipc_put_fd(&w->out, fd);
}

static void put_whole(struct world *w)
{
    if (!whole.message)
        return;
    ipc_put_u64(&w->out, TAG_SIZE, strlen(whole.message) + whole.body.n + whole.missing);
    ipc_put_u64(&w->out, TAG_BODY_SIZE, strlen(whole.message));
    put_memory(w, SV(whole.message));
    if (whole.body.p)
        put_memory(w, whole.body);
}

static void compose(struct world *w, const char *sender, enum ipc_notice kind, const struct fact *facts,
                    size_t n)
{
    static uint64_t txn = 100;

    ipc_begin(&w->out, IPC_N_COMPOSE, ++txn);
    ipc_put_u64(&w->out, TAG_ID, 4242);
    ipc_put_u64(&w->out, TAG_NOTICE, kind);
    ipc_put_text(&w->out, TAG_SENDER, SV(sender));
    ipc_put_text(&w->out, TAG_ORIGIN, SV("notice/00000000004CJ/0/failure"));
    ipc_put_u64(&w->out, TAG_ARRIVAL, 1700000000000);
    for (size_t i = 0; i < n; i++) {
        const struct fact *f = &facts[i];

        ipc_group_begin(&w->out, TAG_RCPT);
        ipc_put_text(&w->out, TAG_RCPT, SV(f->rcpt));
        if (f->original)
            ipc_put_text(&w->out, TAG_ORIGINAL, SV(f->original));
        if (f->orcpt)
            ipc_put_text(&w->out, TAG_ORCPT, SV(f->orcpt));
        ipc_put_u64(&w->out, TAG_OUTCOME, kind == NOTICE_DELAY ? OUTCOME_DEFERRED : OUTCOME_FAILED);
        if (f->enhanced)
            ipc_put_text(&w->out, TAG_ENHANCED, SV(f->enhanced));
        if (f->reply)
            ipc_put_text(&w->out, TAG_REPLY, SV(f->reply));
        if (f->relay)
            ipc_put_text(&w->out, TAG_RELAY, SV(f->relay));
        ipc_put_u64(&w->out, TAG_REMOTE, f->remote);
        if (f->text)
            ipc_put_text(&w->out, TAG_TEXT, SV(f->text));
        ipc_put_u64(&w->out, TAG_LAST_ATTEMPT, 1700000100000);
        if (kind == NOTICE_DELAY)
            ipc_put_u64(&w->out, TAG_RETRY_UNTIL, 1700300000000);
        ipc_group_end(&w->out);
    }
    ipc_put_bytes(&w->out, TAG_HEADER,
                  SV("From: Bob <bob@own.test>\r\nTo: x@far.test\r\nSubject: the original\r\n"
                     "Message-ID: <original@own.test>\r\n"));
    put_whole(w);
    channel_send(w->queued, &w->out);
    world_turn(w);
}

static void keep_for_python(const struct stored *s, const char *name)
{
    const char *to = getenv("MANSIO_NOTICE_DIR");
    char path[512];
    FILE *f;

    if (!to)
        return;
    snprintf(path, sizeof path, "%s/%s.eml", to, name);
    f = fopen(path, "w");
    assert_non_null(f);
    fwrite(s->header.data, 1, s->header.len, f);
    fputs("\r\n", f);
    fwrite(s->body.data, 1, s->body.len, f);
    fclose(f);
}

static const struct fact failures[] = {
    { "x@far.test", NULL, NULL, "5.1.1", "550 5.1.1 <x@far.test>: no such user\\nsecond line",
      "mx.far.test[192.0.2.9]:25", true, NULL },
    { "y@far.test", "team@own.test", NULL, "4.4.2", "connection lost after RCPT TO", NULL, false, NULL },
    { "z@far.test", "list@own.test", "rfc822;list@own.test", NULL, NULL, NULL, false, NULL },
};

static void failure(void **state)
{
    struct world *w = *state;
    struct stored *s = &w->stored[0];
    const char *body;

    compose(w, "bob@own.test", NOTICE_FAILURE, failures, COUNT(failures));
    assert_int_equal(w->stored_n, 1);
    assert_true(s->submitted);
    expect_text("the null sender", buf_view(&s->sender), "");
    expect_text("to the sender", buf_view(&s->rcpts), "bob@own.test*");
    expect_text("origin", buf_view(&s->words), "origin=notice/00000000004CJ/0/failure ");
    assert_int_equal(w->failed, 0);
    assert_int_equal(w->cl.live, 0);
    assert_true(strv_starts(buf_view(&s->header), SV("Received: by mx.own.test id ")));
    body = buf_cstr(&s->body);
    assert_non_null(strstr(body, "Reporting-MTA: dns; mx.own.test\r\n"));
    assert_non_null(strstr(body, "Final-Recipient: rfc822; x@far.test\r\n"));
    assert_non_null(strstr(body, "Remote-MTA: dns; mx.far.test\r\n"));
    assert_non_null(strstr(body, "second line"));
    assert_null(strstr(body, "\\n"));
    assert_non_null(strstr(body, "connection lost after RCPT TO"));
    assert_non_null(strstr(body, "Subject: the original\r\n"));
    keep_for_python(s, "failure");
}

/* Time ran out: said for humans, while the peer's last words stay the diagnostic. */
static void expiry(void **state)
{
    static const struct fact facts[] = {
        { "x@far.test", NULL, NULL, "4.2.0", "450 4.2.0 busy", "mx.far.test[192.0.2.9]:25", true,
          "not delivered within 4 days: the time for delivery has expired" },
    };
    struct world *w = *state;
    const char *body;

    compose(w, "bob@own.test", NOTICE_FAILURE, facts, 1);
    assert_int_equal(w->stored_n, 1);
    body = buf_cstr(&w->stored[0].body);
    assert_non_null(strstr(body, "    not delivered within 4 days: the time for delivery has expired\r\n"));
    assert_non_null(strstr(body, "mx.far.test said:\r\n    450 4.2.0 busy\r\n"));
    assert_non_null(strstr(body, "Action: failed\r\nStatus: 4.2.0\r\n"));
    assert_non_null(strstr(body, "Diagnostic-Code: smtp; 450 4.2.0 busy\r\n"));
    assert_non_null(strstr(body, "Last-Attempt-Date: Tue, 14 Nov 2023 22:15:00 +0000\r\n"));
}

static void delay(void **state)
{
    static const struct fact facts[] = {
        { "x@far.test", NULL, NULL, "4.4.1", "connect to mx.far.test[192.0.2.9]:25: timed out", NULL, false,
          NULL },
    };
    struct world *w = *state;

    compose(w, "bob@own.test", NOTICE_DELAY, facts, 1);
    assert_int_equal(w->stored_n, 1);
    assert_non_null(strstr(buf_cstr(&w->stored[0].body), "Action: delayed\r\n"));
    assert_non_null(strstr(buf_cstr(&w->stored[0].body), "Will-Retry-Until: "));
    keep_for_python(&w->stored[0], "delay");
}

static const struct {
    const char *name, *sender, *rcpts;
} places[] = {
    { "a sender elsewhere", "x@far.test", "x@far.test" },
    { "an alias", "both@own.test", "bob@own.test*(both@own.test) alice@own.test*(both@own.test)" },
    { "a sender who does not exist", "nobody@own.test", "nobody@own.test*" },
    { "a sender who is /dev/null", "null@own.test", "null@own.test*" },
    { "what is no address goes to postmaster", "no address", "postmaster@own.test*(postmaster)" },
};

static void where_it_goes(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < COUNT(places); i++) {
        compose(w, places[i].sender, NOTICE_FAILURE, failures, 1);
        assert_int_equal(w->stored_n, i + 1);
        expect_text(places[i].name, buf_view(&w->stored[i].rcpts), places[i].rcpts);
        assert_int_equal(w->cl.live, 0);
    }
    assert_int_equal(w->failed, 0);
}

static void could_not_now(void **state)
{
    struct world *w = *state;

    w->mapd_fails = true;
    compose(w, "bob@own.test", NOTICE_FAILURE, failures, 1);
    assert_int_equal(w->failed, 1);
    assert_string_equal(w->failed_origin, "notice/00000000004CJ/0/failure");
    assert_int_equal(w->stored_n, 0);
    w->mapd_fails = false;
    w->verdict = VERDICT_TEMPFAIL;
    compose(w, "bob@own.test", NOTICE_FAILURE, failures, 1);
    assert_int_equal(w->failed, 2);
    assert_int_equal(w->cl.live, 0);
}

/* queued will ask again: nothing of the old requests may reach the new one. */
static void queued_lost_with_notices(void **state)
{
    struct world *w = *state;

    w->mapd_silent = true;
    compose(w, "bob@own.test", NOTICE_FAILURE, failures, 1);
    w->mapd_silent = false;
    w->hold = true;
    compose(w, "bob@own.test", NOTICE_FAILURE, failures, 1);
    assert_int_equal(w->cl.live, 2);
    assert_int_equal(w->stored_n, 1);
    channel_free(&w->queued);
    world_turn(w);
    assert_int_equal(w->cl.live, 0);
    w->hold = false;
    world_join_queued(w);
    world_turn(w);
    assert_int_equal(w->stored_n, 1);
    assert_int_equal(w->failed, 0);
}

static void no_recipients(void **state)
{
    struct world *w = *state;

    compose(w, "bob@own.test", NOTICE_FAILURE, failures, 0);
    assert_int_equal(w->failed, 1);
    assert_int_equal(w->stored_n, 0);
}

/* Words of a peer as long as the frame permits. */
static void long_words(void **state)
{
    static char words[16000], rcpt[200] = "x@far.test";
    struct fact facts[3];
    struct world *w = *state;

    memset(words, 'w', sizeof words - 1);
    for (size_t i = 3; i < sizeof words - 1; i += 7)
        words[i] = ' ';
    memcpy(words, "550 ", 4);
    for (size_t i = 0; i < COUNT(facts); i++)
        facts[i] = (struct fact){ rcpt, NULL, NULL, "5.0.0", words, "mx[192.0.2.9]:25", true, NULL };
    compose(w, "bob@own.test", NOTICE_FAILURE, facts, COUNT(facts));
    assert_int_equal(w->stored_n, 1);
    assert_true(w->stored[0].submitted);
    assert_int_equal(w->stored[0].body.len, w->stored[0].body_size);
    keep_for_python(&w->stored[0], "long");
}

/* ---- a message that is returned whole ---- */

#define LARGE (3u << 20)

static const char returned[] = "From: bob@own.test\r\nX-Whole: yes\r\n\r\n";

static char *large_body(void)
{
    char *body = malloc(LARGE);

    assert_non_null(body);
    for (size_t i = 0; i < LARGE; i++)
        body[i] = i % 72 == 70 ? '\r' : i % 72 == 71 ? '\n' : i == 100000 ? '\0' : (char)('!' + i % 90);
    return body;
}

static void large_bodies_pass_in_pieces(void **state)
{
    struct world *w = *state;
    struct stored *s = &w->stored[0];
    char *body = large_body(), *at;
    struct header_field type;
    struct strv boundary;
    char end[128];
    size_t quote;

    whole.message = returned;
    whole.body = strv_make(body, LARGE);
    compose(w, "bob@own.test", NOTICE_FAILURE, failures, 1);
    assert_int_equal(w->stored_n, 1);
    assert_true(s->submitted);
    assert_int_equal(s->body_size, s->body.len);
    assert_true(s->frames > LARGE / IPC_CHUNK_MAX);
    assert_int_equal(w->cl.live, 0);
    at = strstr(buf_cstr(&s->body), "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
                                    "From: bob@own.test\r\nX-Whole: yes\r\n\r\n");
    assert_non_null(at);
    at = strstr(at, "X-Whole: yes\r\n\r\n") + 16;
    body[100000] = '?';
    assert_memory_equal(at, body, LARGE);
    assert_true(header_find(buf_view(&s->header), "Content-Type", &type));
    assert_true(strv_find(type.value, '"', &quote));
    boundary = strv_from(type.value, quote + 1);
    boundary.n = strlen("=_0123456789abcdef0123456789abcdef");
    snprintf(end, sizeof end, "\r\n--%.*s--\r\n", (int)boundary.n, boundary.p);
    assert_string_equal(at + LARGE, end);
    free(body);
}

/* As much waits as credit allows, and goes with the channel. */
static void a_large_body_waits_for_credit(void **state)
{
    struct world *w = *state;
    char *body = large_body();

    w->no_credit = true;
    whole.message = returned;
    whole.body = strv_make(body, LARGE);
    compose(w, "bob@own.test", NOTICE_FAILURE, failures, 1);
    assert_int_equal(w->stored_n, 1);
    assert_false(w->stored[0].submitted);
    assert_true(w->stored[0].body.len < 1u << 20);
    assert_int_equal(w->cl.live, 1);
    free(body);
    world_join_queued(w);
    world_turn(w);
    assert_int_equal(w->cl.live, 0);
}

/* The file is shorter than was said: nothing half is sent, queued asks again. */
static void a_body_that_ends_early_is_no_notice(void **state)
{
    struct world *w = *state;
    char *body = large_body();

    whole.message = returned;
    whole.body = strv_make(body, LARGE);
    whole.missing = 1;
    compose(w, "bob@own.test", NOTICE_FAILURE, failures, 1);
    assert_int_equal(w->failed, 1);
    assert_false(w->stored[0].submitted);
    assert_true(w->stored[0].aborted);
    assert_int_equal(w->cl.live, 0);
    free(body);
}

static int forget_whole(void **state)
{
    memset(&whole, 0, sizeof whole);
    return world_teardown(state);
}

#define WHOLE(fn) cmocka_unit_test_setup_teardown(fn, world_setup, forget_whole)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD(failure),
        WORLD(expiry),
        WORLD(delay),
        WORLD(where_it_goes),
        WORLD(could_not_now),
        WORLD(queued_lost_with_notices),
        WORLD(no_recipients),
        WORLD(long_words),
        WHOLE(large_bodies_pass_in_pieces),
        WHOLE(a_large_body_waits_for_credit),
        WHOLE(a_body_that_ends_early_is_no_notice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
