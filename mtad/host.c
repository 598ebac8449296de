/* host.c - everything that mtad holds: loaded, prepared, run */
#include "mtad/host.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/os/fault.h"
#include "common/os/file.h"
#include "common/os/limit.h"
#include "common/os/priv.h"
#include "common/os/sandbox.h"
#include "conf/conf.h"
#include "conf/processes.h"
#include "maps/client.h"
#include "mtad/child.h"
#include "mtad/ctl.h"
#include "mtad/degraded.h"
#include "mtad/directory.h"
#include "mtad/drain.h"
#include "mtad/edge.h"
#include "mtad/generation.h"
#include "mtad/history.h"
#include "mtad/identity.h"
#include "mtad/listener.h"
#include "mtad/log_target.h"
#include "mtad/notify.h"
#include "mtad/opener.h"
#include "mtad/pidfile.h"
#include "mtad/program.h"
#include "mtad/reload.h"
#include "mtad/source.h"
#include "mtad/supervise.h"
#include "mtad/watch.h"

#define CONF_TEXT_MAX (16u * 1024 * 1024)
#define CAP(x)        (1ull << CAP_##x)

/* What mtad's own work needs, and what its children need until they have given everything up. */
#define CAPS_KEPT                                                                                            \
    (CAP(CHOWN) | CAP(DAC_OVERRIDE) | CAP(DAC_READ_SEARCH) | CAP(FOWNER) | CAP(KILL) | CAP(SETGID) |         \
     CAP(SETUID) | CAP(SETPCAP) | CAP(NET_BIND_SERVICE) | CAP(SYS_CHROOT) | CAP(SYS_RESOURCE))

bool host_load(struct host *h)
{
    struct conf_options options = { .overrides = h->options.overrides, .override_n = h->options.override_n };
    struct conf_errors errs;
    struct buf text;
    bool ok;

    conf_errors_init(&errs);
    ok = conf_load_with(h->options.conf_path, &options, &h->conf, &errs);
    if (!ok) {
        buf_init(&text, 1u << 20);
        conf_errors_text(&errs, &text);
        fputs(buf_cstr(&text), stderr);
        buf_clear(&text);
    }
    conf_errors_clear(&errs);
    return ok;
}

bool host_seal_confs(struct host *h, struct err *err)
{
    for (const struct graph_role *r = graph_roles; r->role != ROLE_COUNT; r++) {
        struct buf text;

        buf_init_secret(&text, CONF_TEXT_MAX);
        conf_write(h->conf, r->role, &text);
        h->confs[r->role] = buf_ok(&text) ? file_seal(role_name(r->role), buf_view(&text), err) : -1;
        buf_clear(&text);
        if (h->confs[r->role] < 0)
            return err_wrap(err, "configuration of %s", role_name(r->role));
    }
    return true;
}

static bool faults_check(const struct host *h, struct err *err)
{
    for (size_t i = 0; i < h->options.fault_n; i++) {
        if (!fault_arm(SV(h->options.faults[i]), err))
            return false;
    }
    return true;
}

static bool walls_raise(const struct host *h, struct err *err)
{
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    if (!sandbox_seccomp_master(h->privileged, err))
        return false;
    return !h->privileged || priv_keep_caps(CAPS_KEPT, err);
}

bool host_prepare(struct host *h, struct err *err)
{
    h->privileged = geteuid() == 0;
    h->jail_fd = h->spool_fd = h->state_fd = h->history_fd = h->lock_fd = -1;
    limit_raise_files();
    h->devnull = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (h->devnull < 0)
        return err_sys(err, "/dev/null");
    return log_target_begin(h, err) && faults_check(h, err) && identity_resolve(h, err) &&
           directory_prepare(h, err) && pidfile_take(h, err) && ctl_open_all(h, err) &&
           program_open_all(h, err) &&
           source_open_all(h, err) && listener_open_all(h, err) && host_seal_confs(h, err) &&
           walls_raise(h, err);
}

static void on_stop(void *arg, int signo)
{
    (void)signo;
    drain_begin(arg);
}

static void on_child(void *arg, int signo)
{
    (void)signo;
    supervise_reap(arg);
}

static void on_reload(void *arg, int signo)
{
    struct buf report;

    (void)signo;
    buf_init(&report, 65536);
    host_reload(arg, 0, "SIGHUP", &report);
    buf_clear(&report);
}

static void on_reopen(void *arg, int signo)
{
    (void)signo;
    log_target_reopen(arg);
}

static bool signals_watch(struct host *h)
{
    return loop_signal(h->loop, SIGTERM, on_stop, h) && loop_signal(h->loop, SIGINT, on_stop, h) &&
           loop_signal(h->loop, SIGCHLD, on_child, h) && loop_signal(h->loop, SIGHUP, on_reload, h) &&
           loop_signal(h->loop, SIGUSR1, on_reopen, h);
}

static void walls_tell(const struct host *h)
{
    unsigned abi = sandbox_landlock_abi();

    if (abi > h->options.landlock)
        abi = h->options.landlock;
    if (!h->privileged)
        LOG(WARN, "mtad.unprivileged",
            KS("warning",
               "NOT STARTED BY ROOT: all daemons run as the caller, without uids and jails of their own"),
            KI("uid", geteuid()));
    if (abi == 0)
        LOG(WARN, "mtad.landlock.off", KI("kernel", sandbox_landlock_abi()));
    LOG(INFO, "mtad.start", KS("version", MANSIO_VERSION), KS("conf", h->options.conf_path),
        KI("landlock", abi));
}

int host_run(struct host *h)
{
    struct generation *g;

    h->loop = loop_new();
    if (!h->loop || !signals_watch(h))
        die("cannot make the event loop");
    log_target_watch(h);
    h->maps = maps_client_new(h->loop, ROLE_MTAD);
    h->began_ms = loop_now(h->loop);
    opener_begin(h);
    history_begin(h);
    g = generation_first(h);
    ctl_watch(h);
    edge_watch_own(h);
    degraded_watch(h);
    walls_tell(h);
    supervise_begin(g);
    watch_begin(h);
    loop_run(h->loop);
    LOG(INFO, "mtad.stop", KI("status", h->status));
    return h->status;
}
