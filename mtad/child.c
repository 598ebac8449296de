/* child.c - one daemon process: its start with everything it gets, its edges, its end */
#include "mtad/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/ipc/channel.h"
#include "common/os/fd.h"
#include "common/proc/setup.h"
#include "conf/conf.h"
#include "conf/listen.h"
#include "conf/log.h"
#include "conf/processes.h"
#include "conf/queue.h"
#include "conf/top.h"
#include "mtad/control.h"
#include "mtad/edge.h"
#include "mtad/generation.h"
#include "mtad/log_target.h"
#include "mtad/reload.h"
#include "mtad/source.h"
#include "mtad/spawn.h"
#include "mtad/ticket.h"

const char *child_label(const struct child *c, char dst[48])
{
    snprintf(dst, 48, "%s[%u]", role_name(c->role), c->index);
    return dst;
}

struct child *child_find(struct host *h, enum role role, unsigned index)
{
    for (size_t i = 0; i < h->child_n; i++) {
        if (h->children[i].role == role && h->children[i].index == index)
            return &h->children[i];
    }
    return NULL;
}

struct child *child_by_pid(struct host *h, pid_t pid)
{
    for (size_t i = 0; i < h->child_n; i++) {
        if (h->children[i].pid == pid)
            return &h->children[i];
    }
    return NULL;
}

bool child_is_peer(const struct child *a, const struct child *b)
{
    return graph_is_edge(a->role, b->role) &&
           (a->gen == b->gen || role_is_lasting(a->role) || role_is_lasting(b->role));
}

static int fd_copy(int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    if (copy < 0)
        die("no descriptors left to give to a child: %s", strerror(errno));
    return copy;
}

static void send_and_clear(struct child *c, struct ipc_out *o)
{
    channel_send(c->control, o);
    ipc_out_clear(o);
}

void child_setup_frame(struct host *h, const struct setup_frame *s, struct ipc_out *o)
{
    struct err err = { 0 };
    int log = log_target_open(h, &err);
    uint64_t flags = (h->privileged ? 0 : SETUP_UNPRIVILEGED) | (s->conf >= 0 ? SETUP_CONF : 0) |
                     (log >= 0 ? SETUP_LOG : 0) | (s->jail >= 0 ? SETUP_JAIL : 0) |
                     (s->peer_mtad ? SETUP_PEER_MTAD : 0) | (s->spool ? SETUP_SPOOL : 0) |
                     (s->command ? SETUP_COMMAND : 0);

    ipc_begin(o, IPC_SETUP, 0);
    ipc_put_u64(o, TAG_ROLE, s->role);
    ipc_put_u64(o, TAG_INDEX, s->index);
    ipc_put_u64(o, TAG_GENERATION, s->generation);
    ipc_put_u64(o, TAG_PROCESS, s->process);
    ipc_put_u64(o, TAG_FLAGS, flags);
    ipc_put_u64(o, TAG_LANDLOCK, h->options.landlock);
    ipc_put_u64(o, TAG_LEVEL, log_get_level()); /* an operator may have changed it */
    ipc_put_u64(o, TAG_KIND, log_target_kind(h));
    ipc_put_u64(o, TAG_CODE, (uint64_t)h->conf->log->facility);
    ipc_put_text(o, TAG_HOST, SV(h->conf->top->hostname));
    if (s->user)
        ipc_put_clean(o, TAG_USER, SV(s->user));
    ipc_put_u64(o, TAG_UID, s->uid);
    ipc_put_u64(o, TAG_GID, s->gid);
    ipc_put_u64(o, TAG_GROUP, s->group);
    if (h->options.sync_delay_ms)
        ipc_put_u64(o, TAG_DELAY, h->options.sync_delay_ms);
    for (size_t i = 0; s->faults && i < h->options.fault_n; i++)
        ipc_put_text(o, TAG_FAULT, SV(h->options.faults[i]));
    if (s->conf >= 0)
        ipc_put_fd(o, fd_copy(s->conf));
    if (log >= 0)
        ipc_put_fd(o, log);
    if (s->jail >= 0)
        ipc_put_fd(o, fd_copy(s->jail));
}

/* The empty directory, but for who works on files; name services cannot live in a jail. */
static int jail_of(const struct child *c)
{
    switch (c->role) {
    case ROLE_QUEUED: return c->host->spool_fd;
    case ROLE_MAPD: return c->host->state_fd;
    case ROLE_HISTORYD: return c->host->history_fd;
    case ROLE_MAPD_WORKER: return -1;
    default: return c->host->jail_fd;
    }
}

static void setup_send(struct child *c)
{
    struct host *h = c->host;
    const struct identity *id = &c->gen->ids[c->role];
    struct setup_frame s = {
        .role = c->role,
        .index = c->index,
        .process = c->process,
        .user = id->user,
        .uid = id->uid,
        .gid = id->gid,
        .conf = c->gen->confs[c->role],
        .generation = c->gen->number,
        .jail = jail_of(c),
        .faults = !c->was_restarted,
    };
    struct ipc_out o;

    ipc_out_init(&o);
    child_setup_frame(h, &s, &o);
    send_and_clear(c, &o);
}

void child_source_send(struct child *c, enum ipc_source kind, const char *name, const char *path, int fd)
{
    struct ipc_out o;

    ipc_out_init(&o);
    ipc_begin(&o, IPC_SOURCE, 0);
    ipc_put_u64(&o, TAG_KIND, kind);
    ipc_put_text(&o, TAG_NAME, SV(name));
    ipc_put_text(&o, TAG_PATH, SV(path));
    ipc_put_fd(&o, fd_copy(fd));
    send_and_clear(c, &o);
}

static void sources_send(struct child *c)
{
    struct host *h = c->host;

    if (c->role == ROLE_QUEUED)
        child_source_send(c, SOURCE_SPOOL, "spool", h->conf->queue->directory, h->spool_fd);
    if (c->role == ROLE_MAPD)
        child_source_send(c, SOURCE_STATE, "state", h->conf->processes->state, h->state_fd);
    for (size_t i = 0; i < c->gen->source_n; i++) {
        struct source_fd *s = &c->gen->sources[i];
        struct err err = { 0 };

        if (s->role != c->role)
            continue;
        if (s->kind == SOURCE_MAP && c->was_restarted && !source_refresh(h, s, &err))
            LOG(WARN, "mtad.source.stale", KS("map", s->name), KS("error", err.text));
        if (s->kind == SOURCE_TICKETS && c->was_restarted && !ticket_turn(&s->fd, &err))
            LOG(WARN, "mtad.source.stale", KS("map", s->name), KS("error", err.text));
        child_source_send(c, s->kind, s->name, s->path, s->fd);
    }
}

static void listeners_send(struct child *c)
{
    for (size_t i = 0; c->role == ROLE_SMTPD && i < c->gen->listener_n; i++) {
        const struct listener_fd *l = &c->gen->listeners[i];
        char address[NETADDR_TEXT];
        struct ipc_out o;

        netaddr_text(&l->address, address, sizeof address);
        ipc_out_init(&o);
        ipc_begin(&o, IPC_LISTENER, 0);
        ipc_put_text(&o, TAG_NAME, SV(l->section->head.name));
        ipc_put_text(&o, TAG_ADDRESS, SV(address));
        ipc_put_fd(&o, fd_copy(l->fd));
        send_and_clear(c, &o);
    }
}

static bool start_send(struct child *c, struct err *err)
{
    struct ipc_out o;

    setup_send(c);
    sources_send(c);
    listeners_send(c);
    if (!edge_make_all(c, err))
        return false;
    ipc_out_init(&o);
    ipc_begin(&o, IPC_START, 0);
    send_and_clear(c, &o);
    if (c->role == ROLE_MAPD || c->role == ROLE_MAPD_WORKER)
        reload_snapshots(c);
    return true;
}

bool child_start(struct child *c, struct err *err)
{
    struct host *h = c->host;
    char detail[32];
    struct spawn s = {
        .binary = h->binaries[c->role], .devnull = h->devnull, .name = role_name(c->role), .detail = detail
    };
    int ends[2];

    snprintf(detail, sizeof detail, "%u", c->index);
    if (!fd_seqpacket_pair(ends))
        return err_sys(err, "socketpair");
    s.control = ends[1];
    c->pid = spawn_process(&s, err);
    fd_close(&ends[1]);
    if (c->pid < 0) {
        c->pid = 0;
        fd_close(&ends[0]);
        return false;
    }
    c->state = CHILD_STARTING;
    c->started_ms = loop_now(h->loop);
    c->wants_log = false;
    c->watch = (struct watch){ 0 };
    c->was_restarted = c->runs++ > 0;
    c->control = channel_new(h->loop, ends[0], ROLE_MTAD, c->role, c->index, &control_ops, c);
    return start_send(c, err);
}

void child_forget(struct child *c)
{
    struct host *h = c->host;
    bool was = c->state != CHILD_DOWN;

    c->state = CHILD_DOWN;
    c->pid = 0;
    troubles_clear(&c->troubles);
    if (c->control)
        channel_free(&c->control);
    for (size_t i = 0; was && i < h->child_n; i++) {
        struct child *peer = &h->children[i];
        struct ipc_out o;

        if (!peer->control || !child_is_peer(c, peer))
            continue;
        ipc_out_init(&o);
        ipc_begin(&o, IPC_PEER_GONE, 0);
        ipc_put_u64(&o, TAG_ROLE, c->role);
        ipc_put_u64(&o, TAG_INDEX, c->index);
        send_and_clear(peer, &o);
    }
}

void child_drain(struct child *c, int64_t deadline_ms, int64_t delay_ms)
{
    struct ipc_out o;

    if (!c->control) {
        if (c->pid > 0)
            kill(c->pid, SIGKILL);
        return;
    }
    ipc_out_init(&o);
    ipc_begin(&o, IPC_DRAIN, 0);
    ipc_put_u64(&o, TAG_DEADLINE, (uint64_t)(deadline_ms > 0 ? deadline_ms : 0));
    if (delay_ms >= 0)
        ipc_put_u64(&o, TAG_DELAY, (uint64_t)delay_ms);
    send_and_clear(c, &o);
}

void child_level_send(struct child *c, enum log_level level)
{
    struct ipc_out o;

    if (!c->control)
        return;
    ipc_out_init(&o);
    ipc_begin(&o, IPC_LOG_LEVEL, 0);
    ipc_put_u64(&o, TAG_LEVEL, level);
    send_and_clear(c, &o);
}
