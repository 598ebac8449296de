/* test_session.c - the agent's frames: the session on a loop, and the real program behind its walls */
#include "tests/support/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/net/loop.h"
#include "common/os/fault.h"
#include "common/os/fd.h"
#include "common/proc/frame_io.h"
#include "common/proc/setup.h"
#include "deliverd/agent/session.h"
#include "tests/unit/agent/scratch.h"

#define OWN "Return-Path: <>\nDelivered-To: u@b.example\n"
#define NOBODY 65534

/* deliverd's end, and what came back. */
struct peer {
    struct loop *loop;
    struct channel *ch;
    unsigned results, lost;
    uint64_t txn;
    enum ipc_outcome outcome;
    char enhanced[17], text[1025];
};

static struct scratch scratch;
static struct peer peer;
static struct session session;
static struct maildir_place place;

static void on_frame(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct peer *p = arg;

    (void)ch;
    assert_int_equal(in->type, IPC_A_RESULT);
    p->results++;
    p->txn = in->txn;
    p->outcome = (enum ipc_outcome)ipc_get_u64(in, TAG_OUTCOME);
    strv_cstr(ipc_get(in, TAG_ENHANCED), p->enhanced, sizeof p->enhanced);
    strv_cstr(ipc_get(in, TAG_TEXT), p->text, sizeof p->text);
}

static void on_lost(void *arg, struct channel *ch, const char *why)
{
    struct peer *p = arg;

    (void)ch;
    (void)why;
    p->lost++;
    channel_free(&p->ch);
}

static const struct channel_ops peer_ops = { on_frame, on_lost, NULL };

static void peer_open(int fd)
{
    memset(&peer, 0, sizeof peer);
    peer.loop = loop_new();
    peer.ch = channel_new(peer.loop, fd, ROLE_DELIVERD, ROLE_AGENT, 0, &peer_ops, &peer);
}

static void peer_close(void)
{
    channel_free(&peer.ch);
    loop_once(peer.loop, 0);
    loop_free(&peer.loop);
}

/* Until a result or the end came, but not for ever. */
static void peer_wait(unsigned results)
{
    for (int i = 0; i < 1000 && peer.results < results && !peer.lost; i++)
        loop_once(peer.loop, 20);
}

/* ---- frames of deliverd ---- */

static void send_deposit(uint64_t txn, struct strv data, uint64_t size, int body_fd, uint64_t body_size)
{
    struct ipc_out o;

    ipc_out_init(&o);
    ipc_begin(&o, IPC_A_DEPOSIT, txn);
    ipc_put_u64(&o, TAG_ID, 77);
    ipc_put_text(&o, TAG_PATH, SV("user"));
    ipc_put_text(&o, TAG_RCPT, SV("u@b.example"));
    ipc_put_text(&o, TAG_SENDER, SV(""));
    ipc_put_u64(&o, TAG_SIZE, size);
    if (data.n > 0)
        ipc_put_bytes(&o, TAG_DATA, data);
    if (body_size > 0)
        ipc_put_u64(&o, TAG_BODY_SIZE, body_size);
    ipc_put_u64(&o, TAG_KIND, 0);
    if (body_fd >= 0)
        ipc_put_fd(&o, body_fd);
    channel_send(peer.ch, &o);
    ipc_out_clear(&o);
}

static void send_plain(enum ipc_type type, uint64_t txn, struct strv data)
{
    struct ipc_out o;

    ipc_out_init(&o);
    ipc_begin(&o, type, txn);
    if (type == IPC_A_BODY)
        ipc_put_bytes(&o, TAG_DATA, data);
    channel_send(peer.ch, &o);
    ipc_out_clear(&o);
}

static void expect_delivered(unsigned n, uint64_t txn, const char *want)
{
    struct buf got;
    char name[256], path[300];

    peer_wait(n);
    if (peer.results != n || peer.txn != txn || peer.outcome != OUTCOME_DELIVERED)
        fail_msg("%u results, outcome %d %s %s", peer.results, peer.outcome, peer.enhanced, peer.text);
    buf_init(&got, 8 << 20);
    scratch_only(&scratch, "user/new", name, &got);
    expect_text("file", buf_view(&got), want);
    buf_clear(&got);
    snprintf(path, sizeof path, "user/new/%s", name);
    assert_int_equal(unlinkat(scratch.fd, path, 0), 0);
}

static int body_of(struct strv text)
{
    int fd = memfd_create("body", MFD_CLOEXEC);

    assert_true(fd >= 0 && fd_write_full(fd, text.p, text.n));
    return fd;
}

/* A message of n bytes by chunks, as credit permits. */
static void send_large(uint64_t txn, size_t n)
{
    static char piece[IPC_CHUNK_MAX];
    size_t at = 0;

    memset(piece, 'x', sizeof piece);
    send_deposit(txn, SV("\r\n"), n + 2, -1, 0);
    for (int i = 0; i < 100000 && at < n && !peer.lost; i++) {
        size_t room = channel_credit(peer.ch, txn);
        size_t part = n - at < sizeof piece ? n - at : sizeof piece;

        if (room >= part) {
            send_plain(IPC_A_BODY, txn, strv_make(piece, part));
            at += part;
        } else {
            loop_once(peer.loop, 20);
        }
    }
    assert_int_equal(at, n);
    send_plain(IPC_A_END, txn, SV(""));
}

static char *large_text(size_t n)
{
    char *text = malloc(sizeof OWN + 1 + n);
    size_t own = strlen(OWN "\n");

    memcpy(text, OWN "\n", own);
    memset(text + own, 'x', n);
    text[own + n] = '\0';
    return text;
}

/* ---- the session, on the same loop ---- */

static int setup(void **state)
{
    int ends[2];

    (void)state;
    umask(077);
    log_set_level(LOG_LV_ERROR);
    scratch_make(&scratch);
    place = (struct maildir_place){ scratch.fd, scratch.path, "mx.example.com", geteuid() };
    assert_true(fd_seqpacket_pair(ends));
    peer_open(ends[0]);
    session_start(&session, peer.loop, ends[1], ROLE_DELIVERD, &place, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    clock_fake(NULL, NULL);
    fault_disarm_all();
    session_end(&session);
    peer_close();
    scratch_remove(&scratch);
    return 0;
}

static void all_forms(void **state)
{
    const size_t n = 1000 * 1000;
    char *text = large_text(n), want[sizeof OWN + 10];

    (void)state;
    snprintf(want, sizeof want, "%s", OWN "\nabc");
    send_deposit(5, SV("\r\nabc"), 5, -1, 0);
    expect_delivered(1, 5, want);
    /* the end that is not needed */
    send_deposit(6, SV("\r\nabc"), 5, -1, 0);
    send_plain(IPC_A_END, 6, SV(""));
    expect_delivered(2, 6, want);
    send_deposit(7, SV("\r\na"), 5, body_of(SV("bc")), 2);
    expect_delivered(3, 7, want);
    send_deposit(8, SV("\r"), 5, body_of(SV("bc")), 2);
    send_plain(IPC_A_BODY, 8, SV("\na"));
    send_plain(IPC_A_END, 8, SV(""));
    expect_delivered(4, 8, want);
    send_large(9, n);
    expect_delivered(5, 9, text);
    send_deposit(10, SV(""), 0, -1, 0);
    expect_delivered(6, 10, OWN);
    assert_int_equal(peer.lost, 0);
    assert_true(channel_txn_count(session.ch) <= 1);
    free(text);
}

/* The result comes with the first frame; the rest finds nobody, and credit goes on flowing. */
static void early_result(void **state)
{
    (void)state;
    scratch_write(&scratch, "user", SV("x"));
    send_large(5, 1000 * 1000);
    peer_wait(1);
    assert_int_equal(peer.results, 1);
    assert_int_equal(peer.outcome, OUTCOME_DEFERRED);
    assert_string_equal(peer.enhanced, "4.2.0");
    assert_int_equal(unlinkat(scratch.fd, "user", 0), 0);
    send_deposit(6, SV("x"), 1, -1, 0);
    expect_delivered(2, 6, OWN "x");
    assert_int_equal(peer.lost, 0);
}

static void aborted(void **state)
{
    (void)state;
    send_deposit(5, SV("x"), 10, -1, 0);
    send_plain(IPC_A_BODY, 5, SV("y"));
    send_plain(IPC_A_ABORT, 5, SV(""));
    send_plain(IPC_A_ABORT, 99, SV(""));
    send_deposit(6, SV("z"), 1, -1, 0);
    expect_delivered(1, 6, OWN "z");
    assert_int_equal(scratch_count(&scratch, "user/tmp"), 0);
    assert_int_equal(peer.lost, 0);
}

/* Without waiting for results: they come in order, one each. */
static void pipelined(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 40; i++) {
        send_deposit(100 + i, SV("\r\na"), i % 3 ? 3 : 6, -1, 0);
        if (i % 3 == 0) {
            send_plain(IPC_A_BODY, 100 + i, SV("b\r\n"));
            send_plain(IPC_A_END, 100 + i, SV(""));
        }
    }
    peer_wait(40);
    assert_int_equal(peer.results, 40);
    assert_int_equal(peer.txn, 139);
    assert_int_equal(scratch_count(&scratch, "user/new"), 40);
    assert_int_equal(peer.lost, 0);
}

static void lost_in_the_middle(void **state)
{
    (void)state;
    send_deposit(5, SV("x"), 10, -1, 0);
    for (int i = 0; i < 10; i++)
        loop_once(peer.loop, 0);
    assert_int_equal(scratch_count(&scratch, "user/tmp"), 1);
    channel_free(&peer.ch);
    loop_run(peer.loop);
    assert_int_equal(scratch_count(&scratch, "user/tmp"), 0);
    assert_int_equal(scratch_count(&scratch, "user/new"), 0);
}

static void nonsense(void **state)
{
    for (int i = 0; i < 5; i++) {
        log_set_level(LOG_LV_ERROR);
        switch (i) {
        case 0: send_plain(IPC_A_BODY, 5, SV("x")); break;
        case 1: send_plain(IPC_A_END, 5, SV("")); break;
        case 2:
            send_deposit(5, SV("x"), 10, -1, 0);
            send_deposit(6, SV("x"), 10, -1, 0);
            break;
        case 3: send_deposit(5, SV("x"), 10, body_of(SV("y")), 0); break;
        case 4: send_deposit(5, SV("x"), 10, -1, 9); break;
        }
        loop_run(peer.loop);            /* the session stops it */
        assert_int_equal(peer.results, 0);
        assert_true(scratch_count(&scratch, "user/tmp") <= 0);
        assert_true(scratch_count(&scratch, "user/new") <= 0);
        teardown(state);
        setup(state);
    }
}

static int64_t fake_now = 1000;

static int64_t fake_mono(void)
{
    return fake_now;
}

/* The clock jumps while the loop waits for nothing. */
static void turn(int64_t ms)
{
    fake_now += ms;
    for (int i = 0; i < 5; i++)
        loop_once(peer.loop, 0);
}

static void ends_when_idle(void **state)
{
    teardown(state);
    clock_fake(fake_mono, NULL);
    setup(state);
    send_deposit(5, SV("x"), 1, -1, 0);
    turn(0);
    assert_int_equal(peer.results, 1);
    turn(SESSION_IDLE_MS - 1);
    assert_false(session.closing);
    turn(1);
    assert_true(session.closing);
}

/* What was sent before the agent stopped listening is served. */
static void ends_when_idle_but_not_yet(void **state)
{
    teardown(state);
    clock_fake(fake_mono, NULL);
    setup(state);
    turn(0);
    send_deposit(5, SV("x"), 1, -1, 0);
    channel_flush(peer.ch);
    turn(SESSION_IDLE_MS + 1);
    turn(1000);
    expect_delivered(1, 5, OWN "x");
}

static void ends_when_nothing_comes(void **state)
{
    teardown(state);
    clock_fake(fake_mono, NULL);
    setup(state);
    send_deposit(5, SV("x"), 10, -1, 0);
    turn(0);
    turn(SESSION_IDLE_MS + 1);
    assert_int_equal(scratch_count(&scratch, "user/tmp"), 1);
    turn(SESSION_STALL_MS);
    assert_int_equal(scratch_count(&scratch, "user/tmp"), 0);
    assert_int_equal(peer.results, 0);
}

/* ---- the program ---- */

/* AS_SOMEBODY: started by root, becomes a user itself. AS_CALLER: without root; no agent runs as root. */
enum who { AS_CALLER, AS_SOMEBODY };

/* By descriptor, as mtad does: a caller that is not root any more may be unable to name the path. */
static pid_t program_spawn(int control, enum who who)
{
    char name[] = "mansio-agent", *argv[] = { name, NULL }, *envp[] = { NULL };
    int binary = open(AGENT, O_RDONLY | O_CLOEXEC);
    pid_t pid = fork();

    if (pid != 0) {
        fd_close(&binary);
        return pid;
    }
    if (who == AS_CALLER && geteuid() == 0 && (setgid(NOBODY) < 0 || setuid(NOBODY) < 0))
        _exit(125);
    if (dup2(control, CONTROL_FD) < 0)
        _exit(126);
    fcntl(CONTROL_FD, F_SETFD, 0);
    fexecve(binary, argv, envp);
    _exit(127);
}

static void program_setup_frames(int fd, unsigned landlock, enum who who, const char *fault)
{
    struct err err = { 0 };
    struct ipc_out o;

    ipc_out_init(&o);
    ipc_begin(&o, IPC_SETUP, 0);
    ipc_put_u64(&o, TAG_ROLE, ROLE_AGENT);
    ipc_put_u64(&o, TAG_INDEX, 0);
    ipc_put_u64(&o, TAG_GENERATION, 1);
    ipc_put_u64(&o, TAG_PROCESS, 9);
    ipc_put_u64(&o, TAG_FLAGS, who == AS_CALLER ? SETUP_UNPRIVILEGED : 0);
    ipc_put_u64(&o, TAG_LANDLOCK, landlock);
    ipc_put_u64(&o, TAG_LEVEL, LOG_LV_ERROR);
    ipc_put_u64(&o, TAG_UID, NOBODY);
    ipc_put_u64(&o, TAG_GID, NOBODY);
    ipc_put_text(&o, TAG_HOST, SV("mx.example.com"));
    if (fault)
        ipc_put_text(&o, TAG_FAULT, SV(fault));
    assert_true(frame_io_send(fd, &o, &err));
    ipc_begin(&o, IPC_SOURCE, 0);
    ipc_put_u64(&o, TAG_KIND, SOURCE_ROOT);
    ipc_put_text(&o, TAG_NAME, SV("users"));
    ipc_put_text(&o, TAG_PATH, SV(scratch.path));
    ipc_put_fd(&o, dup(scratch.fd));
    assert_true(frame_io_send(fd, &o, &err));
    ipc_out_clear(&o);
}

static pid_t program_start(unsigned landlock, enum who who, const char *fault)
{
    int ends[2];
    pid_t pid;

    scratch_make(&scratch);
    if (geteuid() == 0)
        assert_int_equal(fchown(scratch.fd, NOBODY, NOBODY), 0);
    assert_true(fd_seqpacket_pair(ends));
    program_setup_frames(ends[0], landlock, who, fault);
    pid = program_spawn(ends[1], who);
    assert_true(pid > 0);
    fd_close(&ends[1]);
    peer_open(ends[0]);
    return pid;
}

static int program_end(pid_t pid)
{
    int status = -1;

    peer_close();
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(scratch_count(&scratch, "user/tmp") <= 0);
    scratch_remove(&scratch);
    return status;
}

static void program_works(unsigned landlock, enum who who)
{
    const size_t n = 500 * 1000;
    char *text = large_text(n);
    pid_t pid = program_start(landlock, who, NULL);

    send_deposit(5, SV("\r\nabc"), 5, -1, 0);
    expect_delivered(1, 5, OWN "\nabc");
    send_deposit(6, SV("\r\na"), 5, body_of(SV("bc")), 2);
    expect_delivered(2, 6, OWN "\nabc");
    send_large(7, n);
    expect_delivered(3, 7, text);
    if (geteuid() == 0) {
        struct stat st;

        assert_int_equal(fstatat(scratch.fd, "user/new", &st, AT_SYMLINK_NOFOLLOW), 0);
        assert_int_equal(st.st_uid, NOBODY);
        assert_int_equal(st.st_gid, NOBODY);
    }
    send_deposit(8, SV("\r\nabc"), 6, -1, 0);
    channel_flush(peer.ch);
    assert_int_equal(program_end(pid), 0);
    free(text);
}

/* The newest Landlock, that of Debian 12's kernel, none. */
static void program_as_caller(void **state)
{
    (void)state;
    program_works(64, AS_CALLER);
    program_works(2, AS_CALLER);
    program_works(0, AS_CALLER);
}

static void program_as_somebody(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    program_works(64, AS_SOMEBODY);
    program_works(2, AS_SOMEBODY);
    program_works(0, AS_SOMEBODY);
}

/* A symbolic link out of the jail, with and without chroot. */
static void program_follows_no_link(void **state)
{
    pid_t pid;

    (void)state;
    pid = program_start(64, geteuid() == 0 ? AS_SOMEBODY : AS_CALLER, NULL);
    assert_int_equal(symlinkat("/tmp", scratch.fd, "user"), 0);
    send_deposit(5, SV("x"), 1, -1, 0);
    peer_wait(1);
    assert_int_equal(peer.results, 1);
    assert_int_equal(peer.outcome, OUTCOME_DEFERRED);
    assert_non_null(strstr(peer.text, "in the way"));
    assert_int_equal(program_end(pid), 0);
}

#ifdef MANSIO_CHECK
/* Killed between the steps: nothing is in new/ that no result could have been given for, unless it is whole.
 */
static void program_killed(void **state)
{
    static const struct {
        const char *fault;
        int in_new;
    } cases[] = {
        { "agent.file.create:crash", 0 }, { "agent.file.write:crash", 0 },  { "agent.file.sync:crash", 0 },
        { "agent.file.rename:crash", 0 }, { "agent.new.sync:crash", 1 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        pid_t pid = program_start(64, AS_CALLER, cases[i].fault);
        int status;

        send_deposit(5, SV("hello"), 5, -1, 0);
        peer_wait(1);
        assert_int_equal(peer.results, 0);
        assert_int_equal(peer.lost, 1);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        assert_int_equal(scratch_count(&scratch, "user/new"), cases[i].in_new);
        peer_close();
        scratch_remove(&scratch);
    }
}
#endif

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(all_forms),
        T(early_result),
        T(aborted),
        T(pipelined),
        T(lost_in_the_middle),
        T(nonsense),
        T(ends_when_idle),
        T(ends_when_idle_but_not_yet),
        T(ends_when_nothing_comes),
        cmocka_unit_test(program_as_caller),
        cmocka_unit_test(program_as_somebody),
        cmocka_unit_test(program_follows_no_link),
#ifdef MANSIO_CHECK
        cmocka_unit_test(program_killed),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
