/* maildir.c - Maildirs below a directory: opening them, unique names, files that are seen when durable */
#include "deliverd/agent/maildir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/os/fault.h"
#include "common/os/fd.h"
#include "common/os/file.h"

#define NAME_TRIES 16
#define HOST_MAX   128 /* bytes of the host in a file name: the whole stays below NAME_MAX */

/* ---- words ---- */

/* Root and path together, the end when that is long: it is what tells mailboxes apart. */
static void shown_make(struct maildir *m, struct strv path)
{
    char whole[8192];
    int n = snprintf(whole, sizeof whole, "%s/%.*s", m->place->root_path, (int)path.n, path.p);
    size_t len = n < 0 ? 0 : (size_t)n < sizeof whole ? (size_t)n : sizeof whole - 1;

    if (len < sizeof m->shown)
        memcpy(m->shown, whole, len + 1);
    else
        snprintf(m->shown, sizeof m->shown, "...%s", whole + len - (sizeof m->shown - 4));
}

static bool fail_sys(const struct maildir *m, const char *what, const char *name, struct err *err)
{
    int sys = errno;

    err_set(err, ERR_TEMP, "%s %s: %s (mailbox %s)", what, name, strerror(sys), m->shown);
    err->sys = sys;
    return false;
}

static bool fail_object(const struct maildir *m, const char *name, const char *why, struct err *err)
{
    return err_set(err, ERR_PERM, "%s %s (mailbox %s)", name, why, m->shown);
}

/* ---- directories ---- */

/* Once something was made in it. fd may be O_PATH, which cannot be synced. */
static bool dir_sync(struct maildir *m, int fd, const char *name, struct err *err)
{
    int again;
    bool ok;

    if (!m->made)
        return true;
    m->made = false;
    again = file_opendirat(fd, ".");
    if (again < 0)
        return fail_sys(m, "open the directory of", name, err);
    errno = FAULT_POINT("agent.dir.sync");
    ok = (errno == 0 && os_fsync(again) == 0) || fail_sys(m, "sync the directory of", name, err);
    fd_close(&again);
    return ok;
}

static bool dir_check(const struct maildir *m, int fd, const char *name, bool root_may, struct err *err)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return fail_sys(m, "stat", name, err);
    if (st.st_uid != m->place->uid && !(root_may && st.st_uid == 0))
        return fail_object(m, name, "belongs to somebody else", err);
    if (st.st_mode & S_IWOTH)
        return fail_object(m, name, "may be written by everybody", err);
    return true;
}

static int dir_open_at(int at, const char *name, bool path_only)
{
    return file_openat(at, name, (path_only ? O_PATH : O_RDONLY) | O_DIRECTORY, 0);
}

/* One directory below at, made when it is missing. -1 with err. */
static int dir_enter(struct maildir *m, int at, const char *name, bool path_only, struct err *err)
{
    int fd = dir_open_at(at, name, path_only);

    if (fd < 0 && errno == ENOENT) {
        errno = FAULT_POINT("agent.dir.make");
        if (errno != 0 || (mkdirat(at, name, 0700) < 0 && errno != EEXIST)) {
            fail_sys(m, "make directory", name, err);
            return -1;
        }
        m->made = true;
        fd = dir_open_at(at, name, path_only);
    }
    if (fd >= 0)
        return fd;
    if (errno == ENOTDIR || errno == ELOOP)
        fail_object(m, name, "is in the way: not a directory, and links are not followed", err);
    else
        fail_sys(m, "open directory", name, err);
    return -1;
}

static bool component_ok(struct strv c)
{
    return c.n > 0 && c.n <= NAME_MAX && !strv_is(c, ".") && !strv_is(c, "..") && !strv_has(c, '\0');
}

/* From the root down to the Maildir itself, one component at a time. */
static bool walk(struct maildir *m, struct strv path, struct err *err)
{
    struct strv rest = path, component;
    int at = m->place->root_fd;

    while (strv_cut(&rest, '/', &component)) {
        char name[NAME_MAX + 1];
        bool ok = false;
        int fd = -1;

        if (!component_ok(component) || !strv_cstr(component, name, sizeof name))
            err_set(err, ERR_CONF, "not a path below the mailbox root: %.*s", (int)path.n, path.p);
        else
            fd = dir_enter(m, at, name, true, err);
        if (fd >= 0)
            ok = dir_check(m, fd, name, rest.p != NULL, err) && dir_sync(m, at, name, err);
        if (at != m->place->root_fd)
            fd_close(&at);
        at = fd;
        if (!ok) {
            fd_close(&at);
            return false;
        }
    }
    m->dir_fd = at;
    return true;
}

/* cur/ is only made, never opened: what lies there is the reader's. */
static bool open_inside(struct maildir *m, struct err *err)
{
    m->tmp_fd = dir_enter(m, m->dir_fd, "tmp", true, err);
    if (m->tmp_fd < 0 || !dir_check(m, m->tmp_fd, "tmp", false, err))
        return false;
    m->new_fd = dir_enter(m, m->dir_fd, "new", false, err);
    if (m->new_fd < 0 || !dir_check(m, m->new_fd, "new", false, err))
        return false;
    if (mkdirat(m->dir_fd, "cur", 0700) == 0)
        m->made = true;
    else if (errno != EEXIST)
        return fail_sys(m, "make directory", "cur", err);
    return dir_sync(m, m->dir_fd, "tmp, new and cur", err);
}

bool maildir_open(struct maildir *m, const struct maildir_place *place, struct strv path, struct err *err)
{
    *m = (struct maildir){ .place = place, .dir_fd = -1, .tmp_fd = -1, .new_fd = -1 };
    if (!path.p)
        path = SV("");
    shown_make(m, path);
    if (path.n > 1 && path.p[path.n - 1] == '/')
        path.n--;
    if (walk(m, path, err) && open_inside(m, err))
        return true;
    maildir_close(m);
    return false;
}

bool maildir_reach(struct maildir *m, const struct maildir_place *place, struct strv path, struct strv dir,
                   struct err *err)
{
    *m = (struct maildir){ .place = place, .dir_fd = -1, .tmp_fd = -1, .new_fd = -1 };
    shown_make(m, path);
    if (dir.n > 0)
        return walk(m, dir, err);
    m->dir_fd = dir_open_at(place->root_fd, ".", true);
    return m->dir_fd >= 0 || fail_sys(m, "open", "the directory", err);
}

void maildir_close(struct maildir *m)
{
    fd_close(&m->new_fd);
    fd_close(&m->tmp_fd);
    fd_close(&m->dir_fd);
}

/* ---- files ---- */

/* A host name in a file name: what a path or a flag separator would be is written as maildir(5) says. */
static void host_write(const char *host, char *dst, size_t size)
{
    size_t n = 0;

    for (; *host && n + 5 < size; host++) {
        if (*host == '/' || *host == ':')
            n += (size_t)snprintf(dst + n, size - n, "%s", *host == '/' ? "\\057" : "\\072");
        else
            dst[n++] = *host;
    }
    dst[n] = '\0';
}

/* Unique: a process number is not used twice within a microsecond, and a process counts. */
static void name_make(const struct maildir *m, char *dst, size_t size)
{
    static unsigned count;
    char host[HOST_MAX];
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    host_write(m->place->hostname, host, sizeof host);
    snprintf(dst, size, "%lld.M%06ldP%dQ%u.%s", (long long)now.tv_sec, now.tv_nsec / 1000, (int)getpid(),
             ++count, host);
}

bool maildir_create(struct maildir *m, struct maildir_file *f, struct err *err)
{
    f->fd = -1;
    for (unsigned i = 0; i < NAME_TRIES; i++) {
        name_make(m, f->name, sizeof f->name);
        errno = FAULT_POINT("agent.file.create");
        if (errno == 0)
            f->fd = file_openat(m->tmp_fd, f->name, O_WRONLY | O_CREAT | O_EXCL, 0600);
        if (f->fd >= 0)
            return true;
        if (errno != EEXIST)
            break;
    }
    return fail_sys(m, "make a file in", "tmp", err);
}

void maildir_discard(struct maildir *m, struct maildir_file *f)
{
    if (f->fd < 0)
        return;
    fd_close(&f->fd);
    if (unlinkat(m->tmp_fd, f->name, 0) < 0 && errno != ENOENT)
        LOG(WARN, "agent.tmp.left", KS("mailbox", m->shown), KS("file", f->name),
            KS("error", strerror(errno)));
}

/* Never over something that lies there. Where the file system cannot do that in one step: a second link. */
static bool move_to_new(struct maildir *m, const char *from, const char *to)
{
    errno = FAULT_POINT("agent.file.rename");
    if (errno == 0 && renameat2(m->tmp_fd, from, m->new_fd, to, RENAME_NOREPLACE) == 0)
        return true;
    if (errno != EINVAL && errno != ENOSYS)
        return false;
    if (linkat(m->tmp_fd, from, m->new_fd, to, 0) < 0)
        return false;
    unlinkat(m->tmp_fd, from, 0); /* should it stay, maildir_clean takes it */
    return true;
}

static bool show_in_new(struct maildir *m, struct maildir_file *f, uint64_t size, struct err *err)
{
    char name[NAME_MAX + 1], base[NAME_MAX + 1];

    memcpy(base, f->name, sizeof base);
    for (unsigned i = 0; i < NAME_TRIES; i++) {
        snprintf(name, sizeof name, "%.220s,S=%llu", base, (unsigned long long)size);
        if (move_to_new(m, f->name, name)) {
            memcpy(f->name, name, sizeof name);
            return true;
        }
        if (errno != EEXIST)
            break;
        name_make(m, base, sizeof base);
    }
    return fail_sys(m, "move the file into", "new", err);
}

void maildir_write_begins(const struct maildir_file *f)
{
    (void)sync_file_range(f->fd, 0, 0, SYNC_FILE_RANGE_WRITE); /* a hint; errors come back from the sync */
}

bool maildir_sync(struct maildir *m, struct maildir_file *f, struct err *err)
{
    errno = FAULT_POINT("agent.file.sync");
    if (errno == 0 && os_fsync(f->fd) == 0)
        return true;
    fail_sys(m, "sync the file in", "tmp", err);
    maildir_discard(m, f);
    return false;
}

bool maildir_show(struct maildir *m, struct maildir_file *f, uint64_t size, struct err *err)
{
    if (!show_in_new(m, f, size, err)) {
        maildir_discard(m, f);
        return false;
    }
    fd_close(&f->fd);
    return true;
}

bool maildir_settle(struct maildir *m, struct maildir_file *f, struct err *err)
{
    errno = FAULT_POINT("agent.new.sync");
    if (errno == 0 && os_fsync(m->new_fd) == 0)
        return true;
    /* It may be gone after a power cut, so it will be sent again: not twice, if that can be helped. */
    fail_sys(m, "sync directory", "new", err);
    unlinkat(m->new_fd, f->name, 0);
    return false;
}

bool maildir_commit(struct maildir *m, struct maildir_file *f, uint64_t size, struct err *err)
{
    return maildir_sync(m, f, err) && maildir_show(m, f, size, err) && maildir_settle(m, f, err);
}
