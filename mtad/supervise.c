/* supervise.c - starting in order, restarting what ends, and knowing why
 *
 * At the start of the suite one role after the other becomes READY; what fails then ends the suite, so that
 * nothing starts half; only the history may fail, mail needs none. Later each child is restarted alone, with
 * back-off.
 */
#include "mtad/supervise.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "common/base/log.h"
#include "mtad/agent.h"
#include "mtad/attempt.h"
#include "mtad/child.h"
#include "mtad/degraded.h"
#include "mtad/drain.h"
#include "mtad/follow.h"
#include "mtad/generation.h"
#include "mtad/history.h"
#include "mtad/notify.h"
#include "mtad/opener.h"
#include "mtad/reload.h"
#include "mtad/status.h"

static void child_failed(struct child *c, const char *why);
static void row_go_on(struct generation *g);

static void on_timer(void *arg)
{
    struct child *c = arg;
    struct err err = { 0 };
    char label[48];

    if (c->state == CHILD_STARTING) {
        LOG(ERROR, "mtad.child.late", KS("child", child_label(c, label)),
            KI("seconds", graph_role_find(c->role)->ready_s));
        kill(c->pid, SIGKILL);
        return;
    }
    if (c->state == CHILD_READY) {
        LOG(WARN, "mtad.child.killed", KS("child", child_label(c, label)));
        kill(c->pid, SIGKILL);
        return;
    }
    if (c->host->phase == HOST_STOPPING)
        return;
    if (!child_start(c, &err)) {
        if (c->pid > 0)
            kill(c->pid, SIGKILL); /* what follows is its end */
        else
            child_failed(c, err.text);
        return;
    }
    loop_timer_set(&c->timer, (int64_t)graph_role_find(c->role)->ready_s * 1000);
    LOG(DEBUG, "mtad.child.started", KS("child", child_label(c, label)), KI("pid", c->pid));
}

static void child_launch(struct child *c, int64_t after_ms)
{
    loop_timer_init(&c->timer, c->host->loop, on_timer, c);
    loop_timer_set(&c->timer, after_ms);
}

static bool is_in_row(const struct child *c, const struct generation *g)
{
    return c->gen == g && c->role == graph_roles[g->row].role;
}

static void child_failed(struct child *c, const char *why)
{
    struct host *h = c->host;
    int64_t lived = c->started_ms ? loop_now(h->loop) - c->started_ms : 0;
    char label[48];

    child_label(c, label);
    /* Mail needs no history: it starts without, as it goes on without. */
    if (h->phase == HOST_STARTING && c->role != ROLE_HISTORYD) {
        LOG(ERROR, "mtad.start.failed", KS("child", label), KS("why", why));
        h->status = 1;
        drain_now(h);
        return;
    }
    if (c->gen == h->reloading || (c->role == ROLE_MAPD && h->reloading && !h->tables_ready)) {
        char text[320];

        snprintf(text, sizeof text, "%s: %s", label, why);
        reload_failed(h->reloading, text);
    }
    if (!c->gen)
        return;
    if (c->retired) {
        LOG(ERROR, "mtad.child.ended", KS("child", label), KS("why", why), KMS("lived", lived));
        reload_child_ended(c);
        return;
    }
    c->backoff_ms = status_backoff(c->backoff_ms, (long)lived);
    if (h->options.restart_max_ms > 0 && c->backoff_ms > h->options.restart_max_ms)
        c->backoff_ms = h->options.restart_max_ms;
    LOG(ERROR, "mtad.child.ended", KS("child", label), KS("why", why), KMS("lived", lived),
        KMS("restart_in", c->backoff_ms));
    if (h->phase == HOST_STARTING && is_in_row(c, c->gen))
        row_go_on(c->gen);
    degraded_child(c, why);
    loop_timer_set(&c->timer, c->backoff_ms);
}

/* False when there is nobody to start. */
static bool row_launch(struct generation *g)
{
    struct host *h = g->host;
    bool any = false;

    for (size_t i = 0; i < h->child_n; i++) {
        if (!is_in_row(&h->children[i], g))
            continue;
        child_launch(&h->children[i], 0);
        any = true;
    }
    return any;
}

static bool row_is_ready(const struct generation *g)
{
    const struct host *h = g->host;

    for (size_t i = 0; i < h->child_n; i++) {
        if (is_in_row(&h->children[i], g) && h->children[i].state != CHILD_READY)
            return false;
    }
    return true;
}

/* True when all of the generation are up. */
static bool rows_advance(struct generation *g)
{
    while (graph_roles[g->row].role != ROLE_COUNT) {
        if (row_launch(g))
            return false;
        g->row++;
    }
    return true;
}

void supervise_begin(struct generation *g)
{
    rows_advance(g);
}

static void all_ready(struct host *h)
{
    h->phase = HOST_RUNNING;
    h->current->state = GENERATION_CURRENT;
    LOG(INFO, "mtad.ready", KI("children", h->child_n), KI("listeners", h->listener_n));
    history_accept(h, "start", "mtad");
    notify_ready(h);
    if (h->options.try_forbidden)
        attempt_begin(h);
}

/* The row has started. */
static void row_go_on(struct generation *g)
{
    struct host *h = g->host;

    g->row++;
    if (!rows_advance(g))
        return;
    if (h->phase == HOST_STARTING)
        all_ready(h);
    else if (h->phase == HOST_RUNNING)
        reload_ready(g);
}

void supervise_ready(struct child *c)
{
    struct host *h = c->host;
    struct generation *g = c->gen;
    char label[48];

    if (c->state != CHILD_STARTING)
        return;
    c->state = CHILD_READY;
    loop_timer_stop(&c->timer);
    follow_tell(c);
    if (h->phase == HOST_RUNNING)
        LOG(INFO, "mtad.child.ready", KS("child", child_label(c, label)), KI("pid", c->pid),
            KMS("took", loop_now(h->loop) - c->started_ms));
    if (h->phase == HOST_RUNNING && c->role == ROLE_MAPD)
        reload_mapd_ready(h);
    if (g->state == GENERATION_STARTING && is_in_row(c, g) && row_is_ready(g))
        row_go_on(g);
}

static void child_ended(struct child *c, int status)
{
    struct host *h = c->host;
    char why[256], label[48];

    status_end_text(status, why, sizeof why);
    loop_timer_stop(&c->timer);
    child_forget(c);
    if (h->phase != HOST_STOPPING && c->retired && status == 0) {
        LOG(DEBUG, "mtad.child.left", KS("child", child_label(c, label)));
        reload_child_ended(c);
        return;
    }
    if (h->phase != HOST_STOPPING) {
        child_failed(c, why);
        return;
    }
    if (status != 0)
        LOG(WARN, "mtad.child.stopped", KS("child", child_label(c, label)), KS("why", why));
    drain_child_ended(h);
}

void supervise_reap(struct host *h)
{
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        struct child *c;

        if (pid <= 0)
            return;
        c = child_by_pid(h, pid);
        if (c)
            child_ended(c, status);
        else if (!opener_ended(h, pid))
            agent_ended(h, pid, status);
    }
}
