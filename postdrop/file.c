/* file.c - one file in drop/: unseen until it is complete and durable */
#include "postdrop/file.h"

#include "common/os/fault.h"
#include "common/os/fd.h"
#include "common/os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

/* Sorts by time; nobody can guess the next one, and no two are the same. */
static bool name_make(struct file *f, bool watched)
{
    struct timespec now;
    uint64_t chance;

    if (getrandom(&chance, sizeof chance, 0) != (ssize_t)sizeof chance ||
        clock_gettime(CLOCK_REALTIME, &now) < 0)
        return false;
    snprintf(f->name, sizeof f->name, ".%011llX%016llX%s",
             (unsigned long long)now.tv_sec * 1000 + (unsigned long long)now.tv_nsec / 1000000,
             (unsigned long long)chance, watched ? "V" : "");
    return true;
}

bool file_begin(struct file *f, const char *directory, bool watched, struct err *err)
{
    f->fd = -1;
    /* Its group may search and write, not read. */
    f->dir = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (f->dir < 0)
        return err_sys(err, "%s", directory);
    if (!name_make(f, watched))
        return err_sys(err, "make a name");
    /* Readable by queued, writable by nobody but this descriptor. */
    f->fd = openat(f->dir, f->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0444);
    if (f->fd < 0)
        return err_sys(err, "make a file in %s", directory);
    return true;
}

bool file_add(struct file *f, struct strv bytes, struct err *err)
{
    if (!fd_write_full(f->fd, bytes.p, bytes.n))
        return err_sys(err, "write to the mail queue");
    return true;
}

bool file_commit(struct file *f, struct err *err)
{
    const char *final = f->name + 1;

    if (os_fsync(f->fd) < 0)
        return err_sys(err, "write to the mail queue");
    if (renameat2(f->dir, f->name, f->dir, final, RENAME_NOREPLACE) < 0 &&
        (errno != EINVAL || renameat(f->dir, f->name, f->dir, final) < 0))
        return err_sys(err, "rename in the mail queue");
    /* The directory cannot be opened for a sync by those who may not read it. A rename changes the file's
       inode too, and syncing that makes the rename durable on file systems that keep a journal. */
    if (os_fsync(f->fd) < 0 && unlinkat(f->dir, final, 0) == 0)
        return err_sys(err, "write to the mail queue");
    memmove(f->name, final, strlen(final) + 1);
    fd_close(&f->fd);
    return true;
}

void file_end(struct file *f)
{
    if (f->fd >= 0)
        unlinkat(f->dir, f->name, 0);
    fd_close(&f->fd);
    fd_close(&f->dir);
}

int file_status(const struct err *err)
{
    switch (err->sys) {
    case EACCES:
    case EPERM:
    case EROFS: return EX_CANTCREAT;
    case ENOENT: /* the mail system was never started */
    case ENOSPC:
    case EDQUOT:
    case EIO:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EINTR: return EX_TEMPFAIL;
    case EFBIG: return EX_CANTCREAT; /* the caller's own limit */
    default: return EX_OSERR;
    }
}
