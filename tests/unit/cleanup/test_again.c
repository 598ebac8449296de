/* test_again.c - messages of the queue that an operator sends through cleanup again */
#include "tests/unit/cleanup/peers.h"

#include "common/os/fd.h"

#include <sys/mman.h>

#define SHORT "Received: from a by b; x\r\nSubject: hello\r\n\r\nbody\r\n"

/* Recipients "k" (as it is) or "t" (by tables), "l" or "r", ":", address, perhaps "=" and what the sender
   calls it. barred: "l" or "r", address, each ended by a line feed and NUL. */
static void again(struct world *w, const char *sender, const char *rcpts, struct strv barred,
                  uint64_t short_by)
{
    struct strv rest = SV(rcpts), word, to;
    int fd = memfd_create("test", MFD_CLOEXEC);

    assert_true(fd_write_full(fd, SHORT, strlen(SHORT) - short_by));
    assert_true(fd_write_full(fd, barred.p, barred.n));
    ipc_begin(&w->out, IPC_N_REQUEUE, 5);
    ipc_put_u64(&w->out, TAG_ID, 77);
    ipc_put_text(&w->out, TAG_ORIGIN, SV("requeue/000000000002D/0"));
    ipc_put_text(&w->out, TAG_SENDER, SV(sender));
    ipc_put_u64(&w->out, TAG_ARRIVAL, 1);
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
    ipc_put_u64(&w->out, TAG_SIZE, strlen(SHORT));
    ipc_put_u64(&w->out, TAG_COUNT, barred.n);
    ipc_put_fd(&w->out, fd);
    buf_reset(&w->forwarded);
    channel_send(w->queued, &w->out);
    world_turn(w);
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
    /* Nobody is left: nothing is stored, and queued hears that it is over. */
    again(w, "s@far.test", "tr:y@far.test tl:null@own.test", strv_make(barred, sizeof barred), 0);
    assert_int_equal(w->stored_n, 1);
    expect_text("forwarded", buf_view(&w->forwarded), "0  ");
    /* What is no list of addresses is no message to be sent. */
    again(w, "s@far.test", "tr:z@far.test", strv_make("ry@far.test", 12), 0);
    assert_int_equal(w->stored_n, 1);
    assert_true(strv_starts(buf_view(&w->forwarded), SV("2 4.3.0 ")));
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
        WORLD(a_refusal_refuses_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
