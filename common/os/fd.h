/* fd.h - descriptors: closing once, flags, whole reads and writes */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

/* Closes *fd unless it is -1 and makes it -1; errno stays. */
void fd_close(int *fd);
bool fd_cloexec(int fd, bool on);
bool fd_nonblock(int fd, bool on);

/* Until n bytes or the end of the file; EINTR is not seen. The number read, or -1 with errno. */
ssize_t fd_read_full(int fd, void *dst, size_t n);
ssize_t fd_pread_full(int fd, void *dst, size_t n, off_t at);

/* All n bytes, or false with errno (ENOSPC when the system took none without saying why). */
bool fd_write_full(int fd, const void *src, size_t n);
bool fd_pwrite_full(int fd, const void *src, size_t n, off_t at);
/* The same for several pieces; iov is changed. *done tells how much was written also on failure. */
bool fd_pwritev_full(int fd, struct iovec *iov, int count, off_t at, size_t *done);

/* Two ends of a SOCK_SEQPACKET pair, close-on-exec, not blocking. */
bool fd_seqpacket_pair(int ends[2]);
