/* body.c - reading messages piece by piece */
#include "deliverd/body.h"

#include "common/os/fd.h"

#define READ_MAX 65536u

bool body_init(struct body *b, uint64_t size, uint64_t fd_size, struct strv first, int fd)
{
    *b = (struct body){ .size = size, .fd_size = fd_size, .fd = fd, .first = first };
    buf_init(&b->more, BODY_RAM_MAX);
    if (fd_size <= size && (fd_size == 0) == (fd < 0) && first.n <= size - fd_size &&
        size - fd_size <= BODY_RAM_MAX)
        return true;
    body_clear(b);
    return false;
}

void body_clear(struct body *b)
{
    fd_close(&b->fd);
    buf_clear(&b->more);
}

size_t body_ram_size(const struct body *b)
{
    return (size_t)(b->size - b->fd_size);
}

bool body_add(struct body *b, struct strv bytes)
{
    if (bytes.n > body_ram_size(b) - b->first.n - b->more.len)
        return false;
    buf_addv(&b->more, bytes);
    return true;
}

bool body_is_complete(const struct body *b)
{
    return b->first.n + b->more.len == body_ram_size(b);
}

struct strv body_ram(const struct body *b, uint64_t at, size_t max)
{
    if (at < b->first.n)
        return strv_sub(b->first, (size_t)at, max);
    return strv_sub(buf_view(&b->more), (size_t)(at - b->first.n), max);
}

enum client_body body_read(const struct body *b, uint64_t *at, size_t max, struct strv *piece)
{
    static char space[READ_MAX];
    size_t ram = body_ram_size(b);
    ssize_t n;

    if (*at >= b->size)
        return CLIENT_BODY_END;
    if (*at < ram) {
        *piece = body_ram(b, *at, max);
        *at += piece->n;
        return piece->n ? CLIENT_BODY_PIECE : CLIENT_BODY_BROKEN;
    }
    if (max > READ_MAX)
        max = READ_MAX;
    if (max > b->size - *at)
        max = (size_t)(b->size - *at);
    n = fd_pread_full(b->fd, space, max, (off_t)(*at - ram));
    if (n < 0 || (size_t)n != max)
        return CLIENT_BODY_BROKEN;
    *piece = strv_make(space, max);
    *at += max;
    return CLIENT_BODY_PIECE;
}
