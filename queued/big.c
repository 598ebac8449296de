/* big.c - one large body in big/ID, written as it comes */
#include "queued/big.h"

#include "common/base/hash.h"
#include "common/base/id.h"
#include "common/os/fault.h"
#include "common/os/fd.h"
#include "common/os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define BIG_NAME 32

static bool fail(struct err *err, const char *what)
{
    bool full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;

    err_sys(err, "%s a big body", what);
    if (full && err)
        err->cls = ERR_LIMIT;
    return false;
}

static void name_of(const struct big *b, char dst[BIG_NAME])
{
    if (b->id)
        id_text(b->id, dst);
    else
        snprintf(dst, BIG_NAME, "tmp.%llu", (unsigned long long)b->temporary);
}

bool big_create(struct big *b, int dir, struct err *err)
{
    static uint64_t number;
    char name[BIG_NAME];

    *b = (struct big){ .dir = dir, .fd = -1, .temporary = ++number };
    name_of(b, name);
    if ((errno = FAULT_POINT("queued.big.create")) != 0)
        return fail(err, "create");
    /* A file of that name is what a former process left. */
    b->fd = file_openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    return b->fd >= 0 || fail(err, "create");
}

bool big_name(struct big *b, uint64_t id, struct err *err)
{
    char from[BIG_NAME], to[BIG_NAME];

    name_of(b, from);
    id_text(id, to);
    if ((errno = FAULT_POINT("queued.big.name")) != 0 || renameat(b->dir, from, b->dir, to) < 0)
        return fail(err, "name");
    b->id = id;
    return true;
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
    char name[BIG_NAME];

    if (b->fd < 0)
        return;
    fd_close(&b->fd);
    name_of(b, name);
    unlinkat(b->dir, name, 0);
}

void big_unlink(int dir, uint64_t id)
{
    char name[ID_TEXT_SIZE];

    id_text(id, name);
    unlinkat(dir, name, 0);
}
