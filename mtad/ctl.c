/* ctl.c - the operator's sockets: made and accepted by mtad, handed to the daemon that is asked */
#include "mtad/ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/ipc/ctl.h"
#include "common/os/fd.h"
#include "common/os/file.h"
#include "common/proc/frame_io.h"
#include "conf/conf.h"
#include "conf/processes.h"
#include "mtad/child.h"
#include "mtad/ctl_acts.h"
#include "mtad/metrics.h"

#define ADMINS  "mansio-admin"
#define BACKLOG 64
#define BATCH   8 /* clients taken at once */
#define REST_MS 500

struct ctl {
    struct host *host;
    enum role role;
    int fd; /* owned */
    struct loop_io io;
    struct loop_timer rest;
    unsigned number; /* of clients */
};

/* Who has a socket: mtad, those who hold state, and those whose decisions an operator wants explained. */
static const enum role roles[] = { ROLE_MTAD, ROLE_QUEUED, ROLE_MAPD,
                                   ROLE_CLEANUP, ROLE_SMTPD, ROLE_DELIVERD, ROLE_HISTORYD };

#define CTL_N (sizeof roles / sizeof *roles)

static struct ctl ctls[CTL_N];
static struct ctl_server *server;
static int metrics_fd = -1; /* owned */

/* ---- making ---- */

/* Root's, and the group's if there is one. */
static gid_t admins(const struct host *h)
{
    const struct group *gr = h->privileged ? getgrnam(ADMINS) : NULL;

    return gr ? gr->gr_gid : 0;
}

static bool mode_set(int dir, const char *name, uid_t uid, gid_t gid, mode_t mode, const char *path,
                     struct err *err)
{
    if (fchownat(dir, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
        return err_sys(err, "chown %s", path);
    if (fchmodat(dir, name, mode, 0) < 0)
        return err_sys(err, "chmod %s", path);
    return true;
}

static int dir_make(struct host *h, gid_t group, char *path, size_t size, struct err *err)
{
    int runtime = open(h->conf->processes->runtime, O_RDONLY | O_DIRECTORY | O_CLOEXEC), dir;

    snprintf(path, size, "%s/ctl", h->conf->processes->runtime);
    dir = runtime < 0 ? -1 : file_mkdirat(runtime, "ctl", 0700);
    if (dir < 0)
        err_sys(err, "directory %s", path);
    else if (!mode_set(runtime, "ctl", geteuid(), group ? group : getegid(), group ? 0750 : 0700, path, err))
        fd_close(&dir);
    fd_close(&runtime);
    return dir;
}

/* The directory's name may be longer than a socket address: its descriptor is not. */
static int socket_make(int dir, const char *label, int type, gid_t group, const char *path, struct err *err)
{
    struct sockaddr_un sun = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    char name[32];
    mode_t mask;
    bool ok;

    snprintf(name, sizeof name, "%s.sock", label);
    snprintf(sun.sun_path, sizeof sun.sun_path, "/proc/self/fd/%d/%s", dir, name);
    if (fd < 0) {
        err_sys(err, "socket");
        return -1;
    }
    unlinkat(dir, name, 0); /* of a former run: the lock says that nobody has it */
    mask = umask(0177);
    ok = bind(fd, (struct sockaddr *)&sun, sizeof sun) == 0 && listen(fd, BACKLOG) == 0;
    umask(mask);
    if (!ok)
        err_sys(err, "control socket %s/%s", path, name);
    else
        ok = mode_set(dir, name, geteuid(), group ? group : getegid(), group ? 0660 : 0600, path, err);
    if (!ok)
        fd_close(&fd);
    return fd;
}

bool ctl_open_all(struct host *h, struct err *err)
{
    gid_t group = admins(h);
    char path[PATH_MAX + 8];
    int dir = dir_make(h, group, path, sizeof path, err);
    bool ok = true;

    if (dir < 0)
        return false;
    for (size_t i = 0; i < CTL_N && ok; i++) {
        ctls[i] = (struct ctl){ .host = h, .role = roles[i] };
        ctls[i].fd = socket_make(dir, role_name(roles[i]), SOCK_SEQPACKET, group, path, err);
        ok = ok && ctls[i].fd >= 0;
    }
    metrics_fd = ok ? socket_make(dir, "metrics", SOCK_STREAM, group, path, err) : -1;
    fd_close(&dir);
    return ok && metrics_fd >= 0;
}

/* ---- clients ---- */

static void refuse(struct ctl *c, int fd, const char *why)
{
    struct err err = { 0 };
    struct ipc_out o;

    ipc_out_init(&o);
    ipc_begin(&o, IPC_CTL_DONE, 0);
    ipc_put_u64(&o, TAG_CODE, 75); /* EX_TEMPFAIL */
    ipc_put_clean(&o, TAG_TEXT, SV(why));
    if (!frame_io_send(fd, &o, &err))
        LOG(DEBUG, "mtad.ctl.unheard", KS("socket", role_name(c->role)), KS("error", err.text));
    ipc_out_clear(&o);
    fd_close(&fd);
}

static struct child *child_ready(struct host *h, enum role role)
{
    for (size_t i = 0; i < h->child_n; i++) {
        struct child *c = &h->children[i];

        if (c->role == role && c->gen == h->current && c->state == CHILD_READY && c->control)
            return c;
    }
    return NULL;
}

static void hand_over(struct ctl *c, int fd)
{
    struct child *to = child_ready(c->host, c->role);
    char why[128];
    struct ipc_out o;

    if (!to) {
        snprintf(why, sizeof why,
                 child_find(c->host, c->role, 0)
                     ? "%s is not working now: it starts or restarts; see the log of mtad"
                     : "%s is off: history.keep was 0 at the start, or its directory is bad (mtactl status)",
                 role_name(c->role));
        refuse(c, fd, why);
        return;
    }
    ipc_out_init(&o);
    ipc_begin(&o, IPC_EDGE, 0);
    ipc_put_u64(&o, TAG_ROLE, ROLE_MTACTL);
    ipc_put_u64(&o, TAG_INDEX, c->number++ & 255);
    ipc_put_u64(&o, TAG_LIVED, 0);
    ipc_put_fd(&o, fd);
    channel_send(to->control, &o);
    ipc_out_clear(&o);
}

static void on_client(void *arg, int events)
{
    struct ctl *c = arg;

    (void)events;
    for (unsigned i = 0; i < BATCH; i++) {
        int fd = accept4(c->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
            /* No descriptors left: the client waits in the queue, and we do not spin. */
            loop_io_set(&c->io, 0);
            loop_timer_set(&c->rest, REST_MS);
        }
        if (fd < 0)
            return;
        if (c->role == ROLE_MTAD)
            ctl_server_client(server, fd);
        else
            hand_over(c, fd);
    }
}

static void on_rested(void *arg)
{
    struct ctl *c = arg;

    loop_io_set(&c->io, LOOP_READ);
}

void ctl_watch(struct host *h)
{
    server = ctl_server_new(h->loop, ROLE_MTAD, ctl_acts, h);
    metrics_socket_watch(h, metrics_fd);
    for (size_t i = 0; i < CTL_N; i++) {
        loop_timer_init(&ctls[i].rest, h->loop, on_rested, &ctls[i]);
        loop_io_init(&ctls[i].io, h->loop, ctls[i].fd, on_client, &ctls[i]);
        loop_io_set(&ctls[i].io, LOOP_READ);
    }
}
