/* test_startup.c - frames of mtad before START, and what is no frame of mtad */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/os/fd.h"
#include "common/proc/frame_io.h"
#include "common/proc/setup.h"
#include "common/proc/startup.h"

static char frame[IPC_FRAME_MAX];

static unsigned open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;

    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

static void send_frame(int fd, struct ipc_out *o)
{
    struct err err = { 0 };

    if (!frame_io_send(fd, o, &err))
        fail_msg("%s", err.text);
}

static void setup_begin(struct ipc_out *o, enum role role, unsigned flags)
{
    ipc_out_init(o);
    ipc_begin(o, IPC_SETUP, 0);
    ipc_put_u64(o, TAG_ROLE, role);
    ipc_put_u64(o, TAG_INDEX, 3);
    ipc_put_u64(o, TAG_GENERATION, 1);
    ipc_put_u64(o, TAG_PROCESS, 7);
    ipc_put_u64(o, TAG_FLAGS, flags);
    ipc_put_u64(o, TAG_LANDLOCK, 2);
    ipc_put_u64(o, TAG_LEVEL, LOG_LV_INFO);
    ipc_put_u64(o, TAG_KIND, 0);
    ipc_put_text(o, TAG_HOST, SV("mx.test"));
}

static bool take(int fd, struct startup *s, enum startup_step *step, struct err *err)
{
    struct ipc_in in;
    bool ok;

    if (frame_io_recv(fd, frame, ROLE_SMTPD, ROLE_MTAD, &in, err) != 1)
        return false;
    ok = startup_frame(s, ROLE_SMTPD, &in, step, err);
    frame_io_drop(&in);
    return ok;
}

static void the_whole_start(void **state)
{
    unsigned before = open_fds();
    enum startup_step step;
    struct err err = { 0 };
    struct startup s;
    struct ipc_out o;
    int ends[2];

    (void)state;
    assert_true(fd_seqpacket_pair(ends));
    startup_init(&s);
    setup_begin(&o, ROLE_SMTPD, SETUP_UNPRIVILEGED | SETUP_CONF | SETUP_JAIL);
    ipc_put_fd(&o, memfd_create("conf", MFD_CLOEXEC));
    ipc_put_fd(&o, open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    send_frame(ends[0], &o);
    ipc_begin(&o, IPC_LISTENER, 0);
    ipc_put_text(&o, TAG_NAME, SV("smtp"));
    ipc_put_text(&o, TAG_ADDRESS, SV("127.0.0.1:25"));
    ipc_put_fd(&o, memfd_create("listener", MFD_CLOEXEC));
    send_frame(ends[0], &o);
    for (unsigned i = 0; i < 2; i++) {
        ipc_begin(&o, IPC_EDGE, 0);
        ipc_put_u64(&o, TAG_ROLE, i ? ROLE_DNSD : ROLE_CLEANUP);
        ipc_put_u64(&o, TAG_INDEX, 0);
        ipc_put_u64(&o, TAG_LIVED, i);
        ipc_put_fd(&o, memfd_create("edge", MFD_CLOEXEC));
        send_frame(ends[0], &o);
    }
    ipc_begin(&o, IPC_SOURCE, 0);
    ipc_put_u64(&o, TAG_KIND, SOURCE_CERT);
    ipc_put_text(&o, TAG_NAME, SV("certificate"));
    ipc_put_text(&o, TAG_PATH, SV("/etc/cert"));
    ipc_put_fd(&o, memfd_create("cert", MFD_CLOEXEC));
    send_frame(ends[0], &o);
    ipc_begin(&o, IPC_START, 0);
    send_frame(ends[0], &o);
    for (unsigned i = 0; i < 6; i++) {
        if (!take(ends[1], &s, &step, &err))
            fail_msg("frame %u: %s", i, err.text);
        assert_int_equal(step, i == 5 ? STARTUP_COMPLETE : STARTUP_MORE);
    }
    assert_int_equal(s.index, 3);
    assert_int_equal(s.landlock, 2);
    assert_true(s.unprivileged && s.conf_fd >= 0 && s.jail_fd >= 0);
    assert_string_equal(s.hostname, "mx.test");
    assert_string_equal(s.listeners->name, "smtp");
    assert_int_equal(s.listeners->address.port, 25);
    assert_int_equal(s.edges->peer, ROLE_CLEANUP);
    assert_int_equal(s.edges->next->peer, ROLE_DNSD);
    assert_true(!s.edges->lived && s.edges->next->lived);
    assert_int_equal(s.sources->kind, SOURCE_CERT);
    startup_clear(&s);
    ipc_out_clear(&o);
    fd_close(&ends[0]);
    assert_int_equal(frame_io_recv(ends[1], frame, ROLE_SMTPD, ROLE_MTAD, &(struct ipc_in){ 0 }, &err), 0);
    fd_close(&ends[1]);
    assert_int_equal(open_fds(), before);
}

static void the_first_frame_is_setup_for_us(void **state)
{
    enum startup_step step;
    struct err err = { 0 };
    struct startup s;
    struct ipc_out o;
    int ends[2];

    (void)state;
    assert_true(fd_seqpacket_pair(ends));
    startup_init(&s);
    ipc_out_init(&o);
    ipc_begin(&o, IPC_START, 0);
    send_frame(ends[0], &o);
    assert_false(take(ends[1], &s, &step, &err));
    setup_begin(&o, ROLE_CLEANUP, SETUP_UNPRIVILEGED);
    send_frame(ends[0], &o);
    assert_false(take(ends[1], &s, &step, &err));
    setup_begin(&o, ROLE_SMTPD, SETUP_UNPRIVILEGED);
    send_frame(ends[0], &o);
    assert_true(take(ends[1], &s, &step, &err));
    setup_begin(&o, ROLE_SMTPD, SETUP_UNPRIVILEGED); /* twice */
    send_frame(ends[0], &o);
    assert_false(take(ends[1], &s, &step, &err));
    startup_clear(&s);
    ipc_out_clear(&o);
    fd_close(&ends[0]);
    fd_close(&ends[1]);
}

/* INCIDENTS 4: garbage, other senders' frames and too many descriptors are refused, and nothing leaks. */
static void nonsense_is_refused(void **state)
{
    unsigned before = open_fds();
    struct err err = { 0 };
    struct ipc_in in;
    struct ipc_out o;
    int ends[2];

    (void)state;
    assert_true(fd_seqpacket_pair(ends));
    assert_int_equal(send(ends[0], "garbage", 7, 0), 7);
    assert_int_equal(frame_io_recv(ends[1], frame, ROLE_SMTPD, ROLE_MTAD, &in, &err), -1);
    assert_int_equal(send(ends[0], frame, IPC_FRAME_MAX, 0), IPC_FRAME_MAX);
    assert_int_equal(frame_io_recv(ends[1], frame, ROLE_SMTPD, ROLE_MTAD, &in, &err), -1);
    ipc_out_init(&o);
    ipc_begin(&o, IPC_READY, 0); /* only children say that */
    send_frame(ends[0], &o);
    assert_int_equal(frame_io_recv(ends[1], frame, ROLE_SMTPD, ROLE_MTAD, &in, &err), -1);
    assert_int_equal(err.cls, ERR_PROTO);
    ipc_out_clear(&o);
    fd_close(&ends[0]);
    fd_close(&ends[1]);
    assert_int_equal(open_fds(), before);
}

static void a_bad_frame_of_ours_is_not_sent(void **state)
{
    struct err err = { 0 };
    struct ipc_out o;
    int ends[2];

    (void)state;
    assert_true(fd_seqpacket_pair(ends));
    ipc_out_init(&o);
    ipc_begin(&o, IPC_EDGE, 0); /* without its fields */
    assert_false(frame_io_send(ends[0], &o, &err));
    assert_int_equal(recv(ends[1], frame, 1, MSG_DONTWAIT), -1);
    ipc_out_clear(&o);
    fd_close(&ends[1]);
    ipc_begin(&o, IPC_START, 0);
    assert_false(frame_io_send(ends[0], &o, &err));
    assert_int_equal(err.sys, EPIPE);
    ipc_out_clear(&o);
    fd_close(&ends[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_whole_start),
        cmocka_unit_test(the_first_frame_is_setup_for_us),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(a_bad_frame_of_ours_is_not_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
