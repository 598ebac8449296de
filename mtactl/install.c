/* install.c - check --install: users, directories, modes and the set-id program; root's call repairs them */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/os/fd.h"
#include "conf/conf.h"
#include "conf/history.h"
#include "conf/processes.h"
#include "conf/queue.h"
#include "conf/users.h"
#include "mtactl/command.h"
#include "mtactl/install.h"
#include "mtactl/owned.h"

#define ADMIN_GROUP "mansio-admin"

struct place {
    char path[PATH_MAX];
    bool directory;           /* else a regular file, never made */
    const char *user, *group; /* group NULL: the user's own */
    mode_t mode;
};

struct check {
    struct tool *t;
    struct rows rows;
    bool look; /* repair nothing */
    size_t faults, repaired;
};

static void fault(struct check *c, const char *what, const char *text, const char *outcome)
{
    struct row *r = rows_add(&c->rows, "fault");

    row_put(r, "what", SV(what));
    row_put(r, "fault", SV(text));
    row_put(r, "outcome", SV(outcome));
    c->faults++;
    c->repaired += strcmp(outcome, "repaired") == 0;
}

static void check_user(struct check *c, const char *name)
{
    if (!getpwnam(name))
        fault(c, name, "there is no such user", "make it with create-users.sh of libexec/mansio");
}

static void check_group(struct check *c, const char *name)
{
    if (!getgrnam(name))
        fault(c, name, "there is no such group", "make it with create-users.sh of libexec/mansio");
}

/* Whom a place must belong to. False: that user or group does not exist, which was said already. */
static bool owner_of(const struct place *p, uid_t *uid, gid_t *gid)
{
    const struct passwd *pw = getpwnam(p->user);
    const struct group *gr;

    if (!pw)
        return false;
    *uid = pw->pw_uid;
    *gid = pw->pw_gid;
    if (!p->group)
        return true;
    gr = getgrnam(p->group);
    if (gr)
        *gid = gr->gr_gid;
    return gr != NULL;
}

static bool may_repair(const struct check *c)
{
    errno = EPERM;
    return !c->look;
}

static const char *outcome_of(const struct check *c, bool ok)
{
    if (c->look)
        return "it repairs that";
    return ok ? "repaired" : geteuid() == 0 ? strerror(errno) : "root's call repairs it";
}

static int place_open(struct check *c, const struct place *p)
{
    int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | (p->directory ? O_DIRECTORY : 0);
    int fd = open(p->path, flags);

    if (fd >= 0 || errno != ENOENT) {
        /* Not readable for a stranger is as it should be; stat tells the rest. */
        if (fd < 0 && errno == EACCES && geteuid() != 0)
            fd = open(p->path, O_PATH | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
            fault(c, p->path, strerror(errno), geteuid() == 0 ? "look at it by hand" : "call it as root");
        return fd;
    }
    if (!p->directory) {
        fault(c, p->path, "is missing", "install Mansio again");
        return -1;
    }
    /* 0700 until it has its owner. */
    errno = EACCES;
    fd = !c->look && geteuid() == 0 && mkdir(p->path, 0700) == 0 ? open(p->path, flags) : -1;
    fault(c, p->path, "is missing", outcome_of(c, fd >= 0));
    return fd;
}

/* Several names: somebody may want another file to get rights. */
static bool place_fits(const struct place *p, const struct stat *st)
{
    return p->directory ? S_ISDIR(st->st_mode) : S_ISREG(st->st_mode) && st->st_nlink == 1;
}

/* A change of owner takes set-id bits away, so the mode comes last. */
static void place_check(struct check *c, const struct place *p)
{
    char text[128];
    struct stat st;
    uid_t uid;
    gid_t gid;
    int fd;

    if (!owner_of(p, &uid, &gid) || (fd = place_open(c, p)) < 0)
        return;
    if (fstat(fd, &st) < 0 || !place_fits(p, &st)) {
        fault(c, p->path, p->directory ? "is no directory" : "is no file, or has several names",
              "look at it by hand");
    } else {
        if (st.st_uid != uid || st.st_gid != gid) {
            snprintf(text, sizeof text, "belongs to %u:%u instead of %s:%s", (unsigned)st.st_uid,
                     (unsigned)st.st_gid, p->user, p->group ? p->group : p->user);
            fault(c, p->path, text,
                  outcome_of(c, may_repair(c) && fchown(fd, uid, gid) == 0 && fstat(fd, &st) == 0));
        }
        if ((st.st_mode & 07777) != p->mode) {
            snprintf(text, sizeof text, "has mode %04o instead of %04o", (unsigned)st.st_mode & 07777u,
                     (unsigned)p->mode);
            fault(c, p->path, text, outcome_of(c, may_repair(c) && fchmod(fd, p->mode) == 0));
        }
    }
    fd_close(&fd);
}

static void directory(struct check *c, const char *above, const char *name, struct place p)
{
    p.directory = true;
    if (snprintf(p.path, sizeof p.path, "%s%s", above, name) < (int)sizeof p.path)
        place_check(c, &p);
}

/* Files that a copy of the spool brought with the owners of another machine. */
static void files_check(struct check *c, const char *path, const char *user)
{
    const struct passwd *pw = getpwnam(user);
    char text[128];
    struct owned o;

    if (!pw)
        return;
    owned_check(path, pw->pw_uid, pw->pw_gid, may_repair(c), &o);
    if (o.wrong == 0)
        return;
    snprintf(text, sizeof text, "%zu files in it do not belong to %s", o.wrong, user);
    fault(c, path, text, outcome_of(c, o.mended == o.wrong));
}

/* What queued makes itself, once it is there. */
static void queue_check(struct check *c, const char *spool, const char *user)
{
    static const char *const names[] = { "seg", "state", "big" };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct place p = { .directory = true, .user = user, .mode = 0700 };
        struct stat st;

        if (snprintf(p.path, sizeof p.path, "%s/%s", spool, names[i]) >= (int)sizeof p.path ||
            lstat(p.path, &st) < 0)
            continue;
        place_check(c, &p);
        files_check(c, p.path, user);
    }
}

/* The one set-id program, beside the other programs of this package. */
static void check_postdrop(struct check *c, const char *group)
{
    static const char *const below[] = { "/" MTACTL_LIBEXEC "/postdrop", "/postdrop" };
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash;

    if (n <= 0)
        return;
    self[n] = '\0';
    slash = strrchr(self, '/');
    *slash = '\0';
    for (size_t i = 0; i < sizeof below / sizeof *below; i++) {
        struct place p = { .user = "root", .group = group, .mode = 02755 };
        char path[PATH_MAX];

        if (snprintf(path, sizeof path, "%s%s", self, below[i]) >= (int)sizeof path ||
            !realpath(path, p.path))
            continue;
        place_check(c, &p);
        return;
    }
    fault(c, "postdrop", "is missing", "install Mansio again");
}

static void check_all(struct check *c, const struct conf *conf)
{
    const struct conf_users *u = conf->users;
    const char *const users[] = { u->smtpd, u->cleanup, u->queued,  u->deliverd,
                                  u->mapd,  u->dnsd,    u->historyd };
    const char *spool = conf->queue->directory, *state = conf->processes->state;

    for (size_t i = 0; i < sizeof users / sizeof *users; i++)
        check_user(c, users[i]);
    check_group(c, u->drop);
    check_group(c, ADMIN_GROUP);
    directory(c, spool, "", (struct place){ .user = u->queued, .group = u->drop, .mode = 0710 });
    directory(c, spool, "/drop", (struct place){ .user = u->queued, .group = u->drop, .mode = 01730 });
    queue_check(c, spool, u->queued);
    directory(c, state, "", (struct place){ .user = "root", .mode = 0755 });
    directory(c, state, "/mapd", (struct place){ .user = u->mapd, .mode = 0700 });
    if (conf->history->keep > 0)
        directory(c, state, "/historyd", (struct place){ .user = u->historyd, .mode = 0700 });
    directory(c, conf->processes->runtime, "", (struct place){ .user = "root", .mode = 0755 });
    check_postdrop(c, u->drop);
}

void install_look(struct tool *t, const struct conf *conf, struct rows *rows)
{
    struct check c = { .t = t, .look = true };

    check_all(&c, conf);
    *rows = c.rows;
}

int command_check_install(struct tool *t, int argc, char **argv)
{
    struct check c = { .t = t };
    struct conf *conf;

    (void)argc;
    (void)argv;
    if (!tool_conf(t, NULL, &conf))
        return tool_end(t, EX_CONFIG, "%s is not in order; nothing was changed", t->conf_path);
    check_all(&c, conf);
    conf_free(&conf);
    tool_rows(t, &c.rows);
    rows_clear(&c.rows);
    if (c.faults == 0)
        return tool_end(t, 0, "users, directories and modes are as they should be");
    if (c.faults == c.repaired)
        return tool_end(t, 0, "%zu faults, all repaired", c.faults);
    return tool_end(t, 1, "%zu faults, %zu of them repaired", c.faults, c.repaired);
}
