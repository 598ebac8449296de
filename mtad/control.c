/* control.c - what children may ask of mtad: one row each */
#include "mtad/control.h"

#include <signal.h>

#include "common/base/log.h"
#include "mtad/agent.h"
#include "mtad/attempt.h"
#include "mtad/child.h"
#include "mtad/degraded.h"
#include "mtad/edge.h"
#include "mtad/helper.h"
#include "mtad/log_target.h"
#include "mtad/metrics.h"
#include "mtad/reload.h"
#include "mtad/supervise.h"
#include "mtad/watch.h"

static void on_ready(void *arg, struct channel *ch, struct ipc_in *in)
{
    (void)ch;
    (void)in;
    supervise_ready(arg);
}

static void on_log_lost(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct child *c = arg;

    (void)ch;
    (void)in;
    c->wants_log = true;
    log_target_wanted(c->host);
}

static void on_agent(void *arg, struct channel *ch, struct ipc_in *in)
{
    (void)ch;
    agent_request(arg, in);
}

static void on_helper(void *arg, struct channel *ch, struct ipc_in *in)
{
    (void)ch;
    helper_answer(arg, in);
}

static void on_edge_lost(void *arg, struct channel *ch, struct ipc_in *in)
{
    (void)ch;
    edge_remake(arg, (enum role)ipc_get_u64(in, TAG_ROLE), (unsigned)ipc_get_u64(in, TAG_INDEX));
}

static void on_tried(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct child *c = arg;

    attempt_tried(c->host, ch, in);
}

static void on_trouble(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct child *c = arg;

    (void)ch;
    degraded_take(c, in);
}

static void on_pong(void *arg, struct channel *ch, struct ipc_in *in)
{
    (void)ch;
    (void)in;
    watch_answered(arg);
}

static void on_measured(void *arg, struct channel *ch, struct ipc_in *in)
{
    (void)ch;
    metrics_take(arg, in);
}

static void on_agent_end(void *arg, struct channel *ch, struct ipc_in *in)
{
    (void)ch;
    agent_kill(arg, in);
}

static void on_snapshot(void *arg, struct channel *ch, struct ipc_in *in)
{
    (void)ch;
    reload_tables(arg, in);
}

static const struct channel_route routes[] = {
    {IPC_READY,    on_ready },
    { IPC_LOG_LOST,           on_log_lost },
    { IPC_AGENT,on_agent },
    { IPC_AGENT_END, on_agent_end },
    { IPC_HELPER,   on_helper },
    { IPC_TRIED,           on_tried },
    { IPC_EDGE_LOST, on_edge_lost },
    { IPC_TROUBLE, on_trouble },
    { IPC_SNAPSHOT, on_snapshot },
    { IPC_PONG, on_pong },
    { IPC_MEASURED, on_measured },
    { .type = IPC_NONE  },
};

/* The schema says who may send what; a type without a row is a bug of ours, and the child's end. */
static void on_frame(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct child *c = arg;

    if (!channel_dispatch(routes, arg, ch, in))
        kill(c->pid, SIGKILL);
}

/* The process may be alive and talk nonsense: its end is what the supervisor waits for. */
static void on_lost(void *arg, struct channel *ch, const char *why)
{
    struct child *c = arg;
    char label[48];

    (void)ch;
    LOG(DEBUG, "mtad.child.lost", KS("child", child_label(c, label)), KS("why", why));
    channel_free(&c->control);
    if (c->pid > 0 && c->host->phase != HOST_STOPPING)
        kill(c->pid, SIGKILL);
}

const struct channel_ops control_ops = { .frame = on_frame, .lost = on_lost };
