/* test_stuck.c - a cleanup that lives and does not read: what clients may make smtpd keep for it */
#include "../../support/unit.h"

#include "rig.h"

#include <sys/socket.h>
#include <unistd.h>

#define ROUNDS 3000

static int helo(struct rig *r)
{
    int fd = rig_connect(r, NULL);

    rig_expect(r, fd, "220 mx.own.test ESMTP\r\n");
    rig_send(r, fd, "HELO client\r\n");
    rig_expect(r, fd, "250 mx.own.test\r\n");
    return fd;
}

/* What the stuck one finds when it reads at last. */
static unsigned frames_waiting(struct rig *r, int cleanup)
{
    static char frame[IPC_FRAME_MAX];
    unsigned n = 0;

    for (int idle = 0; idle < 5; idle++) {
        while (recv(cleanup, frame, sizeof frame, 0) > 0) {
            n++;
            idle = 0;
        }
        rig_spin(r, 2);
    }
    return n;
}

/* MAIL and RSET for ever: what did not leave is taken back, so that only the socket's buffer fills. */
static void round_and_round(void **state)
{
    struct rig r;
    int fd, cleanup;

    (void)state;
    rig_open(&r, "");
    fd = helo(&r);
    cleanup = rig_stuck_cleanup(&r);
    for (int i = 0; i < ROUNDS; i++) {
        rig_send(&r, fd, "MAIL FROM:<a@far.test>\r\n");
        rig_expect(&r, fd, "250 2.1.0 Sender ok\r\n");
        rig_send(&r, fd, "RSET\r\n");
        rig_expect(&r, fd, "250 2.0.0 Ok\r\n");
        if (i % 60 == 59) {
            close(fd);
            fd = helo(&r);
        }
    }
    assert_in_range(frames_waiting(&r, cleanup), 1, ROUNDS / 2);
    /* What left is ended properly: OPEN and ABORT come in pairs. */
    rig_send(&r, fd, "MAIL FROM:<a@far.test>\r\n");
    rig_expect(&r, fd, "250 2.1.0 Sender ok\r\n");
    assert_int_equal(frames_waiting(&r, cleanup), 1);
    rig_send(&r, fd, "RSET\r\n");
    rig_expect(&r, fd, "250 2.0.0 Ok\r\n");
    assert_int_equal(frames_waiting(&r, cleanup), 1);
    close(fd);
    close(cleanup);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(round_and_round) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
