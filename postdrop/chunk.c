/* chunk.c - what goes from sendmail to postdrop */
#include "postdrop/chunk.h"

#include "common/os/fd.h"

#include <errno.h>
#include <stdint.h>

static bool write_one(int fd, const char *p, size_t n)
{
    uint8_t head[4] = { (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n };

    return fd_write_full(fd, head, sizeof head) && (n == 0 || fd_write_full(fd, p, n));
}

bool chunk_write(int fd, const void *p, size_t n)
{
    const char *at = p;

    while (n) {
        size_t part = n < CHUNK_MAX ? n : CHUNK_MAX;

        if (!write_one(fd, at, part))
            return false;
        at += part;
        n -= part;
    }
    return true;
}

bool chunk_write_end(int fd)
{
    return write_one(fd, NULL, 0);
}

ssize_t chunk_read(int fd, void *dst)
{
    uint8_t head[4];
    ssize_t n = fd_read_full(fd, head, sizeof head);
    size_t want;

    if (n == (ssize_t)sizeof head) {
        want = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
        if (want <= CHUNK_MAX) {
            n = want ? fd_read_full(fd, dst, want) : 0;
            if (n == (ssize_t)want)
                return n;
        }
    }
    if (n >= 0)
        errno = EPROTO;
    return -1;
}
