/* replace.c - changing a file that daemons read: locked, whole or not at all, owner and mode kept */
#include "mtactl/replace.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/os/fd.h"
#include "common/os/file.h"

#define POLL_US  20000
#define TRIES    1000
#define TMP_ROOM 64

/* Where the name leads to: the link stays a link. */
static bool path_resolve(struct replace *r, const char *path, struct err *err)
{
    char real[PATH_MAX];
    char *slash;
    int n = realpath(path, real) ? snprintf(r->path, sizeof r->path, "%s", real)
                                 : snprintf(r->path, sizeof r->path, "%s", path);

    if (n >= (int)sizeof r->path)
        return err_set(err, ERR_LIMIT, "the path is too long");
    slash = strrchr(r->path, '/');
    r->name = slash ? slash + 1 : r->path;
    if (!slash) {
        r->dir = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    } else {
        *slash = '\0';
        r->dir = open(slash == r->path ? "/" : r->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        *slash = '/';
    }
    return r->dir >= 0 || err_sys(err, "the directory of %s", r->path);
}

/* Whoever had the lock may have put another file there. */
static bool is_current(const struct replace *r)
{
    struct stat now;

    return fstatat(r->dir, r->name, &now, AT_SYMLINK_NOFOLLOW) == 0 && now.st_dev == r->st.st_dev &&
           now.st_ino == r->st.st_ino;
}

static bool lock(struct replace *r, int64_t until_ms, struct err *err)
{
    while (flock(r->fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return err_sys(err, "lock %s", r->path);
        if (clock_mono_ms() >= until_ms)
            return err_set(err, ERR_TEMP, "%s is being changed by somebody else; try again", r->path);
        usleep(POLL_US);
    }
    return true;
}

static bool open_locked(struct replace *r, bool make, int64_t until_ms, struct err *err)
{
    int flags = O_RDONLY | (make ? O_CREAT : 0);

    for (unsigned i = 0; i < TRIES; i++) {
        r->fd = file_openat(r->dir, r->name, flags, 0600);
        if (r->fd < 0)
            return err_sys(err, "open %s", r->path);
        if (!lock(r, until_ms, err))
            return false;
        if (fstat(r->fd, &r->st) < 0)
            return err_sys(err, "%s", r->path);
        if (is_current(r))
            return true;
        fd_close(&r->fd);
    }
    return err_set(err, ERR_TEMP, "%s changes all the time", r->path);
}

bool replace_begin(struct replace *r, const char *path, bool make, int64_t wait_ms, struct buf *contents,
                   struct err *err)
{
    *r = (struct replace){ .dir = -1, .fd = -1 };
    if (!path_resolve(r, path, err) || !open_locked(r, make, clock_mono_ms() + wait_ms, err))
        return false;
    if (!S_ISREG(r->st.st_mode))
        return err_set(err, ERR_PERM, "%s is no regular file", r->path);
    if (r->st.st_nlink > 1)
        return err_set(err, ERR_PERM, "%s has several names (hard links): only one would change", r->path);
    return file_read(r->fd, contents, err);
}

static bool write_new(struct replace *r, int fd, const char *tmp, struct strv contents, struct err *err)
{
    if (!fd_write_full(fd, contents.p, contents.n))
        return err_sys(err, "write beside %s", r->path);
    /* Owner first: a change of owner takes bits of the mode away. */
    if (fchown(fd, r->st.st_uid, r->st.st_gid) < 0)
        return err_sys(err, "keep the owner of %s", r->path);
    if (fchmod(fd, r->st.st_mode & 07777) < 0)
        return err_sys(err, "keep the mode of %s", r->path);
    if (fsync(fd) < 0)
        return err_sys(err, "write beside %s", r->path);
    if (renameat(r->dir, tmp, r->dir, r->name) < 0)
        return err_sys(err, "replace %s", r->path);
    if (fsync(r->dir) < 0)
        return err_sys(err, "the directory of %s", r->path);
    return true;
}

bool replace_commit(struct replace *r, struct strv contents, struct err *err)
{
    char tmp[NAME_MAX + TMP_ROOM];
    bool ok;
    int fd;

    snprintf(tmp, sizeof tmp, ".%.180s.new-%d", r->name, (int)getpid());
    /* The lock is ours, so this name is left of an mtactl that was killed. */
    unlinkat(r->dir, tmp, 0);
    fd = file_openat(r->dir, tmp, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (fd < 0)
        return err_sys(err, "write beside %s", r->path);
    ok = write_new(r, fd, tmp, contents, err);
    if (!ok)
        unlinkat(r->dir, tmp, 0);
    fd_close(&fd);
    return ok;
}

void replace_end(struct replace *r)
{
    fd_close(&r->fd); /* and with it the lock */
    fd_close(&r->dir);
}
