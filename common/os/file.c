/* file.c - files and directories by descriptor */
#include "common/os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/os/fd.h"

#define SEALS (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)

int file_openat(int dirfd, const char *name, int flags, mode_t mode)
{
    int fd;

    do {
        fd = openat(dirfd, name, flags | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC | O_NONBLOCK, mode);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

int file_opendirat(int dirfd, const char *name)
{
    return file_openat(dirfd, name, O_RDONLY | O_DIRECTORY, 0);
}

int file_mkdirat(int dirfd, const char *name, mode_t mode)
{
    if (mkdirat(dirfd, name, mode) < 0 && errno != EEXIST)
        return -1;
    return file_opendirat(dirfd, name);
}

bool file_read(int fd, struct buf *out, struct err *err)
{
    struct stat st;
    size_t size, old = out->len;
    ssize_t n;
    char *dst;

    if (fstat(fd, &st) < 0)
        return err_sys(err, "stat");
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_PERM, "not a regular file");
    size = (size_t)st.st_size;
    dst = buf_reserve(out, size);
    if (!dst)
        return err_set(err, ERR_LIMIT, "%zu bytes, more than the limit of %zu", size, out->max);
    n = fd_pread_full(fd, dst, size, 0);
    if (n < 0)
        return err_sys(err, "read");
    buf_commit(out, (size_t)n);
    if ((size_t)n != size) {
        buf_cut(out, old);
        return err_set(err, ERR_TEMP, "the file became shorter while it was read");
    }
    return true;
}

int file_seal(const char *name, struct strv contents, struct err *err)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0) {
        err_sys(err, "memfd %s", name);
        return -1;
    }
    if (fd_write_full(fd, contents.p, contents.n) && fcntl(fd, F_ADD_SEALS, SEALS) == 0)
        return fd;
    err_sys(err, "fill memfd %s", name);
    fd_close(&fd);
    return -1;
}

bool file_read_sealed(int fd, struct buf *out, struct err *err)
{
    int seals = fcntl(fd, F_GET_SEALS);

    if (seals < 0 || (seals & SEALS) != SEALS)
        return err_set(err, ERR_PROTO, "the descriptor is not a sealed memfd");
    return file_read(fd, out, err);
}
