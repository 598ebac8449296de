/* fd.c - descriptors: closing once, flags, whole reads and writes */
#include "common/os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

void fd_close(int *fd)
{
    int saved = errno;

    if (*fd >= 0)
        close(*fd); /* Linux frees the number also on EINTR: closing again could hit another file */
    *fd = -1;
    errno = saved;
}

static bool flag_set(int fd, int get, int set, int flag, bool on)
{
    int flags = fcntl(fd, get);
    int wanted;

    if (flags < 0)
        return false;
    wanted = on ? flags | flag : flags & ~flag;
    return wanted == flags || fcntl(fd, set, wanted) == 0;
}

bool fd_cloexec(int fd, bool on)
{
    return flag_set(fd, F_GETFD, F_SETFD, FD_CLOEXEC, on);
}

bool fd_nonblock(int fd, bool on)
{
    return flag_set(fd, F_GETFL, F_SETFL, O_NONBLOCK, on);
}

ssize_t fd_read_full(int fd, void *dst, size_t n)
{
    char *p = dst;
    size_t got = 0;

    while (got < n) {
        ssize_t r = read(fd, p + got, n - got);

        if (r == 0)
            break;
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return -1;
        got += (size_t)r;
    }
    return (ssize_t)got;
}

ssize_t fd_pread_full(int fd, void *dst, size_t n, off_t at)
{
    char *p = dst;
    size_t got = 0;

    while (got < n) {
        ssize_t r = pread(fd, p + got, n - got, at + (off_t)got);

        if (r == 0)
            break;
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return -1;
        got += (size_t)r;
    }
    return (ssize_t)got;
}

bool fd_write_full(int fd, const void *src, size_t n)
{
    const char *p = src;

    while (n > 0) {
        ssize_t w = write(fd, p, n);

        if (w < 0 && errno == EINTR)
            continue;
        if (w == 0)
            errno = ENOSPC;
        if (w <= 0)
            return false;
        p += w;
        n -= (size_t)w;
    }
    return true;
}

bool fd_pwrite_full(int fd, const void *src, size_t n, off_t at)
{
    struct iovec iov = { .iov_base = (void *)(uintptr_t)src, .iov_len = n };
    size_t done;

    return fd_pwritev_full(fd, &iov, 1, at, &done);
}

bool fd_pwritev_full(int fd, struct iovec *iov, int count, off_t at, size_t *done)
{
    *done = 0;
    while (count > 0) {
        ssize_t w;

        if (iov->iov_len == 0) {
            iov++;
            count--;
            continue;
        }
        w = pwritev(fd, iov, count < IOV_MAX ? count : IOV_MAX, at + (off_t)*done);
        if (w < 0 && errno == EINTR)
            continue;
        if (w == 0)
            errno = ENOSPC;
        if (w <= 0)
            return false;
        *done += (size_t)w;
        for (size_t left = (size_t)w; left > 0;) {
            size_t part = left < iov->iov_len ? left : iov->iov_len;

            iov->iov_base = (char *)iov->iov_base + part;
            iov->iov_len -= part;
            left -= part;
            if (iov->iov_len == 0) {
                iov++;
                count--;
            }
        }
    }
    return true;
}

bool fd_seqpacket_pair(int ends[2])
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0)
        return true;
    ends[0] = ends[1] = -1;
    return false;
}
