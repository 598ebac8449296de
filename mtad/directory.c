/* directory.c - the directories that daemons live in: made when missing, never believed when they look wrong
 */
#include "mtad/directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/os/fd.h"
#include "common/os/file.h"
#include "conf/conf.h"
#include "conf/mailbox.h"
#include "conf/processes.h"
#include "conf/queue.h"
#include "conf/users.h"
#include "mtad/degraded.h"
#include "mtad/opener.h"

/* mkdir -p; what exists is left as it is. */
static bool parents_make(const char *path, struct err *err)
{
    char part[PATH_MAX];

    if (snprintf(part, sizeof part, "%s", path) >= (int)sizeof part)
        return err_set(err, ERR_CONF, "directory name too long: %s", path);
    for (char *p = part + 1; (p = strchr(p, '/')) != NULL; p++) {
        *p = '\0';
        if (mkdir(part, 0755) < 0 && errno != EEXIST)
            return err_sys(err, "make directory %s", part);
        *p = '/';
    }
    return true;
}

/* Symbolic links in the path are the administrator's; the last component must be the directory itself. */
static int dir_open(const char *path, mode_t mode, struct err *err)
{
    int fd;

    if (!parents_make(path, err))
        return -1;
    fd = file_mkdirat(AT_FDCWD, path, mode);
    if (fd < 0)
        err_sys(err, "directory %s", path);
    return fd;
}

/* What the root of a fresh file system has of its own. */
static bool is_nothing(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, "lost+found") == 0;
}

/* The name of something in it, or nothing. Counting links would show directories only, and on btrfs not even
   these. */
static bool dir_look(int fd, const char *path, char name[NAME_MAX + 1], struct err *err)
{
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    const struct dirent *e;

    name[0] = '\0';
    if (!dir) {
        fd_close(&copy);
        return err_sys(err, "read directory %s", path);
    }
    while (name[0] == '\0' && (e = readdir(dir)) != NULL) {
        if (!is_nothing(e->d_name))
            snprintf(name, NAME_MAX + 1, "%s", e->d_name);
    }
    closedir(dir);
    return true;
}

/* A directory of root's is taken for a daemon when nothing is in it. */
static bool dir_give(int fd, const char *path, const struct identity *id, struct err *err)
{
    char name[NAME_MAX + 1];

    if (!dir_look(fd, path, name, err))
        return false;
    if (name[0] != '\0')
        return err_set(err, ERR_CONF,
                       "%s belongs to root and is not empty, there is %s; "
                       "if it is the right one: chown -R %s: %s", path, name, id->user, path);
    return fchown(fd, id->uid, id->gid) == 0 || err_sys(err, "chown %s", path);
}

/* Makes a directory of one daemon's own. Only an empty one of root's, as we just made it or a package did, is
   given away: anything else in there could be somebody's. */
static bool dir_own(int fd, const char *path, const struct identity *id, mode_t mode, struct err *err)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return err_sys(err, "stat %s", path);
    if (!id->user)
        return st.st_uid == geteuid() ||
               err_set(err, ERR_CONF, "%s belongs to uid %u; without root it must be our own", path,
                       (unsigned)st.st_uid);
    if (st.st_uid == 0 && !dir_give(fd, path, id, err))
        return false;
    if (st.st_uid != 0 && st.st_uid != id->uid)
        return err_set(err, ERR_CONF,
                       "%s belongs to uid %u instead of %s; if it is the right one: chown -R %s: %s", path,
                       (unsigned)st.st_uid, id->user, id->user, path);
    if (id->user && st.st_gid != id->gid && fchown(fd, (uid_t)-1, id->gid) < 0)
        return err_sys(err, "chown %s", path);
    if ((st.st_mode & 07777) != mode && fchmod(fd, mode) < 0)
        return err_sys(err, "chmod %s", path);
    return true;
}

static bool dir_is_empty(int fd, const char *path, struct err *err)
{
    char name[NAME_MAX + 1];

    if (!dir_look(fd, path, name, err))
        return false;
    return name[0] == '\0' ||
           err_set(err, ERR_CONF, "%s must be empty, it is the jail of the daemons; there is %s", path, name);
}

static bool jail_prepare(struct host *h, struct err *err)
{
    const char *runtime = h->conf->processes->runtime;
    char path[PATH_MAX + 8];
    struct stat st;
    int fd = dir_open(runtime, 0755, err);

    if (fd < 0)
        return false;
    snprintf(path, sizeof path, "%s/jail", runtime);
    h->jail_fd = file_mkdirat(fd, "jail", 0555);
    fd_close(&fd);
    if (h->jail_fd < 0 || fstat(h->jail_fd, &st) < 0)
        return err_sys(err, "directory %s", path);
    if (h->privileged && st.st_uid != 0 && fchown(h->jail_fd, 0, 0) < 0)
        return err_sys(err, "chown %s", path);
    if (fchmod(h->jail_fd, 0555) < 0)
        return err_sys(err, "chmod %s", path);
    return dir_is_empty(h->jail_fd, path, err);
}

/* A directory of its own below processes.state. */
static int own_prepare(struct host *h, const char *name, enum role role, struct err *err)
{
    const char *state = h->conf->processes->state;
    char path[PATH_MAX + 16];
    int fd = dir_open(state, 0755, err), own;

    if (fd < 0)
        return -1;
    snprintf(path, sizeof path, "%s/%s", state, name);
    own = file_mkdirat(fd, name, 0700);
    fd_close(&fd);
    if (own < 0)
        err_sys(err, "directory %s", path);
    else if (!dir_own(own, path, &h->ids[role], 0700, err))
        fd_close(&own);
    return own;
}

/* Mail needs no history: a full disk at the first start after an upgrade must not keep it waiting. */
static void history_prepare(struct host *h)
{
    struct err err = { 0 };
    char text[sizeof err.text + 64];

    if (!graph_count(h->conf, ROLE_HISTORYD))
        return;
    h->history_fd = own_prepare(h, "historyd", ROLE_HISTORYD, &err);
    if (h->history_fd >= 0)
        return;
    snprintf(text, sizeof text, "there is no history until the next start: %s", err.text);
    degraded_set(h, "history", text, "mtactl check --install repairs it; then restart the service");
}

static bool state_prepare(struct host *h, struct err *err)
{
    h->state_fd = own_prepare(h, "mapd", ROLE_MAPD, err);
    if (h->state_fd >= 0)
        history_prepare(h);
    return h->state_fd >= 0;
}

/* A root that nobody wrote (postmaster's) is ours to make; those of the configuration must exist. */
static bool root_make(const struct host *h, const struct mailbox_root *r, struct err *err)
{
    const char *path = r->section->root;
    struct stat st;
    int fd = dir_open(path, 0700, err);
    bool ok;

    if (fd < 0)
        return false;
    ok = fstat(fd, &st) == 0 && (!h->privileged || st.st_uid != 0 || fchown(fd, r->uid, r->gid) == 0);
    if (!ok)
        err_sys(err, "directory %s", path);
    fd_close(&fd);
    return ok;
}

bool directory_roots(struct host *h, struct err *err)
{
    for (size_t i = 0; i < h->conf->mailbox_n; i++) {
        struct mailbox_root *r = &h->mailboxes[i];
        char where[512];

        if (r->section->root[0] == '\0')
            continue;
        if (conf_where(&r->section->head, "mailbox", "root").line == 0 && !root_make(h, r, err))
            return false;
        r->fd = opener_wait(h, r->section->root, O_RDONLY | O_DIRECTORY, err);
        if (r->fd >= 0)
            continue;
        conf_where_text(conf_where(&r->section->head, "mailbox", "root"), where, sizeof where);
        return err_wrap(err, "%s: root", where);
    }
    return true;
}

/* Where postdrop leaves mail: its group may search the spool for it and make files there, not read or touch
   what others made (sticky). */
static bool drop_prepare(struct host *h, const struct identity *id, struct err *err)
{
    char path[PATH_MAX + 8];
    int fd = file_mkdirat(h->spool_fd, "drop", 0700);
    bool ok;

    snprintf(path, sizeof path, "%s/drop", h->conf->queue->directory);
    if (fd < 0)
        return err_sys(err, "directory %s", path);
    ok = dir_own(fd, path, id, id->user ? 01730 : 0700, err);
    fd_close(&fd);
    return ok;
}

static bool spool_prepare(struct host *h, struct err *err)
{
    const char *spool = h->conf->queue->directory;
    struct identity id = h->ids[ROLE_QUEUED];
    const char *name = h->conf->users->drop;
    const struct group *gr;

    if (id.user) {
        gr = getgrnam(name);
        if (!gr || gr->gr_gid == 0)
            return err_set(err, ERR_CONF,
                           "there is no group %s for local submission, or it is root's; make it "
                           "with: groupadd --system %s", name, name);
        id.gid = gr->gr_gid;
    }
    h->spool_fd = dir_open(spool, 0700, err);
    if (h->spool_fd < 0 || !dir_own(h->spool_fd, spool, &id, id.user ? 0710 : 0700, err))
        return false;
    return drop_prepare(h, &id, err);
}

bool directory_prepare(struct host *h, struct err *err)
{
    if (!spool_prepare(h, err))
        return false;
    return state_prepare(h, err) && jail_prepare(h, err) && directory_roots(h, err);
}
