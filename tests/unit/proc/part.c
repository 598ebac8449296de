/* part.c - a daemon of no trade: plays any role (by its name) so that mtad and the skeleton can be tested
 * alone */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/net/loop.h"
#include "common/os/fault.h"
#include "common/os/fd.h"
#include "common/os/thread.h"
#include "common/proc/agent_start.h"
#include "common/proc/daemon.h"

#define PEERS_MAX 64

struct part {
    struct daemon *d;
    struct channel *peers[PEERS_MAX]; /* owned */
    unsigned peer_n;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    void (*fn)(void *arg); /* for the thread; NULL: nothing to do */
    void *arg;
};

static struct part part = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static void on_frame(void *arg, struct channel *ch, struct ipc_in *in)
{
    (void)arg;
    (void)ch;
    LOG(INFO, "part.frame", KS("type", in->schema->name));
}

static void on_lost(void *arg, struct channel *ch, const char *why)
{
    (void)arg;
    LOG(INFO, "part.edge.lost", KS("peer", role_name(channel_peer(ch))), KI("index", channel_peer_index(ch)),
        KS("why", why));
    for (unsigned i = 0; i < part.peer_n; i++) {
        if (part.peers[i] == ch) {
            channel_free(&part.peers[i]);
            part.peers[i] = part.peers[--part.peer_n];
            return;
        }
    }
}

static const struct channel_ops ops = { .frame = on_frame, .lost = on_lost };

static void on_edge(struct daemon *d, enum role peer, unsigned index, int fd, bool lived)
{
    static enum role self;

    role_parse(SV(log_name()), &self);
    LOG(INFO, "part.edge", KS("peer", role_name(peer)), KI("index", index), KI("lived", lived));
    if (part.peer_n < PEERS_MAX)
        part.peers[part.peer_n++] = channel_new(daemon_loop(d), fd, self, peer, index, &ops, NULL);
    else
        fd_close(&fd);
}

static void on_gone(struct daemon *d, enum role peer, unsigned index)
{
    (void)d;
    LOG(INFO, "part.gone", KS("peer", role_name(peer)), KI("index", index));
}

static void on_drain(struct daemon *d, int64_t deadline_ms)
{
    LOG(INFO, "part.drain", KI("deadline", deadline_ms));
    daemon_exit(d, 0);
}

/* As mapd: the tables of a new configuration are there at once. */
static void on_control(struct daemon *d, struct ipc_in *in)
{
    struct ipc_out o;

    if (in->type != IPC_SNAPSHOT || ipc_get_u64(in, TAG_LAST))
        return;
    ipc_out_init(&o);
    ipc_begin(&o, IPC_SNAPSHOT, 0);
    ipc_put_u64(&o, TAG_GENERATION, ipc_get_u64(in, TAG_GENERATION));
    channel_send(daemon_control(d), &o);
    ipc_out_clear(&o);
}

static bool on_start(struct daemon *d, struct err *err)
{
    unsigned listeners = 0, sources = 0;

    if (FAULT_POINT("part.start") != 0)
        return err_set(err, ERR_TEMP, "told to fail");
    for (struct daemon_listener *l = daemon_listeners(d); l; l = l->next)
        listeners++;
    for (struct daemon_source *s = daemon_sources(d); s; s = s->next)
        sources++;
    LOG(INFO, "part.start", KI("index", daemon_index(d)), KI("listeners", listeners), KI("sources", sources),
        KS("host", daemon_hostname(d)));
    return true;
}

static void *thread_main(void *arg)
{
    pthread_mutex_lock(&part.lock);
    for (;;) {
        while (!part.fn)
            pthread_cond_wait(&part.changed, &part.lock);
        part.fn(part.arg);
        part.fn = NULL;
        pthread_cond_broadcast(&part.changed);
    }
    return arg;
}

static bool on_threads(struct daemon *d, struct err *err)
{
    pthread_t t;

    (void)d;
    return thread_start(&t, "writer", thread_main, NULL, err);
}

static void run_on_thread(struct daemon *d, unsigned thread, void (*fn)(void *arg), void *arg)
{
    (void)d;
    (void)thread;
    pthread_mutex_lock(&part.lock);
    part.fn = fn;
    part.arg = arg;
    pthread_cond_broadcast(&part.changed);
    while (part.fn)
        pthread_cond_wait(&part.changed, &part.lock);
    pthread_mutex_unlock(&part.lock);
}

/* ---- as an agent ---- */

static struct loop *agent_loop;

static void on_agent_frame(void *arg, struct channel *ch, struct ipc_in *in)
{
    (void)arg;
    agent_common_frame(ch, in);
}

static void on_agent_lost(void *arg, struct channel *ch, const char *why)
{
    (void)arg;
    (void)ch;
    (void)why;
    loop_stop(agent_loop);
}

static const struct channel_ops agent_ops = { .frame = on_agent_frame, .lost = on_agent_lost };

static int agent_main(void)
{
    struct agent_start a;
    struct err err = { 0 };

    if (!agent_start(&a, &err))
        return 1;
    agent_loop = loop_new();
    channel_new(agent_loop, a.channel_fd, ROLE_AGENT, a.peer, 0, &agent_ops, NULL);
    LOG(INFO, "part.agent", KS("user", a.user), KS("root", a.root_path), KI("uid", geteuid()));
    loop_run(agent_loop);
    return 0;
}

int main(int argc, char **argv)
{
    struct daemon_spec spec = {
        .name = argv[0],
        .edge = on_edge,
        .peer_gone = on_gone,
        .drain = on_drain,
        .start = on_start,
        .control = on_control,
    };

    if (argc < 1)
        return 64;
    if (strcmp(argv[0], "mansio-agent") == 0)
        return agent_main();
    if (!role_parse(SV(argv[0]), &spec.role)) {
        fprintf(stderr, "%s is no role\n", argv[0]);
        return 64;
    }
    if (spec.role == ROLE_QUEUED) {
        spec.threads = on_threads;
        spec.thread_count = 1;
        spec.run_on_thread = run_on_thread;
    }
    return daemon_main(&spec, argc, argv);
}
