/* test_channel.c - channels over a socketpair: order, priority, credit, loss, descriptors, hostile peers */
#include "common/net/loop.h"
#include "tests/unit/ipc/channel_pair.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char body[IPC_CHUNK_MAX];

static void send_chunk(struct channel *ch, uint64_t txn, size_t n)
{
    struct ipc_out o;

    ipc_out_init(&o);
    ipc_begin(&o, IPC_TX_BODY, txn);
    ipc_put_bytes(&o, TAG_DATA, strv_make(body, n));
    channel_send(ch, &o);
    ipc_out_clear(&o);
}

static void send_plain(struct channel *ch, enum ipc_type type, uint64_t txn)
{
    struct ipc_out o;

    ipc_out_init(&o);
    ipc_begin(&o, type, txn);
    if (type == IPC_TX_RCPT) {
        ipc_put_u64(&o, TAG_RCPT_INDEX, 0);
        ipc_put_text(&o, TAG_RCPT, SV("a@b.example"));
        ipc_put_u64(&o, TAG_LOCAL, 1);
    }
    channel_send(ch, &o);
    ipc_out_clear(&o);
}

static void expect_frame(const struct channel_end *e, unsigned i, enum ipc_type type, uint64_t txn)
{
    assert_true(i < e->frame_count);
    if (e->frames[i].type != type || e->frames[i].txn != txn)
        fail_msg("frame %u is type %u txn %u, not %u %u", i, e->frames[i].type, (unsigned)e->frames[i].txn,
                 type, (unsigned)txn);
}

static void frames_keep_order(void **state)
{
    struct channel_pair p;

    (void)state;
    pair_open(&p, ROLE_SMTPD, ROLE_CLEANUP);
    for (uint64_t i = 1; i <= 100; i++)
        send_plain(p.a.ch, IPC_TX_RCPT, i);
    pair_run(&p);
    assert_int_equal(p.b.frame_count, 100);
    for (unsigned i = 0; i < 100; i++)
        expect_frame(&p.b, i, IPC_TX_RCPT, i + 1);
    pair_close(&p);
}

static void urgent_frames_overtake_chunks_of_others(void **state)
{
    struct channel_pair p;

    (void)state;
    pair_open(&p, ROLE_SMTPD, ROLE_CLEANUP);
    send_chunk(p.a.ch, 1, 1000);
    send_chunk(p.a.ch, 1, 1000);
    send_plain(p.a.ch, IPC_TX_ABORT, 2);
    send_plain(p.a.ch, IPC_TX_RCPT, 3);
    send_plain(p.a.ch, IPC_TX_ABORT, 1); /* its own chunks come first */
    pair_run(&p);
    assert_int_equal(p.b.frame_count, 5);
    expect_frame(&p.b, 0, IPC_TX_ABORT, 2);
    expect_frame(&p.b, 1, IPC_TX_RCPT, 3);
    expect_frame(&p.b, 2, IPC_TX_BODY, 1);
    expect_frame(&p.b, 3, IPC_TX_BODY, 1);
    expect_frame(&p.b, 4, IPC_TX_ABORT, 1);
    pair_close(&p);
}

static void cancelled_chunks_do_not_leave(void **state)
{
    struct channel_pair p;

    (void)state;
    pair_open(&p, ROLE_SMTPD, ROLE_CLEANUP);
    send_chunk(p.a.ch, 1, 1000);
    send_chunk(p.a.ch, 2, 1000);
    send_chunk(p.a.ch, 1, 1000);
    channel_cancel_chunks(p.a.ch, 1);
    send_plain(p.a.ch, IPC_TX_ABORT, 1);
    channel_txn_end(p.a.ch, 1);
    pair_run(&p);
    assert_int_equal(p.b.frame_count, 2);
    expect_frame(&p.b, 0, IPC_TX_ABORT, 1);
    expect_frame(&p.b, 1, IPC_TX_BODY, 2);
    assert_int_equal(channel_txn_count(p.a.ch), 1);
    pair_close(&p);
}

static void credit_runs_out_and_comes_back(void **state)
{
    struct channel_pair p;

    (void)state;
    pair_open(&p, ROLE_SMTPD, ROLE_CLEANUP);
    assert_int_equal(channel_credit(p.a.ch, 1), IPC_CREDIT_START);
    send_chunk(p.a.ch, 1, IPC_CHUNK_MAX);
    send_chunk(p.a.ch, 1, IPC_CHUNK_MAX);
    assert_int_equal(channel_credit(p.a.ch, 1), IPC_CREDIT_START - 2 * IPC_CHUNK_MAX);
    send_chunk(p.a.ch, 1, IPC_CREDIT_START - 2 * IPC_CHUNK_MAX);
    assert_int_equal(channel_credit(p.a.ch, 1), 0);
    assert_int_equal(channel_credit(p.a.ch, 2), IPC_CREDIT_START);
    pair_run(&p);
    assert_int_equal(channel_credit(p.a.ch, 1), 0);
    channel_consumed(p.b.ch, 1, 1000); /* too little to be told */
    pair_run(&p);
    assert_int_equal(p.a.ready, 0);
    channel_consumed(p.b.ch, 1, IPC_CHUNK_MAX);
    pair_run(&p);
    assert_int_equal(p.a.ready, 1);
    assert_int_equal(p.a.ready_txn, 1);
    assert_int_equal(channel_credit(p.a.ch, 1), 1000 + IPC_CHUNK_MAX);
    channel_txn_end(p.a.ch, 1);
    channel_txn_end(p.b.ch, 1);
    assert_int_equal(channel_txn_count(p.a.ch), 0);
    assert_int_equal(channel_txn_count(p.b.ch), 0);
    pair_close(&p);
}

static void credit_after_the_end_is_ignored(void **state)
{
    struct channel_pair p;

    (void)state;
    pair_open(&p, ROLE_SMTPD, ROLE_CLEANUP);
    send_chunk(p.a.ch, 1, IPC_CHUNK_MAX);
    p.b.consume = true;
    channel_txn_end(p.a.ch, 1); /* frames are still queued */
    pair_run(&p);
    assert_int_equal(p.b.frame_count, 1);
    assert_int_equal(p.a.ready, 0);
    assert_int_equal(p.a.lost, 0);
    assert_int_equal(channel_txn_count(p.a.ch), 0);
    pair_close(&p);
}

static size_t left_to_send;

static void send_more(struct channel_end *e, uint64_t txn)
{
    while (left_to_send > 0) {
        size_t n = channel_credit(e->ch, txn);

        n = n < IPC_CHUNK_MAX ? n : IPC_CHUNK_MAX;
        n = n < left_to_send ? n : left_to_send;
        if (n == 0)
            return;
        send_chunk(e->ch, txn, n);
        left_to_send -= n;
    }
}

static void large_body_flows_under_credit(void **state)
{
    struct channel_pair p;
    size_t sum = 0, most = 0;

    (void)state;
    pair_open(&p, ROLE_SMTPD, ROLE_CLEANUP);
    p.a.on_ready = send_more;
    p.b.consume = true;
    left_to_send = 20u << 20;
    send_more(&p.a, 7);
    while (left_to_send > 0) {
        loop_once(p.loop, 100);
        if (channel_queued_bytes(p.a.ch) > most)
            most = channel_queued_bytes(p.a.ch);
    }
    pair_run(&p);
    for (unsigned i = 0; i < p.b.frame_count; i++)
        sum += p.b.frames[i].bulk;
    assert_int_equal(sum, 20u << 20);
    assert_true(most <= IPC_CREDIT_START + 1024);
    pair_close(&p);
}

static void full_socket_keeps_frames_and_order(void **state)
{
    struct channel_pair p;
    unsigned n = 400;

    (void)state;
    pair_open_raw(&p, ROLE_SMTPD, ROLE_CLEANUP);
    for (unsigned i = 0; i < n; i++)
        send_chunk(p.a.ch, 1, 40000);
    pair_run(&p);
    assert_true(channel_queued_bytes(p.a.ch) > 1000000);
    send_plain(p.a.ch, IPC_TX_ABORT, 9);
    for (unsigned got = 0, aborts = 0; got < n + 1; got++) {
        static char frame[IPC_FRAME_MAX];
        struct ipc_in in;
        ssize_t r = recv(p.raw, frame, sizeof frame, MSG_DONTWAIT);

        if (r < 0) {
            loop_once(p.loop, 1000);
            got--;
            continue;
        }
        assert_true(ipc_decode(strv_make(frame, (size_t)r), 0, &in, NULL));
        if (in.type == IPC_TX_ABORT) {
            aborts++;
            assert_true(got < n); /* it overtook what the socket had not taken yet */
        }
        if (got == n)
            assert_int_equal(aborts, 1);
    }
    assert_int_equal(channel_queued_bytes(p.a.ch), 0);
    pair_close(&p);
}

static void queue_past_its_bound_denies_room(void **state)
{
    struct channel_pair p;
    static char frame[IPC_FRAME_MAX];

    (void)state;
    pair_open_raw(&p, ROLE_SMTPD, ROLE_CLEANUP);
    for (uint64_t i = 1; i <= 120; i++)
        send_chunk(p.a.ch, i, IPC_CHUNK_MAX);
    pair_run(&p);
    assert_int_equal(channel_credit(p.a.ch, 500), 0);
    assert_int_equal(channel_credit(p.a.ch, 501), 0);
    channel_txn_end(p.a.ch, 501); /* gave up waiting */
    while (channel_queued_bytes(p.a.ch) > 0) {
        while (recv(p.raw, frame, sizeof frame, MSG_DONTWAIT) > 0)
            continue;
        loop_once(p.loop, 1000);
    }
    assert_int_equal(p.a.ready, 1);
    assert_int_equal(p.a.ready_txn, 500);
    assert_int_equal(channel_credit(p.a.ch, 500), IPC_CREDIT_START);
    pair_close(&p);
}

static void peer_that_never_reads_is_lost(void **state)
{
    struct channel_pair p;

    (void)state;
    pair_open_raw(&p, ROLE_SMTPD, ROLE_CLEANUP);
    for (unsigned i = 0; i < 1200 && !p.a.lost; i++) {
        send_chunk(p.a.ch, i + 1, IPC_CHUNK_MAX);
        assert_int_equal(p.a.lost, 0); /* never inside channel_send */
    }
    pair_run(&p);
    assert_int_equal(p.a.lost, 1);
    assert_string_equal(p.a.why, "peer does not read");
    assert_int_equal(channel_queued_bytes(p.a.ch), 0);
    pair_close(&p);
}

static void peer_dies_with_frames_unread(void **state)
{
    struct channel_pair p;
    struct ipc_out o;
    struct err err;

    (void)state;
    /* The peer sends three results, then closes without reading what we sent: the kernel reports ECONNRESET
     * first. */
    pair_open_raw(&p, ROLE_SMTPD, ROLE_CLEANUP);
    send_plain(p.a.ch, IPC_TX_RCPT, 1);
    channel_flush(p.a.ch);
    ipc_out_init(&o);
    for (uint64_t i = 1; i <= 3; i++) {
        ipc_begin(&o, IPC_TX_RCPT_REPLY, i);
        ipc_put_u64(&o, TAG_RCPT_INDEX, 0);
        ipc_put_u64(&o, TAG_VERDICT, VERDICT_ACCEPT);
        assert_true(ipc_finish(&o, &err));
        assert_int_equal(send(p.raw, o.bytes.data, o.bytes.len, 0), (ssize_t)o.bytes.len);
    }
    ipc_out_clear(&o);
    close(p.raw);
    p.raw = -1;
    send_plain(p.a.ch, IPC_TX_RCPT, 2); /* fails with EPIPE */
    pair_run(&p);
    assert_int_equal(p.a.frame_count, 3);
    assert_int_equal(p.a.lost, 1);
    assert_string_equal(p.a.why, "closed by the peer");
    send_plain(p.a.ch, IPC_TX_RCPT, 3); /* dropped */
    assert_int_equal(channel_credit(p.a.ch, 3), 0);
    pair_run(&p);
    assert_int_equal(p.a.lost, 1);
    pair_close(&p);
}

static void peer_that_stops_reading_is_lost(void **state)
{
    struct channel_pair p;

    (void)state;
    pair_open_raw(&p, ROLE_SMTPD, ROLE_CLEANUP);
    shutdown(p.raw, SHUT_RD);
    send_plain(p.a.ch, IPC_TX_RCPT, 1);
    pair_run(&p);
    assert_int_equal(p.a.lost, 1);
    pair_close(&p);
}

static void loss_is_told_once_at_every_point(void **state)
{
    (void)state;
    for (unsigned point = 0; point < 4; point++) {
        struct channel_pair p;
        unsigned before = fd_census();

        pair_open(&p, ROLE_SMTPD, ROLE_CLEANUP);
        p.b.free_in_frame = point == 1;
        p.b.free_in_lost = true;
        if (point == 2)
            channel_break(p.b.ch, "tested");
        for (uint64_t i = 1; i <= 20; i++)
            send_plain(p.a.ch, IPC_TX_RCPT, i);
        if (point == 0)
            channel_free(&p.b.ch);
        if (point == 3) {
            channel_flush(p.a.ch);
            channel_free(&p.a.ch);
        }
        pair_run(&p);
        assert_int_equal(p.a.lost, point == 3 ? 0 : 1);
        assert_int_equal(p.b.lost, point >= 2 ? 1 : 0);
        if (point == 1)
            assert_int_equal(p.b.frame_count, 1);
        if (point == 3)
            assert_int_equal(p.b.frame_count, 20);
        pair_close(&p);
        assert_int_equal(fd_census(), before);
    }
}

static void send_edges(struct channel *ch, unsigned n)
{
    struct ipc_out o;

    ipc_out_init(&o);
    for (unsigned i = 0; i < n; i++) {
        ipc_begin(&o, IPC_EDGE, 0);
        ipc_put_u64(&o, TAG_ROLE, ROLE_MAPD);
        ipc_put_u64(&o, TAG_INDEX, i);
        ipc_put_u64(&o, TAG_LIVED, 0);
        ipc_put_fd(&o, open("/dev/null", O_RDONLY | O_CLOEXEC));
        channel_send(ch, &o);
    }
    ipc_out_clear(&o);
}

static void descriptors_never_leak(void **state)
{
    (void)state;
    for (unsigned point = 0; point < 6; point++) {
        struct channel_pair p;
        unsigned before = fd_census(), open_now;

        pair_open(&p, ROLE_MTAD, ROLE_SMTPD);
        open_now = fd_census();
        p.b.keep_fds = point == 1;
        p.b.free_in_frame = point == 2;
        if (point == 4)
            channel_free(&p.b.ch);
        send_edges(p.a.ch, 20);
        if (point == 3)
            channel_free(&p.a.ch); /* nothing was sent yet */
        if (point == 5)
            channel_break(p.a.ch, "tested");
        pair_run(&p);
        if (point == 0) {
            assert_int_equal(p.b.frame_count, 20);
            assert_int_equal(fd_census(), open_now);
        }
        if (point == 1) {
            assert_int_equal(fd_census(), open_now + 1);
            assert_true(fcntl(p.b.kept_fd, F_GETFD) & FD_CLOEXEC);
        }
        pair_close(&p);
        assert_int_equal(fd_census(), before);
    }
}

/* ---- a hostile peer (incident 4: malformed frames and unexpected descriptors) ---- */

static void send_raw(int fd, const void *p, size_t n, unsigned fds)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * 16)] = { 0 };
    struct iovec iov = { (void *)(uintptr_t)p, n };
    struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

    if (fds) {
        struct cmsghdr *c;
        int list[16];

        m.msg_control = control;
        m.msg_controllen = CMSG_SPACE(sizeof(int) * fds);
        c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * fds);
        for (unsigned i = 0; i < fds; i++)
            list[i] = fd;
        memcpy(CMSG_DATA(c), list, sizeof(int) * fds);
    }
    assert_true(sendmsg(fd, &m, MSG_NOSIGNAL) == (ssize_t)n);
}

static void incident_4_malformed_frames_cost_the_peer_not_the_process(void **state)
{
    static char big[IPC_FRAME_MAX + 1000];
    static const struct {
        const char *name;
        const char *bytes;
        size_t n;
        unsigned fds;
    } cases[] = {
        {"one byte",               "\1",                                         1,          0 },
        { "half a header",         "\1\0\0\1\0\0\0",                             7,          0 },
        { "version 0",             "\0\0\0\x2a\0\0\0\0\0\0\0\0\0\0\0\1",         16,         0 },
        { "flags",                 "\1\1\0\x2a\0\0\0\0\0\0\0\0\0\0\0\1",         16,         0 },
        { "unknown type",          "\1\0\x7f\xff\0\0\0\0\0\0\0\0\0\0\0\1",       16,         0 },
        { "type 0",                "\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1",           16,         0 },
        { "length too large",      "\1\0\0\x2a\0\0\0\1\0\0\0\0\0\0\0\1",         16,         0 },
        { "length too small",      "\1\0\0\x2a\0\0\0\0\0\0\0\0\0\0\0\1x",        17,         0 },
        { "length of 4 GiB",       "\1\0\0\x2a\xff\xff\xff\xff\0\0\0\0\0\0\0\1", 16,         0 },
        { "unexpected descriptor", NULL,                                         16,         1 },
        { "too many descriptors",  NULL,                                         16,         16},
        { "larger than a frame",   big,                                          sizeof big, 0 },
    };
    struct channel_pair p;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned before = fd_census();
        char abort_frame[16] = { 1, 0, 0, IPC_TX_ABORT, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 };

        pair_open_raw(&p, ROLE_CLEANUP, ROLE_SMTPD);
        send_raw(p.raw, abort_frame, sizeof abort_frame, 0);
        send_raw(p.raw, cases[i].bytes ? cases[i].bytes : abort_frame, cases[i].n, cases[i].fds);
        send_raw(p.raw, abort_frame, sizeof abort_frame, 1);
        pair_run(&p);
        if (p.a.lost != 1 || p.a.frame_count != 1)
            fail_msg("%s: %u frames, lost %u", cases[i].name, p.a.frame_count, p.a.lost);
        pair_close(&p);
        if (fd_census() != before)
            fail_msg("%s: descriptors leak", cases[i].name);
    }
}

static void message_of_a_wrong_role_costs_the_peer(void **state)
{
    struct channel_pair p;
    char ready[16] = { 1, 0, 0, IPC_START, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 };

    (void)state;
    /* cleanup may not tell smtpd to start: only mtad may */
    pair_open_raw(&p, ROLE_SMTPD, ROLE_CLEANUP);
    send_raw(p.raw, ready, sizeof ready, 0);
    pair_run(&p);
    assert_int_equal(p.a.frame_count, 0);
    assert_int_equal(p.a.lost, 1);
    assert_non_null(strstr(p.a.why, "START"));
    pair_close(&p);
}

static void flood_does_not_starve_the_loop(void **state)
{
    struct channel_pair p;
    unsigned before_flood = 0;
    char abort_frame[16] = { 1, 0, 0, IPC_TX_ABORT, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 };

    (void)state;
    pair_open_raw(&p, ROLE_CLEANUP, ROLE_SMTPD);
    while (send(p.raw, abort_frame, sizeof abort_frame, MSG_DONTWAIT) == (ssize_t)sizeof abort_frame)
        before_flood++;
    assert_true(before_flood > 100);
    loop_once(p.loop, 0);
    assert_true(p.a.frame_count > 0 && p.a.frame_count <= 16); /* one batch, then the others' turn */
    pair_run(&p);
    assert_int_equal(p.a.frame_count, before_flood);
    assert_int_equal(p.a.lost, 0);
    pair_close(&p);
}

static const struct channel_route routes[] = {
    {0, NULL}
};
static struct channel_pair *dispatching;

static void dispatch_frame(void *arg, struct channel *ch, struct ipc_in *in)
{
    (void)arg;
    assert_false(channel_dispatch(routes, NULL, ch, in));
    dispatching->a.frame_count++;
}

static void dispatch_lost(void *arg, struct channel *ch, const char *why)
{
    (void)arg;
    (void)ch;
    assert_non_null(strstr(why, "TX_RCPT is not handled"));
    dispatching->a.lost++;
}

static void unlisted_type_costs_the_peer(void **state)
{
    static const struct channel_ops ops = { dispatch_frame, dispatch_lost, NULL };
    struct channel_pair p = { .raw = -1 };
    struct channel *a, *b;
    int s[2];

    (void)state;
    dispatching = &p;
    p.loop = loop_new();
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s), 0);
    a = channel_new(p.loop, s[0], ROLE_SMTPD, ROLE_CLEANUP, 0, &ops, NULL);
    b = channel_new(p.loop, s[1], ROLE_CLEANUP, ROLE_SMTPD, 0, &ops, NULL);
    send_plain(a, IPC_TX_RCPT, 1);
    for (int i = 0; i < 5; i++)
        loop_once(p.loop, 0);
    assert_int_equal(p.a.lost, 1);
    channel_free(&a);
    channel_free(&b);
    loop_once(p.loop, 0);
    loop_free(&p.loop);
}

/* Our own mistakes die in check builds, which all unit tests are. */
static void our_own_nonsense_dies(void **state)
{
    (void)state;
#ifdef MANSIO_CHECK
    for (int wrong = 0; wrong < 2; wrong++) {
        int status;
        pid_t pid = fork();

        if (pid == 0) {
            struct channel_pair p;

            close(2);
            pair_open(&p, ROLE_SMTPD, ROLE_CLEANUP);
            if (wrong == 0)
                send_plain(p.a.ch, IPC_START, 0);
            else
                send_plain(p.a.ch, IPC_TX_DONE, 1);
            _exit(0);
        }
        assert_true(waitpid(pid, &status, 0) == pid);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 70);
    }
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_keep_order),
        cmocka_unit_test(urgent_frames_overtake_chunks_of_others),
        cmocka_unit_test(cancelled_chunks_do_not_leave),
        cmocka_unit_test(credit_runs_out_and_comes_back),
        cmocka_unit_test(credit_after_the_end_is_ignored),
        cmocka_unit_test(large_body_flows_under_credit),
        cmocka_unit_test(full_socket_keeps_frames_and_order),
        cmocka_unit_test(queue_past_its_bound_denies_room),
        cmocka_unit_test(peer_that_never_reads_is_lost),
        cmocka_unit_test(peer_dies_with_frames_unread),
        cmocka_unit_test(peer_that_stops_reading_is_lost),
        cmocka_unit_test(loss_is_told_once_at_every_point),
        cmocka_unit_test(descriptors_never_leak),
        cmocka_unit_test(incident_4_malformed_frames_cost_the_peer_not_the_process),
        cmocka_unit_test(message_of_a_wrong_role_costs_the_peer),
        cmocka_unit_test(flood_does_not_starve_the_loop),
        cmocka_unit_test(unlisted_type_costs_the_peer),
        cmocka_unit_test(our_own_nonsense_dies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
