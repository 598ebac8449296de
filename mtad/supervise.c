/* supervise.c - starting in order, restarting what ends, and knowing why
 *
 * At the start of the suite one role after the other becomes READY; what fails then ends the suite, so that
 * nothing starts half. Later each child is restarted alone, with back-off.
 */
#include "mtad/supervise.h"

#include <signal.h>
#include <sys/wait.h>

#include "common/base/log.h"
#include "mtad/agent.h"
#include "mtad/attempt.h"
#include "mtad/child.h"
#include "mtad/drain.h"
#include "mtad/notify.h"
#include "mtad/status.h"

static void child_failed(struct child *c, const char *why);

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
    if (c->state != CHILD_DOWN || c->host->phase == HOST_STOPPING)
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

static void child_failed(struct child *c, const char *why)
{
    struct host *h = c->host;
    int64_t lived = c->started_ms ? loop_now(h->loop) - c->started_ms : 0;
    char label[48];

    if (h->phase == HOST_STARTING) {
        LOG(ERROR, "mtad.start.failed", KS("child", child_label(c, label)), KS("why", why));
        h->status = 1;
        drain_now(h);
        return;
    }
    c->backoff_ms = status_backoff(c->backoff_ms, (long)lived);
    LOG(ERROR, "mtad.child.ended", KS("child", child_label(c, label)), KS("why", why), KMS("lived", lived),
        KMS("restart_in", c->backoff_ms));
    loop_timer_set(&c->timer, c->backoff_ms);
}

static void row_launch(struct host *h)
{
    enum role role = graph_roles[h->start_row].role;

    for (size_t i = 0; i < h->child_n; i++) {
        if (h->children[i].role == role)
            child_launch(&h->children[i], 0);
    }
}

static bool row_is_ready(const struct host *h)
{
    for (size_t i = 0; i < h->child_n; i++) {
        if (h->children[i].role == graph_roles[h->start_row].role && h->children[i].state != CHILD_READY)
            return false;
    }
    return true;
}

void supervise_begin(struct host *h)
{
    row_launch(h);
}

static void all_ready(struct host *h)
{
    h->phase = HOST_RUNNING;
    LOG(INFO, "mtad.ready", KI("children", h->child_n), KI("listeners", h->listener_n));
    notify_ready(h);
    if (h->options.try_forbidden)
        attempt_begin(h);
}

void supervise_ready(struct child *c)
{
    struct host *h = c->host;
    char label[48];

    if (c->state != CHILD_STARTING)
        return;
    c->state = CHILD_READY;
    loop_timer_stop(&c->timer);
    if (h->phase == HOST_RUNNING)
        LOG(INFO, "mtad.child.ready", KS("child", child_label(c, label)), KI("pid", c->pid),
            KMS("took", loop_now(h->loop) - c->started_ms));
    if (h->phase != HOST_STARTING || !row_is_ready(h))
        return;
    h->start_row++;
    if (graph_roles[h->start_row].role == ROLE_COUNT)
        all_ready(h);
    else
        row_launch(h);
}

static void child_ended(struct child *c, int status)
{
    struct host *h = c->host;
    char why[256], label[48];

    status_end_text(status, why, sizeof why);
    loop_timer_stop(&c->timer);
    child_forget(c);
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
        else
            agent_ended(h, pid, status);
    }
}
