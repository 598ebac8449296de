/* test_mbox.c - deposits into mbox files: what is written, what is refused, what a failure leaves */
#include "tests/support/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/os/fault.h"
#include "common/os/fd.h"
#include "common/os/file.h"
#include "deliverd/agent/deposit.h"
#include "tests/unit/agent/scratch.h"

static struct scratch scratch;
static struct deposit d;

static int setup(void **state)
{
    struct maildir_place place;

    (void)state;
    umask(077);
    scratch_make(&scratch);
    place = (struct maildir_place){ scratch.fd, scratch.path, "mx.example.com", geteuid() };
    deposit_init(&d, &place);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fault_disarm_all();
    deposit_abort(&d);
    scratch_remove(&scratch);
    return 0;
}

static void deliver(const char *path, const char *message, size_t step)
{
    struct deposit_request r = { .path = SV(path),
                                 .rcpt = SV("u@b.example"),
                                 .sender = SV("s@x.example"),
                                 .size = strlen(message),
                                 .kind = DEPOSIT_MBOX,
                                 .body_fd = -1 };

    if (deposit_begin(&d, &r) != DEPOSIT_DONE) {
        for (size_t at = 0; at < r.size; at += step)
            deposit_chunk(&d, strv_sub(SV(message), at, step));
        deposit_end(&d);
    }
    assert_int_equal(d.state, DEPOSIT_DONE);
}

static void contents(const char *path, struct buf *out)
{
    int fd = openat(scratch.fd, path, O_RDONLY | O_CLOEXEC);
    struct err err = { 0 };

    buf_init(out, 1 << 20);
    assert_true(fd >= 0);
    assert_true(file_read(fd, out, &err));
    fd_close(&fd);
}

/* The file's text with its From_ lines cut to what does not change. */
static void expect_file(const char *name, const char *path, const char *want)
{
    struct buf got, plain;
    struct strv rest, line;

    contents(path, &got);
    buf_init(&plain, 1 << 20);
    rest = buf_view(&got);
    while (rest.n > 0 && strv_cut(&rest, '\n', &line)) {
        if (strv_starts(line, SV_LIT("From "))) {
            struct tm tm;
            char date[64];

            assert_true(strv_starts(line, SV_LIT("From s@x.example  ")));
            assert_true(strv_cstr(strv_from(line, 18), date, sizeof date));
            assert_non_null(strptime(date, "%a %b %d %H:%M:%S %Y", &tm));
            line = SV("FROM");
        }
        buf_addv(&plain, line);
        if (rest.p)
            buf_addc(&plain, '\n');
    }
    expect_text(name, buf_view(&plain), want);
    buf_clear(&got);
    buf_clear(&plain);
    assert_int_equal(faccessat(scratch.fd, "box.lock", F_OK, 0), -1);
}

#define OWN "FROM\nReturn-Path: <s@x.example>\nDelivered-To: u@b.example\n"

static void expect(enum ipc_outcome outcome, const char *enhanced, const char *words)
{
    if (d.result.outcome != outcome || strcmp(d.result.enhanced, enhanced) != 0 ||
        !strstr(d.result.text, words))
        fail_msg("outcome %d %s %s", d.result.outcome, d.result.enhanced, d.result.text);
}

static void appends(void **state)
{
    struct stat st;

    (void)state;
    deliver("box", "A: b\r\n\r\none\r\n", 100);
    expect(OUTCOME_DELIVERED, "2.0.0", "delivered to mbox");
    expect_file("first", "box", OWN "A: b\n\none\n\n");
    assert_int_equal(fstatat(scratch.fd, "box", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    deliver("box", "A: b\r\n\r\ntwo", 100);
    expect_file("second", "box", OWN "A: b\n\none\n\n" OWN "A: b\n\ntwo\n\n");
    deliver("some/where/box", "A: b\r\n", 100);
    expect_file("below directories", "some/where/box", OWN "A: b\n\n");
}

static void separates_from_what_was_there(void **state)
{
    static const struct {
        const char *there, *then;
    } cases[] = {
        { "x", "x\n\n" }, { "x\n", "x\n\n" }, { "x\n\n", "x\n\n" }, { "", "" }, { "\n", "\n" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char want[200];

        scratch_write(&scratch, "box", SV(cases[i].there));
        deliver("box", "A: b\r\n", 100);
        snprintf(want, sizeof want, "%s%sA: b\n\n", cases[i].then, OWN);
        expect_file(cases[i].there, "box", want);
    }
}

/* mboxrd: what looks like a From_ line gets one more ">", wherever the message was cut. */
static void quotes_from_lines(void **state)
{
    static const char message[] = "From a\r\n\r\nFrom b\r\n>From c\r\n>>>From d\r\nFro\r\nFromage\r\n>\r\n"
                                  " From e\r\nx From f\r\nFrom\r\nlone\nFrom g\r\n\rFrom h\r\n>Fro";

    (void)state;
    for (size_t step = 1; step < sizeof message; step++) {
        unlinkat(scratch.fd, "box", 0);
        deliver("box", message, step);
        expect_file("quoted", "box",
                    OWN ">From a\n\n>From b\n>>From c\n>>>>From d\nFro\nFromage\n>\n"
                        " From e\nx From f\nFrom\nlone\n>From g\n\rFrom h\n>Fro\n\n");
    }
}

/* CVE-2008-2936: whoever may write the directory plants links; nothing is followed, nothing blocks. */
static void refuses_what_is_in_the_way(void **state)
{
    (void)state;
    scratch_write(&scratch, "target", SV("secret\n\n"));
    assert_int_equal(symlinkat("target", scratch.fd, "link"), 0);
    deliver("link", "A: b\r\n", 100);
    expect(OUTCOME_DEFERRED, "4.2.0", "links are not followed");
    assert_int_equal(linkat(scratch.fd, "target", scratch.fd, "hard", 0), 0);
    deliver("hard", "A: b\r\n", 100);
    expect(OUTCOME_DEFERRED, "4.2.0", "has several names");
    assert_int_equal(mkfifoat(scratch.fd, "fifo", 0600), 0);
    deliver("fifo", "A: b\r\n", 100);
    expect(OUTCOME_DEFERRED, "4.2.0", "no regular file");
    assert_int_equal(mkdirat(scratch.fd, "dir", 0700), 0);
    deliver("dir", "A: b\r\n", 100);
    expect(OUTCOME_DEFERRED, "4.2.0", "in the way");
    if (geteuid() == 0) {
        scratch_write(&scratch, "foreign", SV(""));
        assert_int_equal(fchownat(scratch.fd, "foreign", 12345, 12345, 0), 0);
        deliver("foreign", "A: b\r\n", 100);
        expect(OUTCOME_DEFERRED, "4.2.0", "belongs to somebody else");
    }
    deliver("../box", "A: b\r\n", 100);
    expect(OUTCOME_DEFERRED, "4.3.5", "not a path");
    expect_file("untouched", "target", "secret\n\n");
}

static void takes_over_a_stale_lock_file(void **state)
{
    const struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };

    (void)state;
    scratch_write(&scratch, "box.lock", SV("1\n"));
    assert_int_equal(utimensat(scratch.fd, "box.lock", old, 0), 0);
    deliver("box", "A: b\r\n", 100);
    expect(OUTCOME_DELIVERED, "2.0.0", "box");
    expect_file("stale", "box", OWN "A: b\n\n");
}

static void full_mailbox_stays_as_it_is(void **state)
{
    struct deposit_request r = { .path = SV("box"),
                                 .rcpt = SV("u@b.example"),
                                 .sender = SV(""),
                                 .data = SV("A: b\r\n"),
                                 .size = 6,
                                 .kind = DEPOSIT_MBOX,
                                 .quota = 10,
                                 .body_fd = -1 };

    (void)state;
    scratch_write(&scratch, "box", SV("12345\n\n"));
    assert_int_equal(deposit_begin(&d, &r), DEPOSIT_DONE);
    expect(OUTCOME_DEFERRED, "4.2.2", "mailbox full: 7 of 10");
    expect_file("quota", "box", "12345\n\n");
}

static void loop_and_abort_leave_nothing(void **state)
{
    struct deposit_request r = { .path = SV("box"),
                                 .rcpt = SV("u@b.example"),
                                 .sender = SV(""),
                                 .data = SV("A: b\r\n"),
                                 .size = 600,
                                 .kind = DEPOSIT_MBOX,
                                 .body_fd = -1 };

    (void)state;
    deliver("box", "Delivered-To: u@b.example\r\n\r\nx\r\n", 100);
    expect(OUTCOME_FAILED, "5.4.6", "loop");
    assert_int_equal(faccessat(scratch.fd, "box", F_OK, 0), -1);
    scratch_write(&scratch, "box", SV("before\n\n"));
    assert_int_equal(deposit_begin(&d, &r), DEPOSIT_TAKING);
    deposit_abort(&d);
    expect_file("aborted", "box", "before\n\n");
    deposit_abort(&d);
}

#ifdef MANSIO_CHECK
static void full_disk_is_cut_back(void **state)
{
    static const char *const faults[] = { "agent.file.write:ENOSPC", "agent.file.sync:EIO" };

    (void)state;
    for (size_t i = 0; i < COUNT(faults); i++) {
        struct err err = { 0 };

        scratch_write(&scratch, "box", SV("before\n\n"));
        assert_true(fault_arm(SV(faults[i]), &err));
        deliver("box", "A: b\r\n\r\nx\r\n", 100);
        assert_int_equal(d.result.outcome, OUTCOME_DEFERRED);
        expect_file(faults[i], "box", "before\n\n");
        fault_disarm_all();
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(appends, setup, teardown),
        cmocka_unit_test_setup_teardown(separates_from_what_was_there, setup, teardown),
        cmocka_unit_test_setup_teardown(quotes_from_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_what_is_in_the_way, setup, teardown),
        cmocka_unit_test_setup_teardown(takes_over_a_stale_lock_file, setup, teardown),
        cmocka_unit_test_setup_teardown(full_mailbox_stays_as_it_is, setup, teardown),
        cmocka_unit_test_setup_teardown(loop_and_abort_leave_nothing, setup, teardown),
#ifdef MANSIO_CHECK
        cmocka_unit_test_setup_teardown(full_disk_is_cut_back, setup, teardown),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
