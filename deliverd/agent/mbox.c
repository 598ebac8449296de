/* mbox.c - one file that holds many messages: opening, locking, appending, and leaving it as it was */
#include "deliverd/agent/mbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/os/fault.h"
#include "common/os/fd.h"
#include "common/os/file.h"

#define WAIT_MS 100

static bool fail_sys(const struct mbox *b, const char *what, struct err *err)
{
    int sys = errno;

    err_set(err, ERR_TEMP, "%s: %s (mailbox %s)", what, strerror(sys), b->shown);
    err->sys = sys;
    return false;
}

static bool fail_object(const struct mbox *b, const char *why, struct err *err)
{
    return err_set(err, ERR_PERM, "the file %s (mailbox %s)", why, b->shown);
}

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* False: the time is over. */
static bool wait_more(int64_t until)
{
    struct timespec t = { .tv_nsec = WAIT_MS * 1000000L };

    if (now_ms() >= until)
        return false;
    nanosleep(&t, NULL);
    return true;
}

/* ---- FILE.lock ---- */

/* Whoever held it is gone, or asleep for minutes; the kernel's lock still stands between us. */
static void lock_remove_stale(struct mbox *b)
{
    struct stat st;
    time_t now = time(NULL);

    if (fstatat(b->dir.dir_fd, b->lock, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_mtime > now - MBOX_STALE_S)
        return;
    if (unlinkat(b->dir.dir_fd, b->lock, 0) == 0)
        LOG(WARN, "agent.lock.stale", KS("mailbox", b->shown), KI("delay", (int64_t)(now - st.st_mtime)));
}

static bool lock_make(struct mbox *b, int64_t until, struct err *err)
{
    char pid[24];
    int fd;

    while ((fd = file_openat(b->dir.dir_fd, b->lock, O_WRONLY | O_CREAT | O_EXCL, 0600)) < 0) {
        /* A directory where the owner may write nothing but the file: the kernel's lock has to do. */
        if (errno == EACCES || errno == EPERM || errno == EROFS)
            return true;
        if (errno != EEXIST)
            return fail_sys(b, "make the lock file", err);
        lock_remove_stale(b);
        if (wait_more(until))
            continue;
        errno = EAGAIN;
        return fail_sys(b, "somebody holds the lock file", err);
    }
    b->locked = true;
    snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (!fd_write_full(fd, pid, strlen(pid)))
        pid[0] = '\0'; /* only its name counts */
    fd_close(&fd);
    return true;
}

static void unlock(struct mbox *b)
{
    if (b->locked && unlinkat(b->dir.dir_fd, b->lock, 0) < 0 && errno != ENOENT)
        LOG(WARN, "agent.lock.left", KS("mailbox", b->shown), KS("error", strerror(errno)));
    b->locked = false;
}

/* ---- the file ---- */

static bool file_check(const struct mbox *b, struct stat *st, struct err *err)
{
    if (fstat(b->fd, st) < 0)
        return fail_sys(b, "stat the file", err);
    if (!S_ISREG(st->st_mode))
        return fail_object(b, "is no regular file", err);
    if (st->st_uid != b->dir.place->uid)
        return fail_object(b, "belongs to somebody else", err);
    if (st->st_nlink > 1)
        return fail_object(b, "has several names", err);
    return true;
}

static bool file_open(struct mbox *b, struct err *err)
{
    const int flags = O_RDWR | O_APPEND;

    errno = FAULT_POINT("agent.file.create");
    b->fd = errno ? -1 : file_openat(b->dir.dir_fd, b->name, flags, 0);
    if (b->fd < 0 && errno == ENOENT) {
        b->fd = file_openat(b->dir.dir_fd, b->name, flags | O_CREAT | O_EXCL, 0600);
        b->created = b->fd >= 0;
    }
    if (b->fd >= 0)
        return true;
    if (errno == ELOOP || errno == EISDIR || errno == ENXIO)
        return fail_object(b, "is in the way: no regular file, and links are not followed", err);
    return fail_sys(b, "open the file", err);
}

static bool file_lock(struct mbox *b, int64_t until, struct err *err)
{
    struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

    while (fcntl(b->fd, F_OFD_SETLK, &l) < 0) {
        if (errno != EAGAIN && errno != EACCES)
            return fail_sys(b, "lock the file", err);
        if (wait_more(until))
            continue;
        errno = EAGAIN;
        return fail_sys(b, "somebody holds the file's lock", err);
    }
    return true;
}

/* A reader may have replaced the file while we waited for its lock. */
static bool file_is_current(const struct mbox *b, const struct stat *st)
{
    struct stat named;

    return fstatat(b->dir.dir_fd, b->name, &named, AT_SYMLINK_NOFOLLOW) == 0 && named.st_ino == st->st_ino &&
           named.st_dev == st->st_dev;
}

/* Messages are separated by an empty line; a file that was edited may lack it, or the end of its last line.
 */
static bool end_look(struct mbox *b, struct err *err)
{
    char last[2] = { '\n', '\n' };
    size_t n = b->old_size < 2 ? (size_t)b->old_size : 2;

    if (n > 0 && fd_pread_full(b->fd, last + 2 - n, n, (off_t)(b->old_size - n)) != (ssize_t)n)
        return fail_sys(b, "read the end of the file", err);
    b->needs_end = last[1] != '\n';
    b->needs_line = b->needs_end || last[0] != '\n';
    return true;
}

static bool file_take(struct mbox *b, int64_t until, struct err *err)
{
    struct stat st;

    for (unsigned tries = 0; tries < 5; tries++) {
        if (!file_open(b, err) || !file_check(b, &st, err) || !file_lock(b, until, err) ||
            !file_check(b, &st, err))
            return false;
        if (file_is_current(b, &st)) {
            b->old_size = (uint64_t)st.st_size;
            return end_look(b, err);
        }
        b->created = false;
        fd_close(&b->fd);
    }
    errno = EAGAIN;
    return fail_sys(b, "the file is replaced again and again", err);
}

/* ---- the whole ---- */

/* The directory, and the two names in it. */
static bool place_find(struct mbox *b, const struct maildir_place *place, struct strv path, struct err *err)
{
    struct strv dir = strv_make(path.p, 0), name = path;
    size_t at;

    if (strv_rfind(path, '/', &at)) {
        dir = strv_sub(path, 0, at);
        name = strv_from(path, at + 1);
    }
    if (!maildir_reach(&b->dir, place, path, dir, err))
        return false;
    memcpy(b->shown, b->dir.shown, sizeof b->shown);
    if (name.n == 0 || name.n > NAME_MAX - 5 || strv_is(name, ".") || strv_is(name, "..") ||
        !strv_cstr(name, b->name, sizeof b->name))
        return err_set(err, ERR_CONF, "not a path below the mailbox root: %.*s", (int)path.n, path.p);
    snprintf(b->lock, sizeof b->lock, "%.*s.lock", (int)sizeof b->lock - 6, b->name);
    return true;
}

bool mbox_open(struct mbox *b, const struct maildir_place *place, struct strv path, struct err *err)
{
    int64_t until = now_ms() + MBOX_LOCK_MS;

    *b = (struct mbox){ .dir = { .dir_fd = -1, .tmp_fd = -1, .new_fd = -1 }, .fd = -1 };
    if (place_find(b, place, path, err) && lock_make(b, until, err) && file_take(b, until, err))
        return true;
    /* Nothing was appended: what is there stays as it is, but for an empty file of ours. */
    fd_close(&b->fd);
    unlock(b);
    maildir_close(&b->dir);
    return false;
}

static void finish(struct mbox *b)
{
    fd_close(&b->fd);
    unlock(b);
    maildir_close(&b->dir);
}

/* The name of a new file must last as well; a directory that may not be read keeps it when it can. */
static bool dir_is_synced(struct mbox *b)
{
    int fd;
    bool ok;

    if (!b->created)
        return true;
    fd = file_opendirat(b->dir.dir_fd, ".");
    if (fd < 0)
        return errno == EACCES;
    ok = os_fsync(fd) == 0;
    fd_close(&fd);
    return ok;
}

bool mbox_commit(struct mbox *b, struct err *err)
{
    errno = FAULT_POINT("agent.file.sync");
    if (errno != 0 || os_fsync(b->fd) < 0 || !dir_is_synced(b)) {
        fail_sys(b, "sync the file", err);
        mbox_discard(b);
        return false;
    }
    finish(b);
    return true;
}

void mbox_discard(struct mbox *b)
{
    if (b->fd < 0)
        return;
    if (b->created && b->old_size == 0)
        unlinkat(b->dir.dir_fd, b->name, 0);
    else if (ftruncate(b->fd, (off_t)b->old_size) < 0)
        LOG(ERROR, "agent.mbox.damaged", KS("mailbox", b->shown), KI("size", (int64_t)b->old_size),
            KS("error", strerror(errno)));
    finish(b);
}
