/* big.c - one large body in big/ID, written as it comes */
#include "queued/big.h"

#include "common/base/hash.h"
#include "common/base/id.h"
#include "common/os/fault.h"
#include "common/os/fd.h"
#include "common/os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static bool fail(struct err *err, const char *what)
{
    bool full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;

    err_sys(err, "%s a big body", what);
    if (full && err)
        err->cls = ERR_LIMIT;
    return false;
}

bool big_create(struct big *b, int dir, uint64_t id, struct err *err)
{
    char name[ID_TEXT_SIZE];

    *b = (struct big){ .dir = dir, .fd = -1, .id = id };
    id_text(id, name);
    if ((errno = FAULT_POINT("queued.big.create")) != 0)
        return fail(err, "create");
    b->fd = file_openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    return b->fd >= 0 || fail(err, "create");
}

bool big_write(struct big *b, struct strv bytes, struct err *err)
{
    if ((errno = FAULT_POINT("queued.big.write")) != 0 || !fd_write_full(b->fd, bytes.p, bytes.n))
        return fail(err, "write");
    b->crc = hash_crc32c(b->crc, bytes.p, bytes.n);
    b->size += bytes.n;
    return true;
}

int big_take(struct big *b)
{
    int fd = b->fd;

    b->fd = -1;
    return fd;
}

void big_abort(struct big *b)
{
    char name[ID_TEXT_SIZE];

    if (b->fd < 0)
        return;
    fd_close(&b->fd);
    id_text(b->id, name);
    unlinkat(b->dir, name, 0);
}
