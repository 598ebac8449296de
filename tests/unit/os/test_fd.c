/* test_fd.c - closing once, whole reads and writes, pairs */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/os/fd.h"

static void close_is_once_and_keeps_errno(void **state)
{
    int fd = memfd_create("x", MFD_CLOEXEC), none = -1;

    (void)state;
    errno = EXDEV;
    fd_close(&fd);
    assert_int_equal(fd, -1);
    fd_close(&fd);
    fd_close(&none);
    assert_int_equal(errno, EXDEV);
}

static void flags_are_set_and_cleared(void **state)
{
    int fd = memfd_create("x", 0);

    (void)state;
    assert_true(fd_cloexec(fd, true));
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_true(fd_cloexec(fd, false));
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
    assert_true(fd_nonblock(fd, true));
    assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    assert_true(fd_nonblock(fd, false));
    assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    fd_close(&fd);
    assert_false(fd_cloexec(-1, true));
    assert_false(fd_nonblock(-1, true));
}

static void reads_and_writes_are_whole(void **state)
{
    int fd = memfd_create("x", MFD_CLOEXEC);
    char got[16];

    (void)state;
    assert_true(fd_write_full(fd, "hello", 5));
    assert_true(fd_write_full(fd, "", 0));
    assert_true(fd_pwrite_full(fd, "world", 5, 5));
    assert_int_equal(fd_pread_full(fd, got, sizeof got, 0), 10);
    assert_memory_equal(got, "helloworld", 10);
    assert_int_equal(lseek(fd, 2, SEEK_SET), 2);
    assert_int_equal(fd_read_full(fd, got, 3), 3);
    assert_memory_equal(got, "llo", 3);
    assert_int_equal(fd_pread_full(fd, got, sizeof got, 100), 0);
    fd_close(&fd);
    assert_int_equal(fd_read_full(-1, got, 1), -1);
    assert_int_equal(fd_pread_full(-1, got, 1, 0), -1);
    assert_false(fd_write_full(-1, "x", 1));
}

static void vectors_are_whole(void **state)
{
    int fd = memfd_create("x", MFD_CLOEXEC);
    char a[] = "ab", b[] = "", c[] = "cde", got[16];
    struct iovec iov[] = {
        {a,  2},
        { b, 0},
        { c, 3}
    };
    size_t done;

    (void)state;
    assert_true(fd_pwritev_full(fd, iov, 3, 4, &done));
    assert_int_equal(done, 5);
    assert_int_equal(fd_pread_full(fd, got, sizeof got, 4), 5);
    assert_memory_equal(got, "abcde", 5);
    iov[0] = (struct iovec){ a, 2 };
    fd_close(&fd);
    assert_false(fd_pwritev_full(fd, iov, 1, 0, &done));
    assert_int_equal(done, 0);
}

/* A full disk, made of a sealed size. */
static void a_short_write_is_a_failure(void **state)
{
    int fd = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    (void)state;
    assert_int_equal(ftruncate(fd, 4), 0);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), 0);
    assert_false(fd_pwrite_full(fd, "12345678", 8, 0));
    fd_close(&fd);
}

static void *slow_reader(void *arg)
{
    static char all[300000];
    int fd = *(int *)arg;

    assert_int_equal(fd_read_full(fd, all, sizeof all), sizeof all);
    return NULL;
}

static void a_pipe_takes_more_than_it_holds(void **state)
{
    static char data[300000];
    int ends[2];
    pthread_t t;

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(pthread_create(&t, NULL, slow_reader, &ends[0]), 0);
    assert_true(fd_write_full(ends[1], data, sizeof data));
    pthread_join(t, NULL);
    fd_close(&ends[0]);
    fd_close(&ends[1]);
}

static void pairs_keep_frames_apart(void **state)
{
    int ends[2];
    char got[16];

    (void)state;
    assert_true(fd_seqpacket_pair(ends));
    assert_int_equal(send(ends[0], "ab", 2, 0), 2);
    assert_int_equal(send(ends[0], "c", 1, 0), 1);
    assert_int_equal(recv(ends[1], got, sizeof got, 0), 2);
    assert_int_equal(recv(ends[1], got, sizeof got, 0), 1);
    assert_int_equal(recv(ends[1], got, sizeof got, 0), -1);
    assert_int_equal(errno, EAGAIN);
    fd_close(&ends[0]);
    fd_close(&ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(close_is_once_and_keeps_errno), cmocka_unit_test(flags_are_set_and_cleared),
        cmocka_unit_test(reads_and_writes_are_whole),    cmocka_unit_test(vectors_are_whole),
        cmocka_unit_test(a_short_write_is_a_failure),    cmocka_unit_test(a_pipe_takes_more_than_it_holds),
        cmocka_unit_test(pairs_keep_frames_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
