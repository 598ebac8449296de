/* startup.c - what mtad tells a child before it begins, and the walls that follow from it */
#include "common/proc/startup.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/id.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/os/fault.h"
#include "common/os/fd.h"
#include "common/os/limit.h"
#include "common/os/priv.h"
#include "common/os/sandbox.h"
#include "common/proc/logsink.h"
#include "common/proc/setup.h"

void startup_init(struct startup *s)
{
    *s = (struct startup){ .role = ROLE_COUNT, .conf_fd = -1, .jail_fd = -1, .spool_fd = -1 };
}

void startup_clear(struct startup *s)
{
    while (s->listeners) {
        struct daemon_listener *l = s->listeners;

        s->listeners = l->next;
        fd_close(&l->fd);
        free(l->name);
        free(l);
    }
    while (s->sources) {
        struct daemon_source *o = s->sources;

        s->sources = o->next;
        fd_close(&o->fd);
        free(o->name);
        free(o->path);
        free(o);
    }
    while (s->edges) {
        struct startup_edge *e = s->edges;

        s->edges = e->next;
        fd_close(&e->fd);
        free(e);
    }
    fd_close(&s->conf_fd);
    fd_close(&s->jail_fd);
    MEM_FREE(s->user);
    MEM_FREE(s->hostname);
}

static bool faults_take(struct ipc_in *in, struct err *err)
{
    struct strv spec;
    size_t at = 0;

    if (ipc_has(in, TAG_DELAY))
        fault_sync_delay((unsigned)ipc_get_u64(in, TAG_DELAY));
    while (ipc_next(in, TAG_FAULT, &at, &spec)) {
        if (!fault_arm(spec, err))
            return false;
    }
    return true;
}

static bool setup_take(struct startup *s, enum role role, struct ipc_in *in, struct err *err)
{
    uint64_t flags = ipc_get_u64(in, TAG_FLAGS);
    unsigned next = 0;
    int log_fd;

    if (s->role != ROLE_COUNT || ipc_get_u64(in, TAG_ROLE) != (uint64_t)role)
        return err_set(err, ERR_PROTO, "this program is %s and was set up as something else",
                       role_name(role));
    s->role = role;
    s->index = (unsigned)ipc_get_u64(in, TAG_INDEX);
    s->generation = (unsigned)ipc_get_u64(in, TAG_GENERATION);
    s->process = (unsigned)ipc_get_u64(in, TAG_PROCESS);
    s->unprivileged = flags & SETUP_UNPRIVILEGED;
    s->peer_mtad = flags & SETUP_PEER_MTAD;
    s->two_sources = flags & SETUP_SPOOL;
    s->command = flags & SETUP_COMMAND;
    s->landlock = (unsigned)ipc_get_u64(in, TAG_LANDLOCK);
    s->uid = (uid_t)ipc_get_u64(in, TAG_UID);
    s->gid = (gid_t)ipc_get_u64(in, TAG_GID);
    s->group = (gid_t)ipc_get_u64(in, TAG_GROUP);
    s->user = strv_dup(ipc_get(in, TAG_USER));
    s->hostname = strv_dup(ipc_get(in, TAG_HOST));
    if (flags & SETUP_CONF)
        s->conf_fd = ipc_take_fd(in, next++);
    log_fd = flags & SETUP_LOG ? ipc_take_fd(in, next++) : -1;
    if (flags & SETUP_JAIL)
        s->jail_fd = ipc_take_fd(in, next++);
    log_set_level((enum log_level)ipc_get_u64(in, TAG_LEVEL));
    logsink_open((enum logsink_kind)ipc_get_u64(in, TAG_KIND), log_fd, (int)ipc_get_u64(in, TAG_CODE),
                 s->hostname);
    id_seed(s->process);
    return faults_take(in, err);
}

static bool edge_take(struct startup *s, struct ipc_in *in)
{
    struct startup_edge **end = &s->edges;
    struct startup_edge *e = mem_new(sizeof *e);

    e->peer = (enum role)ipc_get_u64(in, TAG_ROLE);
    e->index = (unsigned)ipc_get_u64(in, TAG_INDEX);
    e->lived = ipc_get_u64(in, TAG_LIVED) != 0;
    e->fd = ipc_take_fd(in, 0);
    while (*end)
        end = &(*end)->next;
    *end = e;
    return true;
}

static bool listener_take(struct startup *s, struct ipc_in *in, struct err *err)
{
    struct daemon_listener **end = &s->listeners;
    struct daemon_listener *l;
    struct netaddr address;

    if (!netaddr_parse(ipc_get(in, TAG_ADDRESS), &address, false))
        return err_set(err, ERR_PROTO, "listener with a bad address");
    l = mem_new(sizeof *l);
    l->name = strv_dup(ipc_get(in, TAG_NAME));
    l->address = address;
    l->fd = ipc_take_fd(in, 0);
    while (*end)
        end = &(*end)->next;
    *end = l;
    return true;
}

struct daemon_source *startup_source(struct ipc_in *in)
{
    struct daemon_source *o = mem_new(sizeof *o);

    o->kind = (enum ipc_source)ipc_get_u64(in, TAG_KIND);
    o->name = strv_dup(ipc_get(in, TAG_NAME));
    o->path = strv_dup(ipc_get(in, TAG_PATH));
    o->fd = ipc_take_fd(in, 0);
    return o;
}

static bool source_take(struct startup *s, struct ipc_in *in)
{
    struct daemon_source **end = &s->sources;

    while (*end)
        end = &(*end)->next;
    *end = startup_source(in);
    return true;
}

bool startup_frame(struct startup *s, enum role role, struct ipc_in *in, enum startup_step *step,
                   struct err *err)
{
    *step = STARTUP_MORE;
    if (in->type != IPC_SETUP && s->role == ROLE_COUNT)
        return err_set(err, ERR_PROTO, "%s before SETUP", in->schema->name);
    switch (in->type) {
    case IPC_SETUP: return setup_take(s, role, in, err);
    case IPC_EDGE: return edge_take(s, in);
    case IPC_LISTENER: return listener_take(s, in, err);
    case IPC_SOURCE: return source_take(s, in);
    case IPC_START: *step = STARTUP_COMPLETE; return true;
    default: return true; /* a level or a fault that crossed the start has nothing to act on */
    }
}

static bool fd_is_file(int fd)
{
    struct stat st;

    return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

static bool jail_enter(const struct startup *s, struct err *err)
{
    if (s->jail_fd < 0)
        return chdir("/") == 0 || err_sys(err, "stand in /");
    if (!s->unprivileged)
        return priv_chroot(s->jail_fd, err);
    return fchdir(s->jail_fd) == 0 || err_sys(err, "stand in the jail");
}

bool startup_confine(const struct startup *s, int landlock_dir, struct err *err)
{
    bool writes_files = fd_is_file(logsink_fd()) || fd_is_file(STDERR_FILENO);

    if (!jail_enter(s, err))
        return false;
    if (!s->unprivileged && !priv_drop(s->uid, s->gid, s->group, err))
        return false;
    return limit_apply(s->role, writes_files, err) && priv_lock(err) &&
           sandbox_landlock(s->role, s->landlock, landlock_dir, s->spool_fd, err);
}

bool startup_seal(const struct startup *s, struct err *err)
{
    return limit_no_fork(err) && sandbox_seccomp(s->role, err) && sandbox_prove(s->role, err);
}
