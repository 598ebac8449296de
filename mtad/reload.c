/* reload.c - from one configuration to the next without an interruption of service */
#include "mtad/reload.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/ipc/channel.h"
#include "conf/conf.h"
#include "conf/log.h"
#include "conf/processes.h"
#include "mtad/child.h"
#include "mtad/degraded.h"
#include "mtad/edge.h"
#include "mtad/generation.h"
#include "mtad/history.h"
#include "mtad/listener.h"
#include "mtad/log_target.h"
#include "mtad/supervise.h"

#define TABLES_MS 120000 /* for mapd to read all tables, as at its start */
/* Long transfers and deliveries end by their own limits well before. */
#define RETIRED_MS 3600000
#define GRACE_MS   2000 /* between a child's own deadline and SIGKILL */

struct reload_watcher {
    struct reload_watcher *next;
    void (*fn)(void *arg, bool ok, const char *text);
    void *arg;
};

/* ---- who wants to know ---- */

void reload_watch(struct host *h, void (*fn)(void *arg, bool ok, const char *text), void *arg)
{
    struct reload_watcher *w = mem_new(sizeof *w);

    *w = (struct reload_watcher){ h->reload_watchers, fn, arg };
    h->reload_watchers = w;
}

void reload_unwatch(struct host *h, void *arg)
{
    struct reload_watcher **at = &h->reload_watchers;

    while (*at) {
        struct reload_watcher *w = *at;

        if (w->arg != arg) {
            at = &w->next;
            continue;
        }
        *at = w->next;
        free(w);
    }
}

/* Whoever waits is told of the last one, which reads what the former did and more. */
static void watchers_tell(struct host *h, bool ok, const char *text)
{
    while (h->reload_watchers && !h->reload_wanted) {
        struct reload_watcher *w = h->reload_watchers;

        h->reload_watchers = w->next;
        w->fn(w->arg, ok, text);
        free(w);
    }
}

/* ---- snapshots for those without generations ---- */

static void snapshot_send(struct child *c, const struct generation *g, bool forget)
{
    struct ipc_out o;

    ipc_out_init(&o);
    ipc_begin(&o, IPC_SNAPSHOT, 0);
    ipc_put_u64(&o, TAG_GENERATION, g->number);
    if (forget)
        ipc_put_u64(&o, TAG_LAST, 1);
    channel_send(c->control, &o);
    ipc_out_clear(&o);
}

static void conf_send(struct child *c, const struct generation *g)
{
    char number[24];

    snprintf(number, sizeof number, "%u", g->number);
    child_source_send(c, SOURCE_CONF, number, "configuration", g->confs[c->role]);
}

static void tables_send(struct child *mapd, const struct generation *g)
{
    conf_send(mapd, g);
    for (size_t i = 0; i < g->source_n; i++) {
        const struct source_fd *s = &g->sources[i];

        if (s->role == ROLE_MAPD)
            child_source_send(mapd, (enum ipc_source)s->kind, s->name, s->path, s->fd);
    }
    snapshot_send(mapd, g, false);
}

void reload_snapshots(struct child *c)
{
    for (struct generation *g = c->host->generations; g; g = g->next) {
        if (g == c->host->current)
            continue;
        if (c->role == ROLE_MAPD)
            tables_send(c, g);
        else
            conf_send(c, g);
    }
}

static void each_of_role(struct host *h, enum role role, const struct generation *g,
                         void (*fn)(struct child *c, const struct generation *g))
{
    for (size_t i = 0; i < h->child_n; i++) {
        if (h->children[i].role == role && h->children[i].control)
            fn(&h->children[i], g);
    }
}

static void forget_send(struct child *c, const struct generation *g)
{
    snapshot_send(c, g, true);
}

/* ---- retirement ---- */

static void child_release(struct child *c)
{
    loop_timer_stop(&c->timer);
    degraded_child_over(c);
    c->role = ROLE_COUNT;
    c->gen = NULL;
}

static void child_retire(struct child *c, int64_t delay_ms)
{
    child_drain(c, RETIRED_MS, delay_ms);
    if (c->state == CHILD_READY)
        loop_timer_set(&c->timer, (delay_ms > 0 ? delay_ms : 0) + RETIRED_MS + GRACE_MS);
}

/* cleanup serves its smtpd to the end, dnsd both smtpd and deliverd. */
static bool is_needed(const struct generation *g, enum role role)
{
    switch (role) {
    case ROLE_CLEANUP: return generation_has(g, ROLE_SMTPD);
    case ROLE_DNSD: return generation_has(g, ROLE_SMTPD) || generation_has(g, ROLE_DELIVERD);
    default: return false;
    }
}

static bool has_any(const struct generation *g)
{
    for (size_t i = 0; i < g->host->child_n; i++) {
        if (g->host->children[i].gen == g)
            return true;
    }
    return false;
}

static void on_again(void *arg)
{
    struct host *h = arg;
    struct buf report;

    if (!h->reload_wanted || h->phase != HOST_RUNNING)
        return;
    h->reload_wanted = false;
    buf_init(&report, 65536);
    if (host_reload(h, h->reload_history, h->reload_by, &report) == RELOAD_REFUSED)
        watchers_tell(h, false, buf_cstr(&report));
    buf_clear(&report);
}

static void again_soon(struct host *h)
{
    if (!h->reload_again.fn)
        h->reload_again = (struct loop_task){ .fn = on_again, .arg = h };
    if (h->reload_wanted)
        loop_later(h->loop, &h->reload_again);
}

void reload_mapd_ready(struct host *h)
{
    again_soon(h);
}

static void unneeded_release(struct generation *g)
{
    struct host *h = g->host;

    for (size_t i = 0; i < h->child_n; i++) {
        struct child *c = &h->children[i];

        if (c->gen != g || is_needed(g, c->role))
            continue;
        if (c->pid == 0)
            child_release(c);
        else if (!c->retired)
            child_retire(c, -1);
        c->retired = true;
    }
}

/* Those that nobody needs any more are let go, and the generation with the last of them. */
static void retired_look(struct generation *g)
{
    struct host *h = g->host;

    unneeded_release(g);
    unneeded_release(g); /* who was there for those that were released just now */
    if (has_any(g))
        return;
    LOG(INFO, "mtad.generation.ended", KI("generation", g->number));
    each_of_role(h, ROLE_MAPD, g, forget_send);
    generation_free(&g);
    again_soon(h);
}

static void retire(struct generation *g)
{
    struct host *h = g->host;
    int64_t delay_ms = g->conf->processes->drain * 1000;

    g->state = GENERATION_RETIRED;
    listener_close_all(g->listeners, g->listener_n);
    for (size_t i = 0; i < h->child_n; i++) {
        struct child *c = &h->children[i];

        if (c->gen != g)
            continue;
        edge_retire(c);
        if (c->role != ROLE_SMTPD || c->pid == 0)
            continue;
        c->retired = true;
        child_retire(c, delay_ms);
    }
    retired_look(g);
}

void reload_child_ended(struct child *c)
{
    struct generation *g = c->gen;

    child_release(c);
    retired_look(g);
}

/* ---- the end of a reload ---- */

static void on_late(void *arg)
{
    struct host *h = arg;

    if (h->reloading && !h->tables_ready)
        reload_failed(h->reloading, "mapd did not load the tables in time");
}

void reload_failed(struct generation *g, const char *why)
{
    struct host *h = g->host;
    char text[400];

    if (h->reloading != g)
        return;
    h->reloading = NULL;
    loop_timer_stop(&h->reload_timer);
    LOG(ERROR, "mtad.reload.failed", KI("generation", g->number), KS("why", why),
        KI("kept", h->current->number));
    snprintf(text, sizeof text, "the last reload failed, what ran before goes on: %.300s", why);
    degraded_set(h, "configuration", text, "mend it, then: mtactl reload");
    /* Some of its processes may have clients already. */
    retire(g);
    watchers_tell(h, false, why);
    again_soon(h);
}

static void log_follow(struct host *h, const struct conf *former)
{
    if (strcmp(former->log->to, h->conf->log->to) != 0)
        log_target_reopen(h);
    if (former->log->level == h->conf->log->level)
        return;
    log_set_level((enum log_level)h->conf->log->level);
    for (size_t i = 0; i < h->child_n; i++)
        child_level_send(&h->children[i], (enum log_level)h->conf->log->level);
}

/* What runs is kept, or was. */
static void settle(struct host *h, const struct generation *g)
{
    char text[400];

    if (!g->history) {
        history_accept(h, "reload", g->by);
        degraded_set(h, "configuration", NULL, NULL);
        return;
    }
    h->history_number = g->history;
    LOG(WARN, "mtad.reload.previous", KI("configuration", g->history), KS("by", g->by));
    snprintf(text, sizeof text,
             "an older configuration (number %u of mtactl config history) runs since %s called reload "
             "--previous, not what the files say; a restart takes the files",
             g->history, g->by);
    degraded_set(h, "configuration", text,
                 "mend the files (mtactl config diff shows what they say), then: mtactl reload");
}

void reload_ready(struct generation *g)
{
    struct host *h = g->host;
    struct generation *former = h->current;
    char text[64];

    h->reloading = NULL;
    g->state = GENERATION_CURRENT;
    generation_show(g);
    settle(h, g);
    log_follow(h, former->conf);
    each_of_role(h, ROLE_QUEUED, g, conf_send);
    each_of_role(h, ROLE_HISTORYD, g, conf_send);
    LOG(INFO, "mtad.reload.done", KI("generation", g->number), KI("former", former->number),
        KI("listeners", h->listener_n), KI("generations", generation_count(h)));
    retire(former);
    snprintf(text, sizeof text, "generation %u works", g->number);
    watchers_tell(h, true, text);
    again_soon(h);
}

void reload_tables(struct child *mapd, const struct ipc_in *in)
{
    struct host *h = mapd->host;
    struct generation *g = h->reloading;
    char why[512];

    if (!g || h->tables_ready || ipc_get_u64(in, TAG_GENERATION) != g->number)
        return;
    if (ipc_has(in, TAG_TEXT)) {
        snprintf(why, sizeof why, "%.*s", (int)ipc_get(in, TAG_TEXT).n, ipc_get(in, TAG_TEXT).p);
        reload_failed(g, why);
        return;
    }
    h->tables_ready = true;
    loop_timer_stop(&h->reload_timer);
    supervise_begin(g);
}

/* ---- the beginning ---- */

static void report_log(const struct buf *report)
{
    struct strv rest = buf_view(report), line;

    while (strv_cut(&rest, '\n', &line)) {
        /* Excerpts and carets are for a terminal. */
        if (line.n && line.p[0] != ' ')
            LOG(ERROR, "mtad.reload.refused", KV("error", line));
    }
}

static enum reload_result refused(struct host *h, struct buf *report)
{
    struct strv rest = buf_view(report), line = SV_LIT("");
    char text[400];

    report_log(report);
    LOG(WARN, "mtad.reload.kept", KI("generation", h->current->number));
    strv_cut(&rest, '\n', &line);
    snprintf(text, sizeof text, "the files were refused at the last reload, what ran before goes on: %.*s",
             (int)(line.n < 300 ? line.n : 300), line.p ? line.p : "");
    degraded_set(h, "configuration", text, "mtactl check says all of it; mend it, then: mtactl reload");
    return RELOAD_REFUSED;
}

static enum reload_result waits(struct host *h, struct buf *report, const char *what)
{
    h->reload_wanted = true;
    buf_addf(report, "the reload waits for %s\n", what);
    LOG(INFO, "mtad.reload.waits", KS("for", what));
    return RELOAD_WAITS;
}

enum reload_result host_reload(struct host *h, unsigned history, const char *by, struct buf *report)
{
    struct child *mapd = child_find(h, ROLE_MAPD, 0);
    struct generation *g;

    h->reload_history = history;
    if (by != h->reload_by)
        snprintf(h->reload_by, sizeof h->reload_by, "%s", by);

    if (h->phase != HOST_RUNNING) {
        buf_adds(report, h->phase == HOST_STARTING ? "the service has not started yet\n"
                                                   : "the service is being stopped\n");
        report_log(report);
        return RELOAD_REFUSED;
    }
    g = generation_load(h, report);
    if (!g)
        return refused(h, report);
    if (mapd->state != CHILD_READY || h->reloading || generation_count(h) >= GENERATIONS_MAX) {
        generation_free(&g);
        return waits(h, report, mapd->state != CHILD_READY ? "mapd, which is started again"
                                : h->reloading             ? "the end of the one before"
                                                           : "the end of an old generation");
    }
    generation_enter(g);
    h->reloading = g;
    h->tables_ready = false;
    LOG(INFO, "mtad.reload.begun", KI("generation", g->number), KI("former", h->current->number));
    for (size_t i = 0; i < h->child_n; i++) {
        if (h->children[i].role == ROLE_MAPD_WORKER && h->children[i].control)
            conf_send(&h->children[i], g);
    }
    tables_send(mapd, g);
    loop_timer_init(&h->reload_timer, h->loop, on_late, h);
    loop_timer_set(&h->reload_timer, TABLES_MS);
    return RELOAD_BEGUN;
}
