/* edge.c - the channels between daemons: made in pairs, pushed to both sides */
#include "mtad/edge.h"

#include <signal.h>

#include "common/base/log.h"
#include "common/ipc/channel.h"
#include "common/os/fd.h"
#include "maps/client.h"
#include "mtad/child.h"
#include "mtad/generation.h"

#define REMAKES_MAX 5
#define REMAKES_MS  60000

/* Takes fd. */
static void edge_send(struct child *to, enum role peer, unsigned index, bool lived, int fd)
{
    struct ipc_out o;

    ipc_out_init(&o);
    ipc_begin(&o, IPC_EDGE, 0);
    ipc_put_u64(&o, TAG_ROLE, peer);
    ipc_put_u64(&o, TAG_INDEX, index);
    ipc_put_u64(&o, TAG_LIVED, lived);
    ipc_put_fd(&o, fd);
    channel_send(to->control, &o);
    ipc_out_clear(&o);
}

/* lived: whether c ran before the peer, for the peer's eyes; the peer always did for c's. */
static bool edge_make(struct child *c, struct child *peer, bool lived, struct err *err)
{
    int ends[2];

    if (!fd_seqpacket_pair(ends))
        return err_sys(err, "socketpair");
    edge_send(c, peer->role, peer->index, true, ends[0]);
    edge_send(peer, c->role, c->index, lived, ends[1]);
    return true;
}

static bool edge_make_own(struct child *c, struct err *err)
{
    int ends[2];

    if (!fd_seqpacket_pair(ends))
        return err_sys(err, "socketpair");
    edge_send(c, ROLE_MTAD, 0, true, ends[0]);
    maps_client_edge(c->host->maps, ends[1]);
    return true;
}

static void retired_send(struct child *queued, const struct child *c)
{
    struct ipc_out o;

    ipc_out_init(&o);
    ipc_begin(&o, IPC_PEER_RETIRED, 0);
    ipc_put_u64(&o, TAG_ROLE, c->role);
    ipc_put_u64(&o, TAG_INDEX, c->index);
    channel_send(queued->control, &o);
    ipc_out_clear(&o);
}

void edge_retire(const struct child *c)
{
    struct child *queued = child_find(c->host, ROLE_QUEUED, 0);

    if (!queued->control || !graph_is_edge(c->role, ROLE_QUEUED))
        return;
    retired_send(queued, c);
    /* It may end as soon as it hears of it: queued should hear first. */
    channel_flush(queued->control);
}

bool edge_make_all(struct child *c, struct err *err)
{
    struct host *h = c->host;

    for (size_t i = 0; i < h->child_n; i++) {
        struct child *peer = &h->children[i];

        if (!peer->control || !child_is_peer(c, peer))
            continue;
        if (!edge_make(c, peer, false, err))
            return false;
        if (peer->gen->state == GENERATION_RETIRED && c->role == ROLE_QUEUED)
            retired_send(c, peer);
    }
    if (c->gen->state == GENERATION_RETIRED)
        edge_retire(c);
    return !graph_is_edge(c->role, ROLE_MTAD) || edge_make_own(c, err);
}

static bool is_habit(struct child *offender)
{
    int64_t now = loop_now(offender->host->loop);

    if (now - offender->nonsense_since_ms > REMAKES_MS) {
        offender->nonsense_since_ms = now;
        offender->nonsense = 0;
    }
    return ++offender->nonsense > REMAKES_MAX;
}

void edge_remake(struct child *c, enum role role, unsigned index)
{
    struct child *peer = child_find(c->host, role, index);
    struct err err = { 0 };
    char from[48], to[48];
    bool ok;

    if (!c->control || !graph_is_edge(c->role, role))
        return;
    if (role == ROLE_MTAD) {
        ok = edge_make_own(c, &err);
    } else {
        if (!peer || !peer->control || !child_is_peer(c, peer))
            return; /* its end was seen already; its successor gets channels anyway */
        if (is_habit(peer)) {
            LOG(ERROR, "mtad.edge.abused", KS("child", child_label(peer, to)),
                KS("peer", child_label(c, from)));
            kill(peer->pid, SIGKILL);
            return;
        }
        LOG(WARN, "mtad.edge.remade", KS("child", child_label(c, from)), KS("peer", child_label(peer, to)));
        ok = edge_make(c, peer, true, &err);
    }
    if (!ok)
        LOG(ERROR, "mtad.edge.failed", KS("child", child_label(c, from)), KS("error", err.text));
}

/* Control channels are not meant: what speaks nonsense there is ended. */
static void on_own_broken(void *arg, struct channel *ch)
{
    struct host *h = arg;
    struct child *mapd = child_find(h, ROLE_MAPD, 0);
    struct err err = { 0 };

    if (channel_peer(ch) != ROLE_MAPD || !mapd->control || ch == mapd->control)
        return;
    if (!edge_make_own(mapd, &err))
        LOG(ERROR, "mtad.edge.failed", KS("child", "mapd[0]"), KS("error", err.text));
}

void edge_watch_own(struct host *h)
{
    channel_on_broken(on_own_broken, h);
}
