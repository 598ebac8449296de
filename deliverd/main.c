/* main.c - deliverd: takes jobs of queued to other hosts and into mailboxes */
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/ipc/channel.h"
#include "common/proc/daemon.h"
#include "conf/conf.h"
#include "deliverd/agents.h"
#include "deliverd/ctl.h"
#include "deliverd/deliverd.h"
#include "deliverd/job.h"
#include "deliverd/lmtp.h"
#include "deliverd/own.h"
#include "deliverd/pool.h"
#include "deliverd/secure.h"
#include "deliverd/source.h"
#include "deliverd/trouble.h"
#include "dnsd/client.h"
#include "maps/client.h"

#include <unistd.h>

#define PATIENCE_MS 20000 /* mtad's back-off after a first crash is far below */

static bool deliverd_open(struct daemon *d, struct err *err)
{
    struct deliverd *dd = mem_new(sizeof *dd);

    daemon_set_state(d, dd);
    dd->daemon = d;
    dd->conf = daemon_conf(d);
    dd->index = daemon_index(d);
    dd->patience_ms = PATIENCE_MS;
    own_addresses_find(dd->conf, &dd->own);
    return secure_load(d, &dd->secure, err);
}

/* Edges are announced before `start`. */
static struct deliverd *ready(struct daemon *d)
{
    struct deliverd *dd = daemon_state(d);

    if (!dd->loop) {
        dd->loop = daemon_loop(d);
        ipc_out_init(&dd->out);
        dd->trouble = trouble_new();
        dd->sources = sources_new(dd);
        dd->dns = dns_client_new(dd->loop, ROLE_DELIVERD);
        dd->maps = maps_client_new(dd->loop, ROLE_DELIVERD);
        maps_client_snapshot(dd->maps, daemon_generation(d));
        dd->pool = pool_new(dd);
        dd->agents = agents_new(dd);
        dd->lmtp = lmtp_new(dd);
        dd->jobs = jobs_new(dd);
    }
    return dd;
}

static bool deliverd_start(struct daemon *d, struct err *err)
{
    struct deliverd *dd = ready(d);

    (void)err;
    LOG(INFO, "delivery.started", KI("routes", dd->conf->route_n), KI("own_addresses", dd->own.n));
    sources_look(dd->sources);
    return true;
}

static void deliverd_edge(struct daemon *d, enum role peer, unsigned index, int fd, bool lived)
{
    struct deliverd *dd = ready(d);

    (void)index;
    (void)lived;
    switch (peer) {
    case ROLE_QUEUED: jobs_edge(dd->jobs, fd); return;
    case ROLE_DNSD: dns_client_edge(dd->dns, fd); return;
    case ROLE_MAPD: maps_client_edge(dd->maps, fd); return;
    case ROLE_MTACTL: deliverd_ctl_client(dd, fd); return;
    case ROLE_MTAD:
    case ROLE_SMTPD:
    case ROLE_CLEANUP:
    case ROLE_DELIVERD:
    case ROLE_MAPD_WORKER:
    case ROLE_HISTORYD:
    case ROLE_AGENT:
    case ROLE_COUNT: break;
    }
    close(fd);
}

static void deliverd_agent_reply(struct daemon *d, struct ipc_in *in)
{
    agents_reply(ready(d)->agents, in);
}

static void deliverd_control(struct daemon *d, struct ipc_in *in)
{
    if (in->type == IPC_HELPER_REPLY)
        lmtp_helper_reply(ready(d)->lmtp, in);
}

static void on_empty(void *arg)
{
    struct deliverd *dd = arg;

    daemon_exit(dd->daemon, 0);
}

/* What runs is finished: cut off, a message whose last reply is missing would be sent twice. */
static void deliverd_drain(struct daemon *d, int64_t deadline_ms)
{
    struct deliverd *dd = ready(d);

    (void)deadline_ms;
    dd->draining = true;
    pool_close_idle(dd->pool);
    LOG(INFO, "delivery.draining", KI("jobs", jobs_count(dd->jobs)));
    if (jobs_count(dd->jobs) == 0)
        daemon_exit(d, 0);
    else
        jobs_on_empty(dd->jobs, on_empty, dd);
}

static const struct daemon_spec spec = {
    .name = "deliverd",
    .role = ROLE_DELIVERD,
    .open = deliverd_open,
    .start = deliverd_start,
    .edge = deliverd_edge,
    .agent_reply = deliverd_agent_reply,
    .drain = deliverd_drain,
    .control = deliverd_control,
};

int main(int argc, char **argv)
{
    return daemon_main(&spec, argc, argv);
}
