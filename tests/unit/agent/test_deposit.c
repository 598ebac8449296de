/* test_deposit.c - one message into one mailbox: all ways in which it comes, all ways in which it fails */
#include "tests/support/unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/os/fault.h"
#include "common/os/fd.h"
#include "deliverd/agent/deposit.h"
#include "tests/unit/agent/scratch.h"

#define OWN "Return-Path: <s@x.example>\nDelivered-To: u@b.example\n"

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

static struct deposit_request request(struct strv data, uint64_t size)
{
    return (struct deposit_request){ .path = SV("user/"),
                                     .rcpt = SV("u@b.example"),
                                     .sender = SV("s@x.example"),
                                     .data = data,
                                     .size = size,
                                     .body_fd = -1 };
}

static int body_of(const char *text, size_t n)
{
    int fd = memfd_create("body", MFD_CLOEXEC);

    assert_true(fd >= 0 && fd_write_full(fd, text, n));
    return fd;
}

static void expect_result(const char *name, enum ipc_outcome outcome, const char *enhanced, const char *words)
{
    if (d.state != DEPOSIT_DONE || d.result.outcome != outcome || strcmp(d.result.enhanced, enhanced) != 0 ||
        !strstr(d.result.text, words))
        fail_msg("%s: state %d, outcome %d %s %s", name, d.state, d.result.outcome, d.result.enhanced,
                 d.result.text);
    if (outcome == OUTCOME_DELIVERED)
        return;
    if (scratch_count(&scratch, "user/tmp") > 0 || scratch_count(&scratch, "user/new") > 0)
        fail_msg("%s left something", name);
}

/* The only message, and then the mailbox is emptied. */
static void expect_stored(const char *name, const char *want)
{
    struct buf got;
    char file[256], path[300];

    expect_result(name, OUTCOME_DELIVERED, "2.0.0", "user/");
    buf_init(&got, 8 << 20);
    assert_int_equal(scratch_count(&scratch, "user/tmp"), 0);
    scratch_only(&scratch, "user/new", file, &got);
    expect_text(name, buf_view(&got), want);
    buf_clear(&got);
    snprintf(path, sizeof path, "user/new/%s", file);
    assert_int_equal(unlinkat(scratch.fd, path, 0), 0);
}

static void in_one_piece(void **state)
{
    struct deposit_request r = request(SV("Subject: x\r\n\r\nhello\r\n"), 21);

    (void)state;
    assert_int_equal(deposit_begin(&d, &r), DEPOSIT_DONE);
    expect_stored("one piece", OWN "Subject: x\n\nhello\n");
    assert_int_equal(deposit_end(&d), DEPOSIT_DONE);
    r = request(SV(""), 0);
    r.sender = SV("");
    assert_int_equal(deposit_begin(&d, &r), DEPOSIT_DONE);
    expect_stored("nothing", "Return-Path: <>\nDelivered-To: u@b.example\n");
    deposit_tidy(&d);
}

/* Cut into DATA, chunks and descriptor at all pairs of places. */
static void in_pieces(void **state)
{
    static const char message[] = "A: b\r\n c\r\n\r\nx\r\r\ny\rz";
    const size_t n = sizeof message - 1;

    (void)state;
    for (size_t i = 0; i <= n; i++) {
        for (size_t k = i; k <= n; k++) {
            struct deposit_request r = request(strv_make(message, i), n);

            if (k < n) {
                r.body_size = n - k;
                r.body_fd = body_of(message + k, n - k);
            }
            deposit_begin(&d, &r);
            for (size_t at = i; at < k; at += 2)
                deposit_chunk(&d, strv_make(message + at, k - at < 2 ? k - at : 2));
            assert_int_equal(deposit_end(&d), DEPOSIT_DONE);
            expect_stored("pieces", OWN "A: b\n c\n\nx\r\ny\rz");
        }
    }
}

static void large(void **state)
{
    const size_t n = 1000 * 1000;
    char *body = malloc(n + 1);
    struct buf want;
    struct deposit_request r = request(SV("\r\n"), n + 2);

    (void)state;
    memset(body, 'x', n);
    body[n] = '\0';
    r.body_size = n;
    r.body_fd = body_of(body, n);
    assert_int_equal(deposit_begin(&d, &r), DEPOSIT_DONE);
    buf_init(&want, 2 * n);
    buf_addf(&want, "%s\n%s", OWN, body);
    expect_stored("descriptor", buf_cstr(&want));
    r = request(SV("\r\n"), n + 2);
    assert_int_equal(deposit_begin(&d, &r), DEPOSIT_TAKING);
    for (size_t at = 0; at < n; at += IPC_CHUNK_MAX)
        assert_int_equal(deposit_chunk(&d, strv_sub(strv_make(body, n), at, IPC_CHUNK_MAX)), DEPOSIT_TAKING);
    assert_int_equal(deposit_end(&d), DEPOSIT_DONE);
    expect_stored("chunks", buf_cstr(&want));
    buf_clear(&want);
    free(body);
}

static void sizes_that_do_not_fit(void **state)
{
    struct deposit_request r = request(SV("hello"), 4);

    (void)state;
    deposit_begin(&d, &r);
    expect_result("too much at once", OUTCOME_DEFERRED, "4.3.0", "5 bytes instead of 4");
    r = request(SV("hello"), 6);
    assert_int_equal(deposit_begin(&d, &r), DEPOSIT_TAKING);
    deposit_end(&d);
    expect_result("ended too early", OUTCOME_DEFERRED, "4.3.0", "5 bytes instead of 6");
    deposit_begin(&d, &r);
    deposit_chunk(&d, SV("xy"));
    expect_result("too much in a chunk", OUTCOME_DEFERRED, "4.3.0", "7 bytes instead of 6");
    assert_int_equal(deposit_chunk(&d, SV("more")), DEPOSIT_DONE);
    assert_int_equal(deposit_end(&d), DEPOSIT_DONE);
    r.body_size = 1;
    r.body_fd = body_of("xy", 2);
    deposit_begin(&d, &r);
    expect_result("file too long", OUTCOME_DEFERRED, "4.3.0", "2 bytes instead of 1");
    r.body_size = 1;
    r.body_fd = body_of("", 0);
    deposit_begin(&d, &r);
    expect_result("file too short", OUTCOME_DEFERRED, "4.3.0", "0 bytes instead of 1");
    r.body_size = 2;
    r.body_fd = body_of("xy", 2);
    deposit_begin(&d, &r);
    expect_result("too much with the file", OUTCOME_DEFERRED, "4.3.0", "7 bytes instead of 6");
    r = request(SV("hello"), 10);
    r.body_size = 3;
    r.body_fd = body_of("xyz", 3);
    assert_int_equal(deposit_begin(&d, &r), DEPOSIT_TAKING);
    deposit_chunk(&d, SV("123"));
    expect_result("chunk where the file begins", OUTCOME_DEFERRED, "4.3.0", "11 bytes instead of 10");
    r.body_fd = -1;
    deposit_begin(&d, &r);
    expect_result("no descriptor", OUTCOME_DEFERRED, "4.3.0", "missing");
}

/* The file became shorter after it was looked at. */
static void body_shrinks(void **state)
{
    struct deposit_request r = request(SV("hello"), 10);
    int fd = body_of("xyz", 3);

    (void)state;
    r.body_size = 3;
    r.body_fd = dup(fd);
    assert_int_equal(deposit_begin(&d, &r), DEPOSIT_TAKING);
    assert_int_equal(deposit_chunk(&d, SV("12")), DEPOSIT_TAKING);
    assert_int_equal(ftruncate(fd, 1), 0);
    deposit_end(&d);
    expect_result("shrunk", OUTCOME_DEFERRED, "4.3.0", "1 bytes instead of 3");
    close(fd);
}

static void forwarding_loop(void **state)
{
    struct deposit_request r = request(SV("Delivered-To: U@B.example\r\n\r\nx"), 30);

    (void)state;
    deposit_begin(&d, &r);
    expect_result("loop", OUTCOME_FAILED, "5.4.6", "mail forwarding loop for u@b.example");
    r = request(SV("Delivered-To: v@b.example\r\n\r\nx"), 30);
    deposit_begin(&d, &r);
    expect_stored("no loop", OWN "Delivered-To: v@b.example\n\nx");
}

static void requests_that_cannot_be(void **state)
{
    struct deposit_request r = request(SV("x"), 1);

    (void)state;
    r.kind = 7;
    deposit_begin(&d, &r);
    expect_result("kind", OUTCOME_DEFERRED, "4.3.5", "kind 7");
    r = request(SV("x"), 1);
    r.path = SV("../user");
    deposit_begin(&d, &r);
    expect_result("path", OUTCOME_DEFERRED, "4.3.5", "../user");
    r = request(SV("x"), 1);
    r.rcpt = strv_make("a\0b", 3);
    deposit_begin(&d, &r);
    expect_result("recipient", OUTCOME_DEFERRED, "4.3.5", "address");
    r = request(SV("x"), 1);
    scratch_write(&scratch, "file", SV("x"));
    r.path = SV("file");
    deposit_begin(&d, &r);
    expect_result("in the way", OUTCOME_DEFERRED, "4.2.0", "file is in the way");
}

static void quota(void **state)
{
    struct deposit_request r = request(SV("12345"), 5);

    (void)state;
    r.quota = 1000;
    deposit_begin(&d, &r);
    expect_stored("room", OWN "12345");
    scratch_write(&scratch, "user/cur/1.x,S=995:2,S", SV(""));
    deposit_begin(&d, &r);
    expect_stored("just enough", OWN "12345");
    r.size = 6;
    deposit_begin(&d, &r);
    expect_result("one too many", OUTCOME_DEFERRED, "4.2.2", "mailbox full: 995 of 1000");
    r.size = UINT64_MAX;
    deposit_begin(&d, &r);
    expect_result("absurd", OUTCOME_DEFERRED, "4.2.2", "mailbox full");
}

static void abort_leaves_nothing(void **state)
{
    struct deposit_request r = request(SV("hello"), 6);

    (void)state;
    assert_int_equal(deposit_begin(&d, &r), DEPOSIT_TAKING);
    assert_int_equal(scratch_count(&scratch, "user/tmp"), 1);
    deposit_abort(&d);
    assert_int_equal(d.state, DEPOSIT_IDLE);
    assert_int_equal(scratch_count(&scratch, "user/tmp"), 0);
    assert_int_equal(scratch_count(&scratch, "user/new"), 0);
    assert_int_equal(deposit_end(&d), DEPOSIT_IDLE);
}

#ifdef MANSIO_CHECK
static void failures(void **state)
{
    static const struct {
        const char *fault, *enhanced;
    } cases[] = {
        { "agent.dir.make:ENOSPC", "4.3.1" },   { "agent.dir.make:EACCES", "4.2.0" },
        { "agent.dir.sync:EIO", "4.3.0" },      { "agent.file.create:EDQUOT", "4.2.2" },
        { "agent.file.create:EROFS", "4.3.0" }, { "agent.file.create:EMFILE", "4.3.0" },
        { "agent.file.write:ENOSPC", "4.3.1" }, { "agent.file.write:EDQUOT", "4.2.2" },
        { "agent.file.write:EFBIG", "4.3.1" },  { "agent.file.write:EIO", "4.3.0" },
        { "agent.file.sync:EIO", "4.3.0" },     { "agent.file.sync:EDQUOT", "4.2.2" },
        { "agent.file.rename:EACCES", "4.2.0" }, { "agent.file.rename:ENOSPC", "4.3.1" },
        { "agent.new.sync:EIO", "4.3.0" },      { "agent.body.read:EIO", "4.3.0" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct deposit_request r = request(SV("x\r\n"), 6);
        struct err err = { 0 };

        r.body_size = 3;
        r.body_fd = body_of("y\r\n", 3);
        assert_true(fault_arm(SV(cases[i].fault), &err));
        deposit_begin(&d, &r);
        fault_disarm_all();
        expect_result(cases[i].fault, OUTCOME_DEFERRED, cases[i].enhanced, "");
        if (strncmp(cases[i].fault, "agent.body", 10) != 0)
            assert_non_null(strstr(d.result.text, scratch.path));
        r.body_fd = body_of("y\r\n", 3);
        deposit_begin(&d, &r);
        expect_stored(cases[i].fault, OWN "x\ny\n");
        deposit_abort(&d);
        scratch_remove(&scratch);
        setup(NULL);
    }
}

/* The second piece of a large message does not fit any more. */
static void full_in_the_middle(void **state)
{
    static char piece[IPC_CHUNK_MAX];
    struct deposit_request r = request(SV(""), 10 * sizeof piece);
    struct err err = { 0 };

    (void)state;
    memset(piece, 'x', sizeof piece);
    assert_int_equal(deposit_begin(&d, &r), DEPOSIT_TAKING);
    assert_int_equal(deposit_chunk(&d, strv_make(piece, sizeof piece)), DEPOSIT_TAKING);
    assert_int_equal(deposit_chunk(&d, strv_make(piece, sizeof piece)), DEPOSIT_TAKING);
    assert_true(fault_arm(SV("agent.file.write:ENOSPC"), &err));
    assert_int_equal(deposit_chunk(&d, strv_make(piece, sizeof piece)), DEPOSIT_DONE);
    expect_result("full", OUTCOME_DEFERRED, "4.3.1", "No space left on device");
}
#endif

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(in_one_piece),
        T(in_pieces),
        T(large),
        T(sizes_that_do_not_fit),
        T(body_shrinks),
        T(forwarding_loop),
        T(requests_that_cannot_be),
        T(quota),
        T(abort_leaves_nothing),
#ifdef MANSIO_CHECK
        T(failures),
        T(full_in_the_middle),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
