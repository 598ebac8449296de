/* test_stream.c - one connection: echo, half close, deadlines, bounds, pause, connect, last words */
#include "tests/support/unit.h"

#include "common/base/clock.h"
#include "common/net/loop.h"
#include "common/net/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

struct side {
    struct stream *s;
    struct buf got;
    unsigned input_calls, drained, connected, ended;
    enum stream_end how;
    int sys;
    bool echo, hold, pause_after; /* what input does */
    size_t leave;                 /* bytes that input leaves unconsumed at most */
    bool free_in_input;
    int64_t close_in_input; /* ms of stream_close_after_output; 0 = no */
    const char *say;        /* written before that */
};

struct world {
    struct loop *loop;
    struct side side;
    int peer;
};

static void on_input(void *arg, struct stream *s)
{
    struct side *d = arg;
    struct strv v = stream_input(s);

    d->input_calls++;
    if (d->hold)
        return;
    if (v.n <= d->leave)
        return;
    v.n -= d->leave;
    buf_addv(&d->got, v);
    if (d->echo)
        stream_write(s, v.p, v.n);
    stream_consume(s, v.n);
    if (d->pause_after)
        stream_pause(s);
    if (d->say)
        stream_write(s, d->say, strlen(d->say));
    if (d->close_in_input)
        stream_close_after_output(&d->s, d->close_in_input);
    if (d->free_in_input)
        stream_free(&d->s);
}

static void on_drained(void *arg, struct stream *s)
{
    (void)s;
    ((struct side *)arg)->drained++;
}

static void on_connected(void *arg, struct stream *s)
{
    (void)s;
    ((struct side *)arg)->connected++;
}

static void on_ended(void *arg, struct stream *s, enum stream_end how, int sys)
{
    struct side *d = arg;

    assert_ptr_equal(s, d->s);
    d->ended++;
    d->how = how;
    d->sys = sys;
    stream_free(&d->s);
}

static const struct stream_ops ops = {
    .input = on_input, .drained = on_drained, .connected = on_connected, .ended = on_ended
};

static int set_up(void **state)
{
    static struct world w;

    w = (struct world){ .loop = loop_new(), .peer = -1 };
    buf_init(&w.side.got, 64u << 20);
    *state = &w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    stream_free(&w->side.s);
    buf_clear(&w->side.got);
    if (w->peer >= 0)
        close(w->peer);
    for (int i = 0; i < 20; i++) /* what lingers sees the end */
        loop_once(w->loop, 0);
    loop_free(&w->loop);
    clock_fake(NULL, NULL);
    return 0;
}

static void open_pair(struct world *w)
{
    int s[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, s), 0);
    w->side.s = stream_new(w->loop, s[0], &ops, &w->side);
    w->peer = s[1];
}

static void run(struct world *w)
{
    for (int i = 0; i < 5; i++)
        loop_once(w->loop, 0);
}

static void peer_says(struct world *w, const char *text)
{
    assert_int_equal(send(w->peer, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
    run(w);
}

/* What the peer can read now, as text. */
static const char *peer_hears(struct world *w)
{
    static char text[1000];
    ssize_t n = recv(w->peer, text, sizeof text - 1, MSG_DONTWAIT);

    text[n > 0 ? n : 0] = '\0';
    return text;
}

static bool peer_sees_end(struct world *w)
{
    char c;

    return recv(w->peer, &c, 1, MSG_DONTWAIT) == 0;
}

static void echo_comes_back(void **state)
{
    struct world *w = *state;

    open_pair(w);
    w->side.echo = true;
    peer_says(w, "hello");
    assert_string_equal(peer_hears(w), "hello");
    peer_says(w, " again");
    assert_string_equal(peer_hears(w), " again");
    assert_int_equal(w->side.drained, 2);
    assert_int_equal(stream_bytes_in(w->side.s), 11);
    assert_int_equal(stream_bytes_out(w->side.s), 11);
}

static void several_writes_make_one_send(void **state)
{
    struct world *w = *state;
    int queued = 0;

    open_pair(w);
    stream_write(w->side.s, "one", 3);
    assert_int_equal(ioctl(w->peer, FIONREAD, &queued), 0);
    assert_int_equal(queued, 0); /* nothing leaves before the end of the iteration */
    buf_adds(stream_out(w->side.s), "two");
    stream_flush(w->side.s);
    assert_int_equal(stream_unsent(w->side.s), 6);
    run(w);
    assert_string_equal(peer_hears(w), "onetwo");
    assert_int_equal(w->side.drained, 1);
}

static void leftovers_stay_in_order(void **state)
{
    struct world *w = *state;

    open_pair(w);
    w->side.leave = 3;
    peer_says(w, "abcdef");
    assert_string_equal(buf_cstr(&w->side.got), "abc");
    peer_says(w, "ghi");
    assert_string_equal(buf_cstr(&w->side.got), "abcdef");
    assert_true(strv_is(stream_input(w->side.s), "ghi"));
    stream_consume(w->side.s, 1); /* outside a callback */
    assert_true(strv_is(stream_input(w->side.s), "hi"));
    run(w);
    assert_true(strv_is(stream_input(w->side.s), "hi"));
    w->side.leave = 0;
    peer_says(w, "j");
    assert_string_equal(buf_cstr(&w->side.got), "abcdefhij");
}

static void pause_holds_bytes_and_resume_brings_them(void **state)
{
    struct world *w = *state;

    open_pair(w);
    w->side.leave = 2;
    w->side.pause_after = true;
    peer_says(w, "12345");
    assert_string_equal(buf_cstr(&w->side.got), "123");
    peer_says(w, "678");
    assert_int_equal(w->side.input_calls, 1);
    w->side.leave = 0;
    w->side.pause_after = false;
    stream_resume(w->side.s);
    assert_int_equal(w->side.input_calls, 1); /* not inside resume */
    run(w);
    assert_string_equal(buf_cstr(&w->side.got), "12345678");
}

static void read_ahead_is_bounded(void **state)
{
    struct world *w = *state;
    static char big[100000];
    ssize_t sent = 0, n;

    open_pair(w);
    stream_set_input_max(w->side.s, 1000);
    w->side.hold = true;
    while ((n = send(w->peer, big, sizeof big, MSG_NOSIGNAL)) > 0)
        sent += n;
    for (int i = 0; i < 50; i++)
        run(w);
    assert_int_equal(stream_input(w->side.s).n, 1000);
    w->side.hold = false;
    stream_consume(w->side.s, 1000);
    while (stream_bytes_in(w->side.s) < (uint64_t)sent)
        loop_once(w->loop, 1000);
    assert_int_equal(w->side.got.len, (size_t)sent - 1000);
}

static void half_close_waits_for_the_paused(void **state)
{
    struct world *w = *state;

    open_pair(w);
    w->side.pause_after = true;
    w->side.leave = 5;
    peer_says(w, "MAIL QUIT\n");
    shutdown(w->peer, SHUT_WR);
    run(w);
    assert_int_equal(w->side.ended, 0);
    stream_write(w->side.s, "250", 3);
    w->side.leave = 0;
    w->side.pause_after = false;
    stream_resume(w->side.s);
    run(w);
    assert_string_equal(buf_cstr(&w->side.got), "MAIL QUIT\n");
    assert_string_equal(peer_hears(w), "250");
    assert_int_equal(w->side.ended, 1);
    assert_int_equal(w->side.how, STREAM_EOF);
}

static void end_behind_an_unfinished_line_is_told(void **state)
{
    struct world *w = *state;

    open_pair(w);
    w->side.hold = true;
    peer_says(w, "QUI");
    assert_int_equal(w->side.ended, 0);
    close(w->peer);
    w->peer = -1;
    run(w);
    assert_int_equal(w->side.ended, 1);
    assert_int_equal(w->side.how, STREAM_EOF);
}

static int64_t now_ms;

static int64_t fake_mono(void)
{
    return now_ms;
}

static void deadline_ends_the_stream_unless_moved(void **state)
{
    struct world *w = *state;

    now_ms = 1000;
    clock_fake(fake_mono, NULL);
    open_pair(w);
    stream_deadline(w->side.s, 100);
    now_ms += 99;
    run(w);
    stream_deadline(w->side.s, 100);
    now_ms += 99;
    run(w);
    stream_deadline(w->side.s, 0);
    now_ms += 100000;
    run(w);
    assert_int_equal(w->side.ended, 0);
    stream_deadline(w->side.s, 100);
    now_ms += 100;
    run(w);
    assert_int_equal(w->side.ended, 1);
    assert_int_equal(w->side.how, STREAM_TIMEOUT);
}

static void big_output(struct world *w, bool half_closed)
{
    enum { BIG = 5000000 };
    char *big = malloc(BIG), *back = malloc(BIG);
    size_t n = 0;

    for (int i = 0; i < BIG; i++)
        big[i] = (char)((unsigned)i * 2654435761u >> 24);
    open_pair(w);
    stream_write(w->side.s, big, BIG);
    if (half_closed)
        shutdown(w->peer, SHUT_WR);
    run(w);
    assert_true(stream_unsent(w->side.s) > 0);
    assert_int_equal(w->side.drained, 0);
    while (n < BIG) {
        ssize_t r = recv(w->peer, back + n, BIG - n, MSG_DONTWAIT);

        if (r > 0)
            n += (size_t)r;
        else if (r == 0)
            fail_msg("cut off after %zu bytes", n);
        else
            loop_once(w->loop, 1000);
    }
    run(w);
    assert_memory_equal(big, back, BIG);
    assert_int_equal(w->side.drained, 1);
    assert_int_equal(w->side.ended, half_closed);
    free(big);
    free(back);
}

static void big_output_arrives_whole(void **state)
{
    big_output(*state, false);
}

static void output_leaves_before_the_end_is_told(void **state)
{
    big_output(*state, true);
}

static void output_that_nobody_takes_overflows(void **state)
{
    struct world *w = *state;
    static char chunk[100000];

    open_pair(w);
    for (int i = 0; i < 200 && !w->side.ended; i++) {
        stream_write(w->side.s, chunk, sizeof chunk);
        loop_once(w->loop, 0);
    }
    run(w);
    assert_int_equal(w->side.ended, 1);
    assert_int_equal(w->side.how, STREAM_OVERFLOW);
}

static void last_words_are_sent_then_the_close(void **state)
{
    struct world *w = *state;

    open_pair(w);
    w->side.say = "221 bye\r\n";
    w->side.close_in_input = 10000;
    peer_says(w, "QUIT\r\n");
    assert_null(w->side.s);
    assert_string_equal(peer_hears(w), "221 bye\r\n");
    assert_true(peer_sees_end(w));
    close(w->peer);
    w->peer = -1;
    run(w);
    assert_int_equal(w->side.ended, 0);
}

static void linger_gives_up_after_its_time(void **state)
{
    struct world *w = *state;

    now_ms = 1000;
    clock_fake(fake_mono, NULL);
    open_pair(w);
    w->side.say = "421 too slow\r\n";
    w->side.close_in_input = 500;
    peer_says(w, "x");
    peer_says(w, "and so on");
    now_ms += 499;
    run(w);
    assert_int_equal(send(w->peer, "x", 1, MSG_NOSIGNAL), 1);
    now_ms += 1;
    run(w);
    assert_int_equal(send(w->peer, "x", 1, MSG_NOSIGNAL), -1);
}

static void freeing_in_callbacks_is_safe(void **state)
{
    struct world *w = *state;

    open_pair(w);
    w->side.free_in_input = true;
    w->side.echo = true;
    peer_says(w, "x");
    assert_null(w->side.s);
    assert_int_equal(w->side.ended, 0);
    assert_true(peer_sees_end(w));
}

/* ---- TCP ---- */

static int listen_local(struct netaddr *at, int backlog)
{
    struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t n = sizeof sin;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof sin), 0);
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &n), 0);
    assert_true(netaddr_from_sockaddr((struct sockaddr *)&sin, n, at));
    return fd;
}

static void run_until(struct world *w, const unsigned *what)
{
    for (int i = 0; i < 500 && !*what; i++)
        loop_once(w->loop, 10);
    assert_true(*what > 0);
}

static void connect_works_and_writes_early(void **state)
{
    struct world *w = *state;
    struct netaddr to, from = { .family = AF_INET, .ip = { 127, 0, 0, 2 } }, local;
    int l = listen_local(&to, 5);

    w->side.s = stream_connect(w->loop, &to, &from, 5000, &ops, &w->side);
    assert_non_null(w->side.s);
    assert_int_equal(w->side.connected, 0);
    stream_write(w->side.s, "EHLO", 4);
    run_until(w, &w->side.connected);
    w->peer = accept(l, NULL, NULL);
    run(w);
    assert_string_equal(peer_hears(w), "EHLO");
    assert_true(netaddr_eq_ip(stream_peer(w->side.s), &to));
    assert_true(stream_local(w->side.s, &local) && netaddr_eq_ip(&local, &from));
    close(l);
}

static void connect_refused_is_an_error_from_the_loop(void **state)
{
    struct world *w = *state;
    struct netaddr to;
    int l = listen_local(&to, 5);

    close(l);
    w->side.s = stream_connect(w->loop, &to, NULL, 5000, &ops, &w->side);
    assert_int_equal(w->side.ended, 0);
    run_until(w, &w->side.ended);
    assert_int_equal(w->side.how, STREAM_ERROR);
    assert_int_equal(w->side.sys, ECONNREFUSED);
    assert_int_equal(w->side.connected, 0);
}

static void connect_from_a_foreign_address_is_an_error_from_the_loop(void **state)
{
    struct world *w = *state;
    struct netaddr to, from = { .family = AF_INET, .ip = { 192, 0, 2, 1 } };
    int l = listen_local(&to, 5);

    w->side.s = stream_connect(w->loop, &to, &from, 5000, &ops, &w->side);
    assert_non_null(w->side.s);
    assert_int_equal(w->side.ended, 0);
    run_until(w, &w->side.ended);
    assert_int_equal(w->side.how, STREAM_ERROR);
    assert_int_equal(w->side.sys, EADDRNOTAVAIL);
    close(l);
}

static void connect_to_a_silent_host_times_out(void **state)
{
    struct world *w = *state;
    struct netaddr to;
    int l = listen_local(&to, 0), fill[4];
    unsigned filled = 0;

    /* A full accept queue drops SYNs, which is what a black hole looks like. */
    for (; filled < 4; filled++) {
        struct sockaddr_storage ss;
        socklen_t n = netaddr_to_sockaddr(&to, &ss);

        fill[filled] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)!connect(fill[filled], (struct sockaddr *)&ss, n);
    }
    w->side.s = stream_connect(w->loop, &to, NULL, 50, &ops, &w->side);
    run_until(w, &w->side.ended);
    assert_int_equal(w->side.how, STREAM_TIMEOUT);
    assert_int_equal(w->side.sys, ETIMEDOUT);
    while (filled-- > 0)
        close(fill[filled]);
    close(l);
}

static void words_before_a_reset_are_read(void **state)
{
    struct world *w = *state;
    struct netaddr to;
    int l = listen_local(&to, 5);
    struct linger hard = { 1, 0 };

    w->side.s = stream_connect(w->loop, &to, NULL, 5000, &ops, &w->side);
    run_until(w, &w->side.connected);
    w->peer = accept(l, NULL, NULL);
    assert_int_equal(send(w->peer, "421 go away\r\n", 13, 0), 13);
    assert_int_equal(setsockopt(w->peer, SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
    close(w->peer); /* a reset: our write fails before we have read */
    w->peer = -1;
    stream_write(w->side.s, "EHLO x\r\n", 8);
    run_until(w, &w->side.ended);
    assert_string_equal(buf_cstr(&w->side.got), "421 go away\r\n");
    assert_int_equal(w->side.how, STREAM_ERROR);
    close(l);
}

static void reply_survives_unread_input(void **state)
{
    struct world *w = *state;
    struct netaddr to;
    int l = listen_local(&to, 5);
    static char big[300000];
    struct sockaddr_storage ss;
    socklen_t n = netaddr_to_sockaddr(&to, &ss);
    char text[100];
    size_t got = 0;

    /* The client goes on sending a body when we answer and close: a reset would destroy the answer on its
     * way. */
    w->peer = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    (void)!connect(w->peer, (struct sockaddr *)&ss, n);
    w->side.s = stream_new(w->loop, accept4(l, NULL, NULL, SOCK_NONBLOCK), &ops, &w->side);
    w->side.say = "552 5.3.4 too big\r\n";
    w->side.close_in_input = 5000;
    for (int i = 0; i < 30; i++) {
        (void)!send(w->peer, big, sizeof big, MSG_NOSIGNAL);
        loop_once(w->loop, 0);
    }
    assert_null(w->side.s);
    for (int i = 0; i < 100 && got < 19; i++) {
        ssize_t r = recv(w->peer, text + got, sizeof text - got, MSG_DONTWAIT);

        assert_true(r > 0 || errno == EAGAIN);
        got += r > 0 ? (size_t)r : 0;
        loop_once(w->loop, 10);
    }
    assert_int_equal(got, 19);
    close(w->peer);
    w->peer = -1;
    for (int i = 0; i < 200; i++)
        loop_once(w->loop, 1);
    close(l);
}

#define STREAM_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STREAM_TEST(echo_comes_back),
        STREAM_TEST(several_writes_make_one_send),
        STREAM_TEST(leftovers_stay_in_order),
        STREAM_TEST(pause_holds_bytes_and_resume_brings_them),
        STREAM_TEST(read_ahead_is_bounded),
        STREAM_TEST(half_close_waits_for_the_paused),
        STREAM_TEST(end_behind_an_unfinished_line_is_told),
        STREAM_TEST(deadline_ends_the_stream_unless_moved),
        STREAM_TEST(big_output_arrives_whole),
        STREAM_TEST(output_leaves_before_the_end_is_told),
        STREAM_TEST(output_that_nobody_takes_overflows),
        STREAM_TEST(last_words_are_sent_then_the_close),
        STREAM_TEST(linger_gives_up_after_its_time),
        STREAM_TEST(freeing_in_callbacks_is_safe),
        STREAM_TEST(connect_works_and_writes_early),
        STREAM_TEST(connect_refused_is_an_error_from_the_loop),
        STREAM_TEST(connect_from_a_foreign_address_is_an_error_from_the_loop),
        STREAM_TEST(connect_to_a_silent_host_times_out),
        STREAM_TEST(words_before_a_reset_are_read),
        STREAM_TEST(reply_survives_unread_input),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
