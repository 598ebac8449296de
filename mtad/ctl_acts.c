/* ctl_acts.c - what the operator may ask of mtad itself: one row each */
#include "mtad/ctl_acts.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/os/fd.h"
#include "common/os/sandbox.h"
#include "conf/conf.h"
#include "conf/listen.h"
#include "mtad/child.h"
#include "mtad/degraded.h"
#include "mtad/drain.h"
#include "mtad/follow.h"
#include "mtad/generation.h"
#include "mtad/graph.h"
#include "mtad/history.h"
#include "mtad/metrics.h"
#include "mtad/reload.h"

static const char *state_word(const struct child *c)
{
    switch (c->state) {
    case CHILD_DOWN: return "down";
    case CHILD_STARTING: return "starting";
    case CHILD_READY: return "ready";
    }
    return "?";
}

static void daemon_row(struct ctl_call *call, const struct host *h, const char *name, pid_t pid,
                       const struct child *c)
{
    const struct identity *id = &h->ids[c ? c->role : ROLE_MTAD];
    int64_t started = c ? c->started_ms : h->began_ms;

    ctl_row(call, "daemon");
    ctl_put(call, "name", SV(name));
    ctl_put_u64(call, "index", c ? c->index : 0);
    ctl_put_u64(call, "pid", (uint64_t)pid);
    ctl_put(call, "state", SV(c ? state_word(c) : "ready"));
    ctl_put(call, "user", SV(id->user ? id->user : h->privileged ? "root" : "caller"));
    ctl_put_u64(call, "uid", id->user ? id->uid : geteuid());
    ctl_put_u64(call, "generation", c ? c->gen->number : 0);
    ctl_put_u64(call, "uptime", pid ? (uint64_t)(loop_now(h->loop) - started) / 1000 : 0);
    ctl_put_u64(call, "restarts", c && c->runs > 1 ? c->runs - 1 : 0);
    ctl_put_u64(call, "memory_kib", pid ? process_memory(pid) / 1024 : 0);
    ctl_row_end(call);
}

static void listener_row(struct ctl_call *call, const struct listener_fd *l)
{
    static const char *const tls[] = { [CONF_TLS_NONE] = "none",
                                       [CONF_TLS_OFFER] = "offer",
                                       [CONF_TLS_REQUIRE] = "require",
                                       [CONF_TLS_IMPLICIT] = "implicit" };
    static const char *const auth[] = {
        [CONF_AUTH_NONE] = "none", [CONF_AUTH_OFFER] = "offer", [CONF_AUTH_REQUIRE] = "require"
    };
    char address[NETADDR_TEXT];

    netaddr_text(&l->address, address, sizeof address);
    ctl_row(call, "listener");
    ctl_put(call, "name", SV(l->section->head.name));
    ctl_put(call, "address", SV(address));
    ctl_put(call, "tls", SV(tls[l->section->tls]));
    ctl_put(call, "auth", SV(auth[l->section->auth]));
    ctl_row_end(call);
}

static const char *phase_word(const struct host *h)
{
    switch (h->phase) {
    case HOST_STARTING: return "starting";
    case HOST_RUNNING: return "running";
    case HOST_STOPPING: return "stopping";
    }
    return "?";
}

static void on_status(void *arg, struct ctl_call *call)
{
    struct host *h = arg;

    ctl_row(call, "host");
    ctl_put(call, "version", SV(MANSIO_VERSION));
    ctl_put(call, "state", SV(phase_word(h)));
    ctl_put(call, "configuration", SV(h->options.conf_path));
    ctl_put_u64(call, "uptime", (uint64_t)(loop_now(h->loop) - h->began_ms) / 1000);
    ctl_put_u64(call, "privileged", h->privileged);
    ctl_row_end(call);
    daemon_row(call, h, "mtad", getpid(), NULL);
    for (size_t i = 0; i < h->child_n; i++) {
        if (h->children[i].role != ROLE_COUNT)
            daemon_row(call, h, role_name(h->children[i].role), h->children[i].pid, &h->children[i]);
    }
    for (size_t i = 0; i < h->listener_n; i++)
        listener_row(call, &h->listeners[i]);
    follow_rows(call);
    ctl_done(call, 0, NULL);
}

/* Asked for behind the status of the others, who tell mtad of their troubles when they are asked. */
static void on_degraded(void *arg, struct ctl_call *call)
{
    degraded_rows(arg, call);
    ctl_done(call, 0, NULL);
}

static void on_stop(void *arg, struct ctl_call *call)
{
    ctl_done(call, 0, "stopping");
    drain_begin(arg);
}

/* Until the next start: the configuration says what is normal. */
static void on_log(void *arg, struct ctl_call *call)
{
    struct host *h = arg;
    enum log_level level;

    if (follow_call(h, call))
        return;
    if (!log_level_parse(ctl_text(call, "level"), &level)) {
        ctl_done(call, EX_USAGE, "the levels are error, warn, info and debug");
        return;
    }
    log_set_level(level);
    for (size_t i = 0; i < h->child_n; i++)
        child_level_send(&h->children[i], level);
    ctl_done(call, 0, "log level is %s until the next start", log_level_name(level));
}

static void on_edges(void *arg, struct ctl_call *call)
{
    struct host *h = arg;
    unsigned abi = sandbox_landlock_abi();

    ctl_row(call, "landlock");
    ctl_put_u64(call, "kernel", abi);
    ctl_put_u64(call, "used", abi < h->options.landlock ? abi : h->options.landlock);
    ctl_row_end(call);
    for (enum role a = 0; a < ROLE_COUNT; a++) {
        for (enum role b = a + 1; b < ROLE_COUNT; b++) {
            if (!graph_is_edge(a, b))
                continue;
            ctl_row(call, "edge");
            ctl_put(call, "between", SV(role_name(a)));
            ctl_put(call, "and", SV(role_name(b)));
            ctl_row_end(call);
        }
    }
    ctl_done(call, 0, NULL);
}

/* ---- reload ---- */

struct reload_call {
    struct host *host;
    struct ctl_call *call;
};

static void on_reloaded(void *arg, bool ok, const char *text)
{
    struct reload_call *r = arg;

    ctl_done(r->call, ok ? 0 : EX_TEMPFAIL, "%s", text);
    free(r);
}

static void on_reload_gone(void *data)
{
    struct reload_call *r = data;

    reload_unwatch(r->host, r);
    free(r);
}

/* Located errors, or faults of what is taken all the same, line by line, as `mtactl check` prints them. */
static void report_rows(struct ctl_call *call, const char *kind, const struct buf *report)
{
    struct strv rest = buf_view(report), line;

    while (rest.p && strv_cut(&rest, '\n', &line)) {
        if (line.n == 0)
            continue;
        ctl_row(call, kind);
        ctl_put(call, "text", line);
        ctl_row_end(call);
    }
}

/* 0: the files. False: answered. */
static bool reload_source(struct host *h, struct ctl_call *call, unsigned *number)
{
    struct err err = { 0 };
    struct buf text;
    bool ok = true;

    *number = 0;
    if (!strv_is(ctl_text(call, "from"), "previous"))
        return true;
    buf_init(&text, HISTORY_BYTES_MAX);
    ok = history_previous(h, number, &text, &err);
    buf_clear(&text);
    if (!ok)
        ctl_done(call, EX_DATAERR, "%s", err.text);
    return ok;
}

static void on_reload(void *arg, struct ctl_call *call)
{
    struct host *h = arg;
    struct reload_call *r;
    struct buf report;
    unsigned number;
    char by[48];

    buf_init(&report, 65536);
    if (!reload_source(h, call, &number))
        return;
    snprintf(by, sizeof by, "uid:%u", ctl_uid(call));
    if (host_reload(h, number, by, &report) == RELOAD_REFUSED) {
        report_rows(call, "error", &report);
        ctl_done(call, EX_CONFIG, "the new configuration was refused; the old one goes on untouched");
        buf_clear(&report);
        return;
    }
    report_rows(call, "note", &report);
    buf_clear(&report);
    r = mem_new(sizeof *r);
    *r = (struct reload_call){ .host = h, .call = call };
    ctl_later(call, on_reload_gone, r);
    reload_watch(h, on_reloaded, r);
}

/* ---- kept configurations ---- */

static void on_history(void *arg, struct ctl_call *call)
{
    history_rows(arg, call);
    ctl_done(call, 0, NULL);
}

#define DATA_STEP 32768u

/* The text of one, in portions: cursor is the offset. */
static void on_kept(void *arg, struct ctl_call *call)
{
    struct err err = { 0 };
    uint64_t number = 0, at = ctl_cursor(call);
    struct buf text;
    struct strv rest;

    ctl_number(call, "number", &number);
    buf_init(&text, HISTORY_BYTES_MAX);
    if (number > UINT32_MAX || !history_text(arg, (unsigned)number, &text, &err)) {
        ctl_done(call, EX_DATAERR, "%s", number > UINT32_MAX ? "no such number" : err.text);
    } else {
        rest = at < text.len ? strv_from(buf_view(&text), at) : SV_LIT("");
        ctl_data(call, strv_sub(rest, 0, rest.n < DATA_STEP ? rest.n : DATA_STEP));
        if (rest.n > DATA_STEP)
            ctl_more(call, at + DATA_STEP);
        else
            ctl_done(call, 0, NULL);
    }
    buf_clear(&text);
}

/* ---- metrics ---- */

static void on_measured(void *arg, struct strv text)
{
    ctl_data(arg, text);
    ctl_done(arg, 0, NULL);
}

static void on_metrics_gone(void *data)
{
    metrics_unwatch(data);
}

static void on_metrics(void *arg, struct ctl_call *call)
{
    ctl_later(call, on_metrics_gone, call);
    metrics_collect(arg, on_measured, call);
}

const struct ctl_act ctl_acts[] = {
    { "status", on_status, false },
    { "degraded", on_degraded, false },
    { "reload", on_reload, true },
    { "stop", on_stop, true },
    { "log", on_log, true },
    { "edges", on_edges, false },
    { "history", on_history, false },
    { "kept", on_kept, false },
    { "metrics", on_metrics, false },
    { .name = NULL },
};
