/* drain.c - the orderly end: stage by stage, each with what is left of the time */
#include "mtad/drain.h"

#include <signal.h>

#include "common/base/log.h"
#include "conf/conf.h"
#include "conf/processes.h"
#include "mtad/child.h"
#include "mtad/edge.h"
#include "mtad/notify.h"

#define STAGE_MIN_MS 5000 /* also the last stages get time to put things away */
#define GRACE_MS     2000 /* between a child's own deadline and SIGKILL */

static bool stage_is_empty(const struct host *h)
{
    for (size_t i = 0; i < h->child_n; i++) {
        if (h->children[i].pid > 0 && graph_role_find(h->children[i].role)->stop_stage == h->stop_stage)
            return false;
    }
    return true;
}

static void stage_begin(struct host *h)
{
    int64_t left;

    while (h->stop_stage < GRAPH_STOP_STAGES && stage_is_empty(h))
        h->stop_stage++;
    if (h->stop_stage == GRAPH_STOP_STAGES) {
        loop_stop(h->loop);
        return;
    }
    left = h->stop_by_ms - loop_now(h->loop);
    if (left < STAGE_MIN_MS)
        left = STAGE_MIN_MS;
    /* Backwards: deliverd hears of the end before queued, which it would otherwise miss. */
    for (size_t i = h->child_n; i-- > 0;) {
        struct child *c = &h->children[i];

        if (c->pid <= 0 || graph_role_find(c->role)->stop_stage != h->stop_stage)
            continue;
        edge_retire(c); /* its going is no news then */
        child_drain(c, left, -1);
    }
    loop_timer_set(&h->stop_timer, left + GRACE_MS);
}

static void on_stage_late(void *arg)
{
    struct host *h = arg;
    char label[48];

    for (size_t i = 0; i < h->child_n; i++) {
        struct child *c = &h->children[i];

        if (c->pid <= 0 || graph_role_find(c->role)->stop_stage != h->stop_stage)
            continue;
        LOG(WARN, "mtad.child.killed", KS("child", child_label(c, label)));
        kill(c->pid, SIGKILL);
    }
}

void drain_begin(struct host *h)
{
    if (h->phase == HOST_STOPPING) {
        LOG0(WARN, "mtad.stop.hurried");
        drain_now(h);
        return;
    }
    LOG(INFO, "mtad.stop.begun", KI("seconds", h->conf->processes->drain));
    h->phase = HOST_STOPPING;
    notify_stopping();
    loop_timer_init(&h->stop_timer, h->loop, on_stage_late, h);
    h->stop_by_ms = loop_now(h->loop) + h->conf->processes->drain * 1000;
    h->stop_stage = 0;
    stage_begin(h);
}

/* Safe at any time: what was acknowledged is durable. The loop ends when the last one was reaped. */
void drain_now(struct host *h)
{
    bool any = false;

    /* A start that fails ends here without an orderly stop before. */
    if (h->phase != HOST_STOPPING) {
        loop_timer_init(&h->stop_timer, h->loop, on_stage_late, h);
        h->stop_by_ms = loop_now(h->loop);
    }
    h->phase = HOST_STOPPING;
    h->stop_stage = 0;
    for (size_t i = 0; i < h->child_n; i++) {
        if (h->children[i].pid > 0) {
            kill(h->children[i].pid, SIGKILL);
            any = true;
        }
    }
    if (!any)
        loop_stop(h->loop);
}

void drain_child_ended(struct host *h)
{
    if (stage_is_empty(h))
        stage_begin(h);
}
