/* test_crowd.c - few sessions are left: strangers who do nothing make room, everybody else stays */
#include "../../support/unit.h"

#include "common/base/metric.h"
#include "rig.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define GREETING "220 mx.own.test ESMTP\r\n"
#define LATE     "421 4.4.2 Timeout. Closing\r\n"

static int stranger(struct rig *r, const char *from)
{
    int fd = rig_connect(r, from);

    rig_expect(r, fd, GREETING);
    return fd;
}

static void ask(struct rig *r, int fd, const char *command, const char *reply)
{
    rig_send(r, fd, command);
    rig_expect(r, fd, reply);
}

static void stays(struct rig *r, int fd)
{
    ask(r, fd, "NOOP\r\n", "250 2.0.0 Ok\r\n");
}

static enum server_room told;
static unsigned tellings;

static void on_room(void *arg, const char *listener, enum server_room room)
{
    (void)arg;
    assert_string_equal(listener, "smtp");
    told = room;
    tellings++;
}

/* A crowd that comes after the idle ones ends those; who sends, or is of ours, or came just now stays. */
static void idle_strangers_make_room(void **state)
{
    uint64_t hurried = metric_cells[METRIC_HURRIED][0];
    int idle, sender, own, late;
    struct rig r;

    (void)state;
    rig_open(&r, "max_sessions = 5");
    server_watch(r.server, on_room, NULL);
    idle = stranger(&r, "127.0.0.2");
    own = stranger(&r, NULL);
    sender = stranger(&r, "127.0.0.3");
    ask(&r, sender, "HELO client\r\n", "250 mx.own.test\r\n");
    rig_pass(&r, 100 * 1000);
    stays(&r, idle); /* three of five: no crowd */
    ask(&r, sender, "MAIL FROM:<a@far.test>\r\n", "250 2.1.0 Sender ok\r\n");
    ask(&r, sender, "RCPT TO:<user@own.test>\r\n", "250 2.1.5 Recipient ok\r\n");
    rig_pass(&r, 29 * 1000);
    assert_int_equal(tellings, 0);
    late = stranger(&r, "127.0.0.4");
    assert_int_equal(told, ROOM_LITTLE);
    assert_int_equal(metric_cells[METRIC_CROWDED][0], 1);
    rig_pass(&r, 2 * 1000);
    rig_expect_end(&r, idle, LATE);
    assert_int_equal(metric_cells[METRIC_HURRIED][0], hurried + 1);
    close(idle);
    rig_spin(&r, 5);
    assert_int_equal(told, ROOM_ENOUGH);
    assert_int_equal(tellings, 2);
    assert_int_equal(metric_cells[METRIC_CROWDED][0], 0);
    stays(&r, late);
    stays(&r, own);
    stays(&r, sender);
    close(late);
    close(own);
    close(sender);
    rig_close(&r);
}

/* Who was late before the crowd came ends at once; who waits when it is over has the ordinary time again. */
static void the_clock_is_that_of_the_command(void **state)
{
    int fds[4];
    struct rig r;

    (void)state;
    rig_open(&r, "max_sessions = 5  crowded_timeout = 10s  timeout = 100s");
    server_watch(r.server, on_room, NULL);
    fds[0] = stranger(&r, "127.0.0.2");
    rig_pass(&r, 50 * 1000);
    fds[1] = stranger(&r, "127.0.0.3");
    fds[2] = stranger(&r, "127.0.0.4");
    fds[3] = stranger(&r, "127.0.0.5");
    rig_expect_end(&r, fds[0], LATE);
    close(fds[0]);
    rig_spin(&r, 5);
    assert_int_equal(told, ROOM_ENOUGH);
    rig_pass(&r, 60 * 1000);
    stays(&r, fds[1]);
    fds[0] = stranger(&r, "127.0.0.2");
    assert_int_equal(told, ROOM_LITTLE);
    rig_expect_end(&r, fds[2], LATE);
    stays(&r, fds[1]);
    for (size_t i = 0; i < COUNT(fds); i++)
        close(fds[i]);
    rig_close(&r);
}

/* A sender alone is as cheap to say as nothing; who named a recipient gets four times as long, not all. */
static void messages_that_do_not_come_make_room(void **state)
{
    uint64_t hurried = metric_cells[METRIC_HURRIED][0];
    int fds[4];
    struct rig r;

    (void)state;
    rig_open(&r, "max_sessions = 5  crowded_timeout = 10s  timeout = 100s");
    for (size_t i = 0; i < COUNT(fds); i++) {
        fds[i] = stranger(&r, i == 2 ? NULL : "127.0.0.2");
        ask(&r, fds[i], "HELO client\r\n", "250 mx.own.test\r\n");
        ask(&r, fds[i], "MAIL FROM:<a@far.test>\r\n", "250 2.1.0 Sender ok\r\n");
        if (i > 0)
            ask(&r, fds[i], "RCPT TO:<user@own.test>\r\n", "250 2.1.5 Recipient ok\r\n");
        if (i == 3)
            ask(&r, fds[i], "DATA\r\n", "354 End data with <CR><LF>.<CR><LF>\r\n");
    }
    rig_pass(&r, 11 * 1000);
    rig_expect_end(&r, fds[0], LATE);
    rig_spin(&r, 20);
    fds[0] = stranger(&r, "127.0.0.4");
    rig_pass(&r, 9 * 1000);
    stays(&r, fds[0]);
    stays(&r, fds[1]);
    stays(&r, fds[2]);
    for (int i = 0; i < 4; i++) {
        rig_pass(&r, 9500);
        stays(&r, fds[0]);
    }
    rig_pass(&r, 2 * 1000);
    rig_expect_end(&r, fds[1], LATE);
    assert_int_equal(metric_cells[METRIC_HURRIED][0], hurried + 2);
    stays(&r, fds[2]);
    ask(&r, fds[3], "hello\r\n.\r\n", "250 2.0.0 Ok: queued as ID\r\n");
    close(fds[0]);
    close(fds[2]);
    close(fds[3]);
    rig_close(&r);
}

/* Sends until neither side has room; the replies are never read. */
static void fill_up(struct rig *r, int fd)
{
    static char commands[65536];
    size_t n = 0;
    int small = 2048;

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    while (n + 7 < sizeof commands)
        n += (size_t)snprintf(commands + n, sizeof commands - n, "RSET\r\n");
    for (int idle = 0; idle < 20; idle++) {
        if (send(fd, commands, n - n % 6, MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
            idle = 0;
        rig_spin(r, 1);
    }
}

/* The time runs from when the replies began to wait, whatever the crowd does meanwhile. */
static void who_reads_no_replies_makes_room(void **state)
{
    uint64_t hurried = metric_cells[METRIC_HURRIED][0];
    int fds[3], deaf;
    struct rig r;

    (void)state;
    rig_open(&r, "max_sessions = 5  crowded_timeout = 10s  timeout = 100s  max_commands = 1000000");
    tellings = 0;
    server_watch(r.server, on_room, NULL);
    deaf = stranger(&r, "127.0.0.2");
    ask(&r, deaf, "HELO client\r\n", "250 mx.own.test\r\n");
    fill_up(&r, deaf);
    fds[0] = stranger(&r, NULL);
    fds[1] = stranger(&r, NULL);
    rig_pass(&r, 30 * 1000);
    fds[2] = stranger(&r, NULL);
    assert_int_equal(told, ROOM_LITTLE);
    rig_pass(&r, 8 * 1000);
    rig_spin(&r, 5);
    assert_int_equal(told, ROOM_LITTLE);
    assert_int_equal(metric_cells[METRIC_HURRIED][0], hurried);
    rig_pass(&r, 5 * 1000);
    rig_spin(&r, 20);
    assert_int_equal(metric_cells[METRIC_HURRIED][0], hurried + 1);
    rig_pass(&r, 30 * 1000); /* the last words wait for him, too */
    rig_spin(&r, 20);
    assert_int_equal(told, ROOM_ENOUGH);
    assert_int_equal(tellings, 2);
    close(deaf);
    for (size_t i = 0; i < COUNT(fds); i++)
        close(fds[i]);
    rig_close(&r);
}

/* A place is not kept with commands that bring no message nearer; who sends mail may say them as well. */
static void a_place_is_not_kept_by_noop(void **state)
{
    uint64_t hurried = metric_cells[METRIC_HURRIED][0];
    int keeper, own, sender, more;
    struct rig r;

    (void)state;
    rig_open(&r, "max_sessions = 5");
    keeper = stranger(&r, "127.0.0.2");
    own = stranger(&r, NULL);
    sender = stranger(&r, "127.0.0.3");
    for (int i = 0; i < 10; i++) {
        stays(&r, keeper);
        stays(&r, own);
    }
    stays(&r, keeper); /* there is no crowd yet */
    more = stranger(&r, "127.0.0.4");
    ask(&r, sender, "HELO client\r\n", "250 mx.own.test\r\n");
    ask(&r, sender, "RSET\r\n", "250 2.0.0 Ok\r\n");
    rig_send(&r, keeper, "NOOP\r\n");
    rig_expect_end(&r, keeper, "421 4.7.0 Too many commands without a message. Closing\r\n");
    assert_int_equal(metric_cells[METRIC_HURRIED][0], hurried + 1);
    stays(&r, own);
    stays(&r, sender);
    close(keeper);
    close(own);
    close(sender);
    close(more);
    rig_close(&r);
}

/* Full is full: refused, said once, and over when a tenth is free. */
static void full_is_said(void **state)
{
    int fds[5], more;
    struct rig r;

    (void)state;
    rig_open(&r, "max_sessions = 5");
    tellings = 0;
    server_watch(r.server, on_room, NULL);
    for (size_t i = 0; i < COUNT(fds); i++)
        fds[i] = stranger(&r, NULL);
    assert_int_equal(told, ROOM_LITTLE);
    for (int i = 0; i < 3; i++) {
        more = rig_connect(&r, NULL);
        rig_expect_end(&r, more, "421 4.3.2 Too many connections, try again later\r\n");
        close(more);
    }
    assert_int_equal(told, ROOM_NONE);
    assert_int_equal(tellings, 2);
    close(fds[0]);
    rig_spin(&r, 20);
    assert_int_equal(told, ROOM_LITTLE);
    for (size_t i = 1; i < COUNT(fds); i++)
        close(fds[i]);
    rig_spin(&r, 20);
    assert_int_equal(told, ROOM_ENOUGH);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idle_strangers_make_room),
        cmocka_unit_test(the_clock_is_that_of_the_command),
        cmocka_unit_test(messages_that_do_not_come_make_room),
        cmocka_unit_test(who_reads_no_replies_makes_room),
        cmocka_unit_test(a_place_is_not_kept_by_noop),
        cmocka_unit_test(full_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
