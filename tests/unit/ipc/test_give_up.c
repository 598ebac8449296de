/* test_give_up.c - channels whose peer lives and is behind: what is taken back, refused, given up */
#include "common/net/loop.h"
#include "tests/support/unit.h"
#include "tests/unit/ipc/channel_pair.h"

#include <sys/socket.h>
#include <unistd.h>

static char body[IPC_CHUNK_MAX];

static void send_body(struct channel *ch, uint64_t txn)
{
    struct ipc_out o;

    ipc_out_init(&o);
    ipc_begin(&o, IPC_TX_BODY, txn);
    ipc_put_bytes(&o, TAG_DATA, strv_make(body, sizeof body));
    channel_send(ch, &o);
    ipc_out_clear(&o);
}

static void on_given_up(void *arg, struct channel *ch)
{
    (void)ch;
    ++*(unsigned *)arg;
}

static unsigned told;

static int setup(void **state)
{
    (void)state;
    told = 0;
    channel_on_broken(on_given_up, &told);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    channel_on_broken(NULL, NULL);
    return 0;
}

/* A process that is stopped, or busy for long: it lives, so nobody else sees that the channel is gone. */
static void peer_that_does_not_read(void **state)
{
    struct channel_pair p;

    (void)state;
    pair_open_raw(&p, ROLE_SMTPD, ROLE_CLEANUP);
    for (unsigned i = 0; i < 1200 && !told; i++)
        send_body(p.a.ch, i + 1);
    assert_int_equal(told, 1);
    pair_run(&p);
    assert_int_equal(p.a.lost, 1);
    assert_string_equal(p.a.why, "peer does not read");
    assert_int_equal(told, 1);
    pair_close(&p);
}

static void peer_that_will_not_read(void **state)
{
    struct channel_pair p;

    (void)state;
    pair_open_raw(&p, ROLE_SMTPD, ROLE_CLEANUP);
    shutdown(p.raw, SHUT_RD);
    send_body(p.a.ch, 1);
    pair_run(&p);
    assert_int_equal(p.a.lost, 1);
    assert_int_equal(told, 1);
    pair_close(&p);
}

/* Who closes a channel says so himself, and of a dead one mtad is the first to know. */
static void peer_that_closed(void **state)
{
    struct channel_pair p;

    (void)state;
    pair_open_raw(&p, ROLE_SMTPD, ROLE_CLEANUP);
    send_body(p.a.ch, 1);
    channel_flush(p.a.ch);
    close(p.raw);
    p.raw = -1;
    send_body(p.a.ch, 2);
    pair_run(&p);
    assert_int_equal(p.a.lost, 1);
    assert_int_equal(told, 0);
    pair_close(&p);
}

static void send_open_query(struct channel *ch, uint64_t txn)
{
    struct ipc_out o;

    ipc_out_init(&o);
    ipc_begin(&o, IPC_TX_QUERY, txn);
    ipc_put_u64(&o, TAG_ID, 1);
    channel_send(ch, &o);
    ipc_out_clear(&o);
}

/* What did not leave can be taken back, and how much of it that was is known. */
static void frames_taken_back(void **state)
{
    struct channel_pair p;

    (void)state;
    pair_open_raw(&p, ROLE_SMTPD, ROLE_CLEANUP);
    send_open_query(p.a.ch, 1);
    send_open_query(p.a.ch, 2);
    send_body(p.a.ch, 1);
    send_body(p.a.ch, 1);
    assert_int_equal(channel_unsend(p.a.ch, 3), 0);
    assert_int_equal(channel_unsend(p.a.ch, 1), 3);
    assert_int_equal(channel_credit(p.a.ch, 1), IPC_CREDIT_START);
    channel_flush(p.a.ch);
    assert_int_equal(channel_unsend(p.a.ch, 2), 0);
    assert_int_equal(channel_queued_bytes(p.a.ch), 0);
    channel_txn_end(p.a.ch, 1);
    assert_int_equal(channel_txn_count(p.a.ch), 0);
    pair_close(&p);
}

static void congestion(void **state)
{
    struct channel_pair p;

    (void)state;
    pair_open_raw(&p, ROLE_SMTPD, ROLE_CLEANUP);
    for (unsigned i = 0; channel_credit(p.a.ch, i + 1) > 0; i++)
        send_body(p.a.ch, i + 1);
    assert_false(channel_is_congested(p.a.ch)); /* that is a peer with much to do */
    for (unsigned i = 0; i < 100; i++)
        send_body(p.a.ch, i + 1000);
    assert_true(channel_is_congested(p.a.ch));
    assert_int_equal(told, 0);
    pair_close(&p);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(peer_that_does_not_read),
        TEST(peer_that_will_not_read),
        TEST(peer_that_closed),
        TEST(frames_taken_back),
        TEST(congestion),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
