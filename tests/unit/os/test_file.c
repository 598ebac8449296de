/* test_file.c - opening below directories, whole files, sealed memfds */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/os/fd.h"
#include "common/os/file.h"

static char dir[] = "/tmp/mansio-file-XXXXXX";
static int dirfd_;

static int setup(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    dirfd_ = open(dir, O_RDONLY | O_DIRECTORY);
    return dirfd_ < 0 ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    unlinkat(dirfd_, "link", 0);
    unlinkat(dirfd_, "file", 0);
    unlinkat(dirfd_, "fifo", 0);
    unlinkat(dirfd_, "sub", AT_REMOVEDIR);
    close(dirfd_);
    return rmdir(dir);
}

/* INCIDENTS 3: what a local user plants in the place of a file is not followed and does not block. */
static void planted_links_and_fifos_do_no_harm(void **state)
{
    int fd;

    (void)state;
    assert_int_equal(symlinkat("/etc/passwd", dirfd_, "link"), 0);
    assert_int_equal(file_openat(dirfd_, "link", O_RDONLY, 0), -1);
    assert_int_equal(errno, ELOOP);
    assert_int_equal(file_openat(dirfd_, "link", O_RDWR | O_CREAT, 0600), -1);
    assert_int_equal(file_opendirat(dirfd_, "link"), -1);
    assert_int_equal(mkfifoat(dirfd_, "fifo", 0600), 0);
    fd = file_openat(dirfd_, "fifo", O_RDONLY, 0);
    assert_true(fd >= 0);
    fd_close(&fd);
}

static void directories_are_made_once(void **state)
{
    int a, b;

    (void)state;
    a = file_mkdirat(dirfd_, "sub", 0700);
    b = file_mkdirat(dirfd_, "sub", 0700);
    assert_true(a >= 0 && b >= 0);
    fd_close(&a);
    fd_close(&b);
    assert_int_equal(file_mkdirat(dirfd_, "no/such", 0700), -1);
    assert_int_equal(file_opendirat(dirfd_, "nothing"), -1);
}

static void files_are_read_whole_or_not_at_all(void **state)
{
    struct err err = { 0 };
    struct buf b;
    int fd = file_openat(dirfd_, "file", O_RDWR | O_CREAT, 0600);

    (void)state;
    assert_true(fd_write_full(fd, "0123456789", 10));
    buf_init(&b, 10);
    assert_true(file_read(fd, &b, &err));
    assert_int_equal(b.len, 10);
    buf_clear(&b);
    buf_init(&b, 9);
    assert_false(file_read(fd, &b, &err));
    assert_int_equal(err.cls, ERR_LIMIT);
    buf_clear(&b);
    fd_close(&fd);
    buf_init(&b, 100);
    assert_false(file_read(dirfd_, &b, &err));
    assert_int_equal(err.cls, ERR_PERM);
    assert_false(file_read(-1, &b, &err));
    buf_clear(&b);
}

static void sealed_means_sealed(void **state)
{
    struct err err = { 0 };
    struct buf b;
    int fd = file_seal("conf", SV_LIT("text"), &err), open_one = memfd_create("x", MFD_ALLOW_SEALING);

    (void)state;
    assert_true(fd >= 0);
    buf_init(&b, 100);
    assert_true(file_read_sealed(fd, &b, &err));
    assert_true(strv_is(buf_view(&b), "text"));
    assert_int_equal(pwrite(fd, "x", 1, 0), -1);
    assert_int_equal(ftruncate(fd, 0), -1);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
    assert_false(file_read_sealed(open_one, &b, &err));
    assert_int_equal(err.cls, ERR_PROTO);
    assert_int_equal(fcntl(open_one, F_ADD_SEALS, F_SEAL_WRITE), 0);
    assert_false(file_read_sealed(open_one, &b, &err));
    buf_clear(&b);
    fd_close(&fd);
    fd_close(&open_one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(planted_links_and_fifos_do_no_harm),
        cmocka_unit_test(directories_are_made_once),
        cmocka_unit_test(files_are_read_whole_or_not_at_all),
        cmocka_unit_test(sealed_means_sealed),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
