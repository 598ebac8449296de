/* identity.c - the state of a source, seen by its inode, size and times */
#include "maps/identity.h"

#include "common/base/clock.h"
#include "common/os/file.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define READS 3

static int64_t ms_of(const struct timespec *t)
{
    return (int64_t)t->tv_sec * 1000 + t->tv_nsec / 1000000;
}

bool identity_of(int fd, struct identity *out, struct err *err)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return err_sys(err, "look at the source");
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_CONF, "the source is not a regular file");
    snprintf(out->text, sizeof out->text, "%llx:%llx %lld %lld.%09ld %lld.%09ld",
             (unsigned long long)st.st_dev, (unsigned long long)st.st_ino, (long long)st.st_size,
             (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec, (long long)st.st_ctim.tv_sec,
             st.st_ctim.tv_nsec);
    out->fresh = clock_wall_ms() - ms_of(&st.st_mtim) < IDENTITY_SETTLE_MS;
    return true;
}

bool identity_read(int fd, struct buf *text, struct identity *out, struct err *err)
{
    struct identity after;

    if (!identity_of(fd, out, err))
        return false;
    for (int i = 0; i < READS; i++) {
        buf_reset(text);
        if (!file_read(fd, text, err) || !identity_of(fd, &after, err))
            return false;
        if (strcmp(after.text, out->text) == 0)
            return true;
        *out = after;
    }
    return err_set(err, ERR_TEMP, "it is being written");
}
