/* test_feed.c - lines on their way to the history: batches, whatever the level, and nobody waits for a reader
 */
#include "common/base/metric.h"
#include "common/net/loop.h"
#include "common/os/fd.h"
#include "common/proc/feed.h"
#include "common/proc/frame_io.h"
#include "tests/support/unit.h"

#include <poll.h>
#include <stdlib.h>

static struct loop *loop;
static unsigned shown;

static void on_shown(void *arg, enum log_level level, const char *line, size_t len)
{
    (void)arg;
    (void)level;
    (void)line;
    (void)len;
    shown++;
}

static int reader_new(void)
{
    int ends[2];

    assert_true(fd_seqpacket_pair(ends));
    feed_open(ends[0]);
    return ends[1];
}

/* Lines of the frames that are there; what the sender says it lost is added to *lost. */
static unsigned lines_read(int fd, uint64_t *lost)
{
    static char buf[IPC_FRAME_MAX];
    struct pollfd p = { .fd = fd, .events = POLLIN };
    unsigned n = 0;

    while (poll(&p, 1, 0) == 1) {
        struct err err = { 0 };
        struct ipc_in in;
        struct strv bytes;

        if (frame_io_recv(fd, buf, ROLE_HISTORYD, ROLE_SMTPD, &in, &err) != 1)
            fail_msg("%s", err.text);
        assert_int_equal(in.type, IPC_HISTORY_LINES);
        *lost += ipc_get_u64(&in, TAG_COUNT);
        for (bytes = ipc_get(&in, TAG_DATA); bytes.n; n++) {
            size_t len = (size_t)(unsigned char)bytes.p[0] << 8 | (unsigned char)bytes.p[1];

            assert_true(bytes.n >= FEED_HEAD + len);
            assert_true(strv_starts(strv_from(bytes, FEED_HEAD), SV_LIT("event=")));
            bytes = strv_from(bytes, FEED_HEAD + len);
        }
    }
    return n;
}

static void one(void)
{
    LOG(INFO, "delivery.result", KS("id", "0S9T6Z2G451B9"), KS("to", "user@demo.test"),
        KS("status", "delivered"));
}

static unsigned turns_until(int fd, unsigned want, uint64_t *lost)
{
    unsigned n = 0;

    for (unsigned i = 0; i < 200 && n < want; i++) {
        loop_once(loop, 50);
        n += lines_read(fd, lost);
    }
    return n;
}

static void a_batch_and_not_a_call_for_each(void **state)
{
    uint64_t lost = 0;
    int fd = reader_new();

    (void)state;
    for (unsigned i = 0; i < 100; i++)
        one();
    LOG(INFO, "smtp.session.ended", KS("sid", "x"));
    assert_int_equal(lines_read(fd, &lost), 0);
    assert_int_equal(turns_until(fd, 100, &lost), 100);
    assert_int_equal(lost, 0);
    fd_close(&fd);
}

static void whatever_the_level(void **state)
{
    uint64_t lost = 0;
    int fd = reader_new();

    (void)state;
    log_set_level(LOG_LV_ERROR);
    shown = 0;
    one();
    assert_int_equal(shown, 0);
    assert_int_equal(turns_until(fd, 1, &lost), 1);
    log_set_level(LOG_LV_INFO);
    one();
    assert_int_equal(shown, 1);
    assert_int_equal(turns_until(fd, 1, &lost), 1);
    fd_close(&fd);
}

static void nobody_waits_for_a_reader_that_does_not_read(void **state)
{
    uint64_t lost = 0, counted = metric_cells[METRIC_HISTORY_LOST][0];
    const unsigned all = 50000;
    unsigned got;
    int fd = reader_new();

    (void)state;
    for (unsigned i = 0; i < all; i++)
        one();
    counted = metric_cells[METRIC_HISTORY_LOST][0] - counted;
    assert_true(counted > all / 4);
    got = lines_read(fd, &lost);
    assert_int_equal(lost, 0);
    /* The batch that waited leaves, and says how many did not. */
    got += turns_until(fd, all - got - (unsigned)counted, &lost);
    assert_int_equal(lost, counted);
    assert_int_equal(got + lost, all);
    one();
    assert_int_equal(turns_until(fd, 1, &lost), 1);
    fd_close(&fd);
}

static void a_reader_that_ended_is_replaced(void **state)
{
    uint64_t lost = 0;
    int fd = reader_new();

    (void)state;
    fd_close(&fd);
    for (unsigned i = 0; i < 10; i++)
        one();
    loop_once(loop, 300);
    one();
    fd = reader_new();
    assert_int_equal(turns_until(fd, 11, &lost), 11);
    fd_close(&fd);
}

static void the_end_sends_what_waits(void **state)
{
    uint64_t lost = 0;
    int fd = reader_new();

    (void)state;
    one();
    feed_end();
    assert_int_equal(lines_read(fd, &lost), 1);
    fd_close(&fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_and_not_a_call_for_each),
        cmocka_unit_test(whatever_the_level),
        cmocka_unit_test(nobody_waits_for_a_reader_that_does_not_read),
        cmocka_unit_test(a_reader_that_ended_is_replaced),
        cmocka_unit_test(the_end_sends_what_waits),
    };

    log_set_sink(on_shown, NULL);
    loop = loop_new();
    feed_watch(loop);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
