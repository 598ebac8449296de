/* daemon.c - the life of a daemon: start by mtad's frames, walls, loop, drain, exit */
#include "common/proc/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/net/loop.h"
#include "common/os/fault.h"
#include "common/os/fd.h"
#include "common/proc/feed.h"
#include "common/proc/forbidden.h"
#include "common/proc/follow.h"
#include "common/proc/frame_io.h"
#include "common/proc/logsink.h"
#include "common/proc/measure.h"
#include "common/proc/sanitizer.h"
#include "common/proc/setup.h"
#include "common/proc/source_conf.h"
#include "common/proc/startup.h"
#include "common/proc/told.h"
#include "conf/conf.h"

#define LOG_RETRY_MS 200
#define SIGTERM_MS   30000 /* a daemon that an operator ends by hand, past mtad */

struct daemon {
    const struct daemon_spec *spec;
    struct startup start;
    struct conf *conf;       /* owned */
    struct loop *loop;       /* owned */
    struct channel *control; /* owned */
    struct loop_timer log_retry, drain_limit, retirement;
    int64_t drain_by; /* loop_now when exit is forced; 0: nothing is */
    int64_t retire_ms; /* the deadline once retirement is over */
    struct told *told; /* owned: troubles */
    void *state; /* the daemon's */
    bool draining;
    bool running; /* start() was called */
    int status;
};

/* ---- accessors ---- */

struct loop *daemon_loop(struct daemon *d)
{
    return d->loop;
}

const struct conf *daemon_conf(const struct daemon *d)
{
    return d->conf;
}

unsigned daemon_index(const struct daemon *d)
{
    return d->start.index;
}

unsigned daemon_generation(const struct daemon *d)
{
    return d->start.generation;
}

bool daemon_unprivileged(const struct daemon *d)
{
    return d->start.unprivileged;
}

struct daemon_listener *daemon_listeners(struct daemon *d)
{
    return d->start.listeners;
}

struct daemon_source *daemon_sources(struct daemon *d)
{
    return d->start.sources;
}

struct daemon_source *daemon_source_find(struct daemon *d, enum ipc_source kind, const char *name)
{
    for (struct daemon_source *s = d->start.sources; s; s = s->next) {
        if (s->kind == kind && (!name || strcmp(s->name, name) == 0))
            return s;
    }
    return NULL;
}

const char *daemon_hostname(const struct daemon *d)
{
    return d->start.hostname;
}

struct channel *daemon_control(struct daemon *d)
{
    return d->control;
}

void *daemon_state(struct daemon *d)
{
    return d->state;
}

void daemon_set_state(struct daemon *d, void *state)
{
    d->state = state;
}

bool daemon_draining(const struct daemon *d)
{
    return d->draining;
}

void daemon_exit(struct daemon *d, int status)
{
    d->status = status;
    loop_stop(d->loop);
}

static void trouble_send(struct daemon *d, const char *what, const char *text, const char *advice)
{
    struct ipc_out o;

    ipc_out_init(&o);
    ipc_begin(&o, IPC_TROUBLE, 0);
    ipc_put_clean(&o, TAG_NAME, strv_sub(SV(what), 0, 64));
    if (text)
        ipc_put_clean(&o, TAG_TEXT, strv_sub(SV(text), 0, 512));
    if (text && advice)
        ipc_put_clean(&o, TAG_REPLY, strv_sub(SV(advice), 0, 512));
    channel_send(d->control, &o);
    ipc_out_clear(&o);
}

void daemon_trouble(struct daemon *d, const char *what, const char *text, const char *advice)
{
    if (d && d->control && told_changes(&d->told, what, text, loop_now(d->loop)))
        trouble_send(d, what, text, advice);
}

void daemon_trouble_over(struct daemon *d, const char *what)
{
    if (!d || !d->control)
        return;
    told_changes(&d->told, what, NULL, 0);
    trouble_send(d, what, NULL, NULL);
}

/* ---- drain ---- */

static void on_drain_limit(void *arg)
{
    struct daemon *d = arg;

    LOG0(WARN, "proc.drain.forced");
    daemon_exit(d, 0);
}

/* A later, shorter deadline counts: the suite stops while a former generation still finishes. */
static void drain_begin(struct daemon *d, int64_t deadline_ms)
{
    int64_t by = loop_now(d->loop) + deadline_ms;

    loop_timer_stop(&d->retirement);
    if (!d->draining || by < d->drain_by) {
        d->drain_by = by;
        loop_timer_set(&d->drain_limit, deadline_ms);
    }
    if (d->draining)
        return;
    d->draining = true;
    if (d->spec->drain)
        d->spec->drain(d, deadline_ms);
    else
        daemon_exit(d, 0);
}

static void on_signal(void *arg, int signo)
{
    struct daemon *d = arg;

    LOG(INFO, "proc.signal", KS("signal", signo == SIGTERM ? "TERM" : "?"));
    drain_begin(d, SIGTERM_MS);
}

/* ---- log ---- */

static void on_log_retry(void *arg)
{
    struct daemon *d = arg;

    if (!logsink_flush())
        loop_timer_set(&d->log_retry, LOG_RETRY_MS);
}

static void on_log_wait(void *arg, bool dead)
{
    struct daemon *d = arg;
    struct ipc_out o;

    if (!dead) {
        loop_timer_set(&d->log_retry, LOG_RETRY_MS);
        return;
    }
    if (!d->control)
        return;
    ipc_out_init(&o);
    ipc_begin(&o, IPC_LOG_LOST, 0);
    channel_send(d->control, &o);
    ipc_out_clear(&o);
}

/* ---- edges that we closed ---- */

static void on_broken(void *arg, struct channel *ch)
{
    struct daemon *d = arg;
    enum role peer = channel_peer(ch);
    struct ipc_out o;

    if (ch == d->control || peer == ROLE_AGENT || peer == ROLE_MTACTL)
        return; /* the end of us, or of that agent or operator's program */
    ipc_out_init(&o);
    ipc_begin(&o, IPC_EDGE_LOST, 0);
    ipc_put_u64(&o, TAG_ROLE, peer);
    ipc_put_u64(&o, TAG_INDEX, channel_peer_index(ch));
    channel_send(d->control, &o);
    ipc_out_clear(&o);
}

/* ---- frames of mtad ---- */

#ifdef MANSIO_CHECK

struct attempt {
    const struct forbidden_act *act;
    char path[4096];
    int sys;
};

static void attempt_run(void *arg)
{
    struct attempt *a = arg;

    a->sys = a->act->run(a->path);
}

static void on_try(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct daemon *d = arg;
    unsigned thread = (unsigned)ipc_get_u64(in, TAG_INDEX);
    struct attempt a = { .act = forbidden_find(ipc_get(in, TAG_ACT)), .sys = ENOENT };
    struct ipc_out o;

    if (!strv_cstr(ipc_get(in, TAG_PATH), a.path, sizeof a.path))
        a.path[0] = '\0';
    if (a.act && thread == 0)
        attempt_run(&a);
    else if (a.act && thread <= d->spec->thread_count && d->spec->run_on_thread)
        d->spec->run_on_thread(d, thread, attempt_run, &a);
    ipc_out_init(&o);
    ipc_begin(&o, IPC_TRIED, in->txn);
    ipc_put_text(&o, TAG_ACT, ipc_get(in, TAG_ACT));
    ipc_put_u64(&o, TAG_INDEX, thread);
    ipc_put_u64(&o, TAG_SYS, (uint64_t)a.sys);
    ipc_put_u64(&o, TAG_COUNT, d->spec->thread_count);
    channel_send(ch, &o);
    ipc_out_clear(&o);
}

static void on_fault(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct err err = { 0 };

    (void)arg;
    (void)ch;
    if (!fault_arm(ipc_get(in, TAG_FAULT), &err))
        LOG(WARN, "proc.fault.refused", KS("error", err.text));
}

#endif

static void edge_take(struct daemon *d, enum role peer, unsigned index, int fd, bool lived)
{
    if (peer == ROLE_HISTORYD)
        feed_open(fd);
    else if (d->spec->edge)
        d->spec->edge(d, peer, index, fd, lived);
    else
        fd_close(&fd);
}

static void on_edge(void *arg, struct channel *ch, struct ipc_in *in)
{
    (void)ch;
    edge_take(arg, (enum role)ipc_get_u64(in, TAG_ROLE), (unsigned)ipc_get_u64(in, TAG_INDEX),
              ipc_take_fd(in, 0), ipc_get_u64(in, TAG_LIVED) != 0);
}

static void on_peer_gone(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct daemon *d = arg;

    (void)ch;
    if (d->spec->peer_gone && ipc_get_u64(in, TAG_ROLE) != ROLE_HISTORYD)
        d->spec->peer_gone(d, (enum role)ipc_get_u64(in, TAG_ROLE), (unsigned)ipc_get_u64(in, TAG_INDEX));
}

/* The new one stands in front, so that daemon_source_find gives it from now on. */
static void on_source(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct daemon *d = arg;
    struct daemon_source *s = startup_source(in);

    (void)ch;
    s->next = d->start.sources;
    d->start.sources = s;
    if (d->spec->source)
        d->spec->source(d, s);
}

static void on_peer_retired(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct daemon *d = arg;

    (void)ch;
    if (d->spec->peer_retired)
        d->spec->peer_retired(d, (enum role)ipc_get_u64(in, TAG_ROLE),
                              (unsigned)ipc_get_u64(in, TAG_INDEX));
}

static void on_retirement(void *arg)
{
    struct daemon *d = arg;

    drain_begin(d, d->retire_ms);
}

static void on_drain(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct daemon *d = arg;
    int64_t deadline_ms = (int64_t)ipc_get_u64(in, TAG_DEADLINE);
    int64_t delay_ms = (int64_t)ipc_get_u64(in, TAG_DELAY);

    (void)ch;
    if (!ipc_has(in, TAG_DELAY) || !d->spec->retire || d->draining) {
        drain_begin(d, deadline_ms);
        return;
    }
    d->retire_ms = deadline_ms;
    d->spec->retire(d, delay_ms);
    loop_timer_set(&d->retirement, delay_ms);
}

static void on_log_level(void *arg, struct channel *ch, struct ipc_in *in)
{
    (void)arg;
    (void)ch;
    log_set_level((enum log_level)ipc_get_u64(in, TAG_LEVEL));
}

static void on_measure(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct daemon *d = arg;

    if (d->spec->measure)
        d->spec->measure(d);
    measure_answer(ch, in);
}

static void on_log_fd(void *arg, struct channel *ch, struct ipc_in *in)
{
    (void)arg;
    (void)ch;
    logsink_replace(ipc_take_fd(in, 0));
}

static void on_agent_reply(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct daemon *d = arg;

    (void)ch;
    if (d->spec->agent_reply)
        d->spec->agent_reply(d, in);
}

static const struct channel_route routes[] = {
    {IPC_EDGE,         on_edge },
    { IPC_PEER_GONE,               on_peer_gone },
    { IPC_PEER_RETIRED, on_peer_retired },
    { IPC_SOURCE,on_source },
    { IPC_DRAIN,      on_drain },
    { IPC_LOG_LEVEL,               on_log_level },
    { IPC_LOG_FOLLOW, follow_on_frame },
    { IPC_LOG_FD,   on_log_fd },
    { IPC_PING,         ping_on_frame },
    { IPC_MEASURE,      on_measure },
    { IPC_AGENT_REPLY,   on_agent_reply },
#ifdef MANSIO_CHECK
    { IPC_TRY,               on_try },
    { IPC_FAULT,     on_fault },
#endif
    { .type = IPC_NONE},
};

static void on_control_frame(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct daemon *d = arg;

    for (const struct channel_route *r = routes; r->type; r++) {
        if (r->type == in->type) {
            r->handle(arg, ch, in);
            return;
        }
    }
    if (d->spec->control)
        d->spec->control(d, in);
}

/* Without mtad there is nobody to restart us or our peers: the suite ends as one. Nothing is tidied up: an
   orderly exit would look like a drain, and the queue survives this by construction. */
static void on_control_lost(void *arg, struct channel *ch, const char *why)
{
    (void)arg;
    (void)ch;
    LOG(WARN, "proc.control.lost", KS("why", why));
    _exit(0);
}

static const struct channel_ops control_ops = { .frame = on_control_frame, .lost = on_control_lost };

/* ---- start ---- */

/* Frames up to START; exits when mtad is gone. */
static bool frames_read(struct daemon *d, struct err *err)
{
    static char buf[IPC_FRAME_MAX];
    enum startup_step step = STARTUP_MORE;

    while (step != STARTUP_COMPLETE) {
        struct ipc_in in;
        int n = frame_io_recv(CONTROL_FD, buf, d->spec->role, ROLE_MTAD, &in, err);
        bool ok;

        if (n == 0)
            _exit(0);
        if (n < 0)
            return false;
        ok = startup_frame(&d->start, d->spec->role, &in, &step, err);
        frame_io_drop(&in);
        if (!ok)
            return false;
    }
    return true;
}

static int landlock_dir(const struct daemon *d)
{
    unsigned keepers = ROLE_BIT(ROLE_QUEUED) | ROLE_BIT(ROLE_MAPD) | ROLE_BIT(ROLE_HISTORYD);
    return ROLE_BIT(d->spec->role) & keepers ? d->start.jail_fd : -1;
}

static bool loop_make(struct daemon *d, struct err *err)
{
    d->loop = loop_new();
    if (!d->loop)
        return err_set(err, ERR_TEMP, "cannot make the event loop");
    loop_timer_init(&d->log_retry, d->loop, on_log_retry, d);
    loop_timer_init(&d->drain_limit, d->loop, on_drain_limit, d);
    loop_timer_init(&d->retirement, d->loop, on_retirement, d);
    if (!loop_signal(d->loop, SIGTERM, on_signal, d))
        return err_set(err, ERR_TEMP, "cannot watch SIGTERM");
    logsink_on_wait(on_log_wait, d);
    feed_watch(d->loop);
    return true;
}

static void edges_announce(struct daemon *d)
{
    while (d->start.edges) {
        struct startup_edge *e = d->start.edges;

        d->start.edges = e->next;
        edge_take(d, e->peer, e->index, e->fd, e->lived);
        free(e);
    }
}

static bool daemon_begin(struct daemon *d, struct err *err)
{
    struct ipc_out o;
    int conf_fd;

    if (!frames_read(d, err))
        return false;
    conf_fd = d->start.conf_fd;
    d->start.conf_fd = -1;
    if (!source_conf_read(conf_fd, d->spec->role, &d->conf, err))
        return false;
    if (d->spec->open && !d->spec->open(d, err))
        return false;
    if (!startup_confine(&d->start, landlock_dir(d), err) || !loop_make(d, err))
        return false;
    if (d->spec->threads && !d->spec->threads(d, err))
        return false;
    if (!startup_seal(&d->start, err))
        return false;
    d->control = channel_new(d->loop, CONTROL_FD, d->spec->role, ROLE_MTAD, 0, &control_ops, d);
    channel_on_broken(on_broken, d);
    edges_announce(d);
    if (d->spec->start && !d->spec->start(d, err))
        return false;
    d->running = true;
    ipc_out_init(&o);
    ipc_begin(&o, IPC_READY, 0);
    channel_send(d->control, &o);
    ipc_out_clear(&o);
    LOG(DEBUG, "proc.ready", KI("index", d->start.index), KI("generation", d->start.generation));
    return true;
}

static bool control_is_there(void)
{
    int type = 0;
    socklen_t len = sizeof type;

    return getsockopt(CONTROL_FD, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_SEQPACKET;
}

int daemon_main(const struct daemon_spec *spec, int argc, char **argv)
{
    /* Not on the stack: the loop has its timers, and a daemon may use the loop once more behind this. */
    static struct daemon d;
    struct err err = { 0 };

    d.spec = spec;
    (void)argc;
    (void)argv;
    sanitizer_settings();
    log_set_name(spec->name);
    if (!control_is_there()) {
        fprintf(stderr, "%s is a part of Mansio and is started by mtad only\n", spec->name);
        return 64;
    }
    fd_cloexec(CONTROL_FD, true);
    fd_nonblock(CONTROL_FD, true);
    prctl(PR_SET_NAME, spec->name, 0, 0, 0);
    signal(SIGPIPE, SIG_IGN);
    umask(077);
    startup_init(&d.start);
    if (!daemon_begin(&d, &err)) {
        LOG(ERROR, "proc.start.failed", KS("error", err.text));
        return err.cls == ERR_CONF ? 78 : 70;
    }
    loop_run(d.loop);
    channel_flush(d.control);
    feed_end();
    loop_timer_stop(&d.log_retry);
    loop_timer_stop(&d.drain_limit);
    loop_timer_stop(&d.retirement);
    /* The system takes everything back; freeing it first would only make stopping slow. */
    return d.status;
}
