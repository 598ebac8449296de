/* test_again.c - messages of the queue that an operator sends through cleanup again */
#include "tests/unit/cleanup/peers.h"

#include "common/os/fd.h"

#include <sys/mman.h>

#define SHORT "Received: from a by b; x\r\nSubject: hello\r\n\r\nbody\r\n"

/* Recipients "k" (as it is) or "t" (by tables), "l" or "r", ":", address, perhaps "=" and what the sender
   calls it. barred: "l" or "r", address, each ended by a line feed and NUL. */
static void put_rcpts(struct world *w, const char *rcpts)
{
    struct strv rest = SV(rcpts), word, to;

    while (strv_word(&rest, &word)) {
        bool keep = word.p[0] == 'k', local = word.p[1] == 'l';

        word = strv_from(word, 3);
        assert_true(strv_cut(&word, '=', &to));
        ipc_group_begin(&w->out, TAG_RCPT);
        ipc_put_text(&w->out, TAG_RCPT, to);
        ipc_put_u64(&w->out, TAG_KIND, keep ? REQUEUE_KEEP : REQUEUE_RESOLVE);
        ipc_put_u64(&w->out, TAG_LOCAL, local);
        ipc_put_text(&w->out, TAG_ORIGINAL, word.p ? word : to);
        ipc_group_end(&w->out);
    }
}

/* Its number is 5. whole: no frame with more recipients follows. */
static void again_begin(struct world *w, const char *sender, const char *rcpts, struct strv barred,
                        uint64_t short_by, bool whole)
{
    int fd = memfd_create("test", MFD_CLOEXEC);

    assert_true(fd_write_full(fd, SHORT, strlen(SHORT) - short_by));
    assert_true(fd_write_full(fd, barred.p, barred.n));
    ipc_begin(&w->out, IPC_N_REQUEUE, 5);
    ipc_put_u64(&w->out, TAG_ID, 77);
    ipc_put_text(&w->out, TAG_ORIGIN, SV("requeue/000000000002D/0"));
    ipc_put_text(&w->out, TAG_SENDER, SV(sender));
    ipc_put_u64(&w->out, TAG_ARRIVAL, 1);
    put_rcpts(w, rcpts);
    if (!whole)
        ipc_put_u64(&w->out, TAG_LAST, 0);
    ipc_put_u64(&w->out, TAG_SIZE, strlen(SHORT));
    ipc_put_u64(&w->out, TAG_COUNT, barred.n);
    ipc_put_fd(&w->out, fd);
    buf_reset(&w->forwarded);
    buf_reset(&w->left);
    channel_send(w->queued, &w->out);
    world_turn(w);
}

static void again_more(struct world *w, const char *rcpts, bool last)
{
    ipc_begin(&w->out, IPC_N_REQUEUE_RCPTS, 5);
    put_rcpts(w, rcpts);
    if (!last)
        ipc_put_u64(&w->out, TAG_LAST, 0);
    channel_send(w->queued, &w->out);
    world_turn(w);
}

static void again(struct world *w, const char *sender, const char *rcpts, struct strv barred,
                  uint64_t short_by)
{
    again_begin(w, sender, rcpts, barred, short_by, true);
}

static void it_passes_unchanged(void **state)
{
    struct world *w = *state;
    struct stored *s = &w->stored[0];

    again(w, "s@far.test", "tl:both@own.test kr:x@far.test=team@own.test tr:y@far.test", SV(""), 0);
    assert_int_equal(w->stored_n, 1);
    expect_text("sender", buf_view(&s->sender), "s@far.test");
    expect_text("header", buf_view(&s->header), "Received: from a by b; x\r\nSubject: hello\r\n");
    expect_text("body", buf_view(&s->body), "body\r\n");
    expect_text("words", buf_view(&s->words), "origin=requeue/000000000002D/0 ");
    /* Kept ones at once, those of tables when they are found. */
    expect_text("rcpts", buf_view(&s->rcpts),
                "x@far.test(team@own.test) y@far.test bob@own.test*(both@own.test) "
                "alice@own.test*(both@own.test)");
    expect_text("forwarded", buf_view(&w->forwarded), "0  ");
}

/* One of two addresses may lead elsewhere next time: each is kept. */
static void every_way_to_one_is_kept(void **state)
{
    struct world *w = *state;

    again(w, "s@far.test", "tl:both@own.test tl:bob@own.test tl:both@own.test tl:Alice@own.test", SV(""), 0);
    expect_text("rcpts", buf_view(&w->stored[0].rcpts),
                "bob@own.test*(+both@own.test) Alice@own.test*(+both@own.test)");
    again(w, "s@far.test",
          "kl:bob@own.test=a@x kl:bob@own.test=b@x kl:bob@own.test=c@x kl:bob@own.test=d@x "
          "kl:bob@own.test=e@x kl:bob@own.test=f@x kl:bob@own.test=g@x kl:bob@own.test=h@x "
          "kl:bob@own.test=i@x kl:bob@own.test=j@x kl:bob@own.test=k@x kl:bob@own.test=b@x",
          SV(""), 0);
    expect_text("rcpts", buf_view(&w->stored[1].rcpts),
                "bob@own.test*(a@x)(+*)(+i@x)(+h@x)(+g@x)(+f@x)(+e@x)(+d@x)(+c@x)(+b@x)");
}

static void who_has_it_gets_none(void **state)
{
    struct world *w = *state;
    static const char barred[] = "lBob@own.test\n\0ry@far.test\n";

    again(w, "s@far.test", "tl:both@own.test tr:y@far.test", strv_make(barred, sizeof barred), 0);
    assert_int_equal(w->stored_n, 1);
    expect_text("rcpts", buf_view(&w->stored[0].rcpts), "alice@own.test*(both@own.test)");
    expect_text("left", buf_view(&w->left), "0 y@far.test y@far.test|0 bob@own.test both@own.test");
    /* Nobody is left: nothing is stored, and queued hears that it is over. */
    again(w, "s@far.test", "tr:y@far.test tl:null@own.test", strv_make(barred, sizeof barred), 0);
    assert_int_equal(w->stored_n, 1);
    expect_text("forwarded", buf_view(&w->forwarded), "0  ");
    expect_text("left", buf_view(&w->left), "0 y@far.test y@far.test|1 null@own.test null@own.test");
    /* Twice barred, told once. */
    again(w, "s@far.test", "kr:y@far.test=a@x kr:y@far.test=b@x", strv_make(barred, sizeof barred), 0);
    expect_text("left", buf_view(&w->left), "0 y@far.test a@x");
    /* What is no list of addresses is no message to be sent. */
    again(w, "s@far.test", "tr:z@far.test", strv_make("ry@far.test", 12), 0);
    assert_int_equal(w->stored_n, 1);
    assert_true(strv_starts(buf_view(&w->forwarded), SV("2 4.3.0 ")));
}

#define MANY 600u

static void many_make(struct buf *out, unsigned from, unsigned n)
{
    buf_reset(out);
    for (unsigned i = from; i < from + n; i++)
        buf_addf(out, "tl:both+%u@own.test kr:r%u@far.test ", i, i % 150);
}

/* However many frames they come in: one message, each once. */
static void many_are_one_message(void **state)
{
    struct world *w = *state;
    struct buf rcpts;
    struct strv rest, word;
    unsigned n = 0;

    buf_init(&rcpts, 1u << 20);
    /* Tables are not asked for all at once. */
    w->mapd_silent = true;
    many_make(&rcpts, 0, 100);
    again_begin(w, "s@far.test", buf_cstr(&rcpts), SV(""), 0, false);
    assert_int_equal(w->asked, 100);
    for (unsigned i = 100; i < MANY; i += 100) {
        many_make(&rcpts, i, 100);
        again_more(w, buf_cstr(&rcpts), i + 100 == MANY);
    }
    assert_true(w->asked == 200 && w->stored_n == 0 && w->forwarded.len == 0);
    world_join_queued(w);
    world_turn(w);
    assert_int_equal(w->cl.live, 0);
    /* What is left of one that is gone is nobody's. */
    again_more(w, "kr:x@far.test", true);
    assert_true(w->stored_n == 0 && w->cl.live == 0 && w->queued);
    w->mapd_silent = false;
    many_make(&rcpts, 0, 100);
    again_begin(w, "s@far.test", buf_cstr(&rcpts), SV(""), 0, false);
    for (unsigned i = 100; i < MANY; i += 100) {
        assert_int_equal(w->stored_n, 0);
        many_make(&rcpts, i, 100);
        again_more(w, buf_cstr(&rcpts), i + 100 == MANY);
    }
    for (int i = 0; i < 100 && !w->stored_n; i++)
        world_turn(w);
    assert_int_equal(w->stored_n, 1);
    for (rest = buf_view(&w->stored[0].rcpts); strv_word(&rest, &word); n++)
        ;
    assert_int_equal(n, 152);
    expect_text("forwarded", buf_view(&w->forwarded), "0  ");
    /* One that is refused in between hears of it at the end. */
    again_begin(w, "s@far.test", "tl:nobody@own.test", SV(""), 0, false);
    assert_int_equal(w->forwarded.len, 0);
    again_more(w, "kr:x@far.test", true);
    assert_true(strv_starts(buf_view(&w->forwarded), SV("1 5.1.1 nobody@own.test")));
    assert_true(w->stored_n == 1 && w->cl.live == 0);
    buf_clear(&rcpts);
}

static void a_refusal_refuses_all(void **state)
{
    static const struct {
        const char *sender, *rcpts, *want;
    } rows[] = {
        { "s@far.test", "kr:x@far.test tl:nobody@own.test", "1 5.1.1 nobody@own.test: " },
        { "s@far.test", "kr:x@far.test tl:a@b@c", "1 5.1.3 a@b@c: " },
        { "a@b@c", "kr:x@far.test", "1 5.1.7 a@b@c: " },
    };
    struct world *w = *state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        again(w, rows[i].sender, rows[i].rcpts, SV(""), 0);
        assert_int_equal(w->stored_n, 0);
        if (!strv_starts(buf_view(&w->forwarded), SV(rows[i].want)))
            fail_msg("row %zu: %s", i, buf_cstr(&w->forwarded));
    }
    w->mapd_fails = true;
    again(w, "s@far.test", "tl:bob@own.test", SV(""), 0);
    assert_true(strv_starts(buf_view(&w->forwarded), SV("2 4.3.0 bob@own.test: ")));
    w->mapd_fails = false;
    /* A descriptor with less in it than was said. */
    again(w, "s@far.test", "kr:x@far.test", SV(""), 3);
    assert_true(strv_starts(buf_view(&w->forwarded), SV("2 4.3.0 ")));
    assert_int_equal(w->stored_n, 0);
    /* queued has no room. */
    w->verdict = VERDICT_TEMPFAIL;
    again(w, "s@far.test", "kr:x@far.test", SV(""), 0);
    assert_true(strv_starts(buf_view(&w->forwarded), SV("2 ")));
    assert_int_equal(w->cl.live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD(it_passes_unchanged),
        WORLD(every_way_to_one_is_kept),
        WORLD(who_has_it_gets_none),
        WORLD(many_are_one_message),
        WORLD(a_refusal_refuses_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
