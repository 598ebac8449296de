/* main.c - queued: owns the spool; stores, schedules, records results */
#include "common/base/log.h"
#include "common/os/fd.h"
#include "common/proc/daemon.h"
#include "common/proc/source_conf.h"
#include "conf/conf.h"
#include "conf/queue.h"
#include "queued/drop.h"
#include "queued/ctl.h"
#include "queued/mailq.h"
#include "queued/measure.h"
#include "queued/segment.h"

#include <stdlib.h>
#include <unistd.h>

#define DRAIN_LOOK_MS  20
#define DRAIN_SPARE_MS 500 /* of the deadline: for the last write and sync */

static struct state {
    struct mailq queue;
    struct daemon *daemon;
    struct loop_timer drain_timer;
    int64_t drain_until; /* mono ms */
    bool drained;        /* an orderly end: what is noted until the loop ends is still written */
    int spool;           /* owned */
    struct conf *conf;   /* owned: that a reload brought; NULL: the daemon's */
} state;

static void on_trouble(struct mailq *q, const char *what, const char *text, const char *advice)
{
    daemon_trouble(q->daemon, what, text, advice);
}

/* Small segments show in seconds what large ones do in an hour. */
static struct store_sizes sizes_choose(void)
{
    struct store_sizes sizes = store_sizes_default;
#ifdef MANSIO_CHECK
    const char *text = getenv("MANSIO_SEGMENT");
    uint64_t bytes;

    if (text && strv_u64(SV(text), SEGMENT_SIZE, &bytes) && bytes >= 1u << 20)
        sizes.segment = bytes;
#endif
    return sizes;
}

/* The loop exists, the spool is the jail, and the filter comes after this: lock and threads belong here. */
static bool on_threads(struct daemon *d, struct err *err)
{
    struct daemon_source *spool = daemon_source_find(d, SOURCE_SPOOL, NULL);
    struct store_sizes sizes = sizes_choose();

    if (!spool || spool->fd < 0)
        return err_set(err, ERR_CONF, "no spool was given");
    state.daemon = d;
    state.spool = spool->fd;
    spool->fd = -1;
    mailq_init(&state.queue, daemon_loop(d), daemon_conf(d)->queue);
    state.queue.daemon = d;
    state.queue.trouble = on_trouble;
    state.queue.routes = daemon_conf(d);
    state.queue.store = store_open(state.spool, &sizes, err);
    if (!state.queue.store)
        return err_wrap(err, "%s", spool->path);
    if (!drops_open(&state.queue, state.spool, err))
        return err_wrap(err, "%s", spool->path);
    return store_threads(state.queue.store, err);
}

static bool on_start(struct daemon *d, struct err *err)
{
    (void)d;
    return mailq_start(&state.queue, err);
}

static void on_edge(struct daemon *d, enum role peer, unsigned index, int fd, bool lived)
{
    (void)d;
    if (peer == ROLE_CLEANUP && index < QUEUE_CLEANUPS) {
        submit_edge(&state.queue, index, fd);
    } else if (peer == ROLE_MTACTL) {
        qctl_client(&state.queue, fd);
    } else if (peer == ROLE_DELIVERD && index < QUEUE_DELIVERDS) {
        deliverd_edge(&state.queue, index, fd, lived);
    } else {
        LOG(ERROR, "queue.edge.unknown", KS("peer", role_name(peer)), KI("index", index));
        fd_close(&fd);
    }
}

static void on_peer_gone(struct daemon *d, enum role peer, unsigned index)
{
    (void)d;
    if (peer == ROLE_DELIVERD && index < QUEUE_DELIVERDS)
        deliverd_gone(&state.queue, index);
}

static void on_peer_retired(struct daemon *d, enum role peer, unsigned index)
{
    (void)d;
    if (peer == ROLE_DELIVERD && index < QUEUE_DELIVERDS)
        deliverd_retired(&state.queue, index);
    if (peer == ROLE_CLEANUP && index < QUEUE_CLEANUPS)
        submit_retired(&state.queue, index);
}

/* A new configuration. What the store holds (its directory) is the same, or mtad had refused it. */
static void on_source(struct daemon *d, struct daemon_source *s)
{
    struct err err;
    struct conf *former = state.conf, *conf = source_conf_take(s, ROLE_QUEUED, &err);

    (void)d;
    if (err.cls)
        LOG(ERROR, "queue.conf.failed", KS("error", err.text));
    if (!conf)
        return;
    state.conf = conf;
    mailq_configure(&state.queue, conf);
    conf_free(&former);
    LOG(INFO, "queue.conf.changed", KS("generation", s->name));
}

static void on_drain_look(void *arg)
{
    struct state *s = arg;

    if (!mailq_is_idle(&s->queue) && loop_now(s->queue.loop) < s->drain_until) {
        loop_timer_set(&s->drain_timer, DRAIN_LOOK_MS);
        return;
    }
    LOG(INFO, "queue.drain.done", KI("jobs", s->queue.job_n), KI("messages", ledger_count(&s->queue.ledger)));
    s->drained = true;
    daemon_exit(s->daemon, 0);
}

static void on_drain(struct daemon *d, int64_t deadline_ms)
{
    struct loop *loop = daemon_loop(d);

    mailq_drain(&state.queue);
    state.drain_until = loop_now(loop) + (deadline_ms > DRAIN_SPARE_MS ? deadline_ms - DRAIN_SPARE_MS : 0);
    loop_timer_init(&state.drain_timer, loop, on_drain_look, &state);
    loop_timer_set(&state.drain_timer, 0);
}

static void on_run_on_thread(struct daemon *d, unsigned thread, void (*fn)(void *arg), void *arg)
{
    (void)d;
    store_run_on_thread(state.queue.store, thread, fn, arg);
}

static void on_measure(struct daemon *d)
{
    (void)d;
    if (state.queue.started)
        measure_queue(&state.queue);
}

static const struct daemon_spec spec = {
    .name = "queued",
    .role = ROLE_QUEUED,
    .measure = on_measure,
    .threads = on_threads,
    .start = on_start,
    .edge = on_edge,
    .peer_gone = on_peer_gone,
    .peer_retired = on_peer_retired,
    .source = on_source,
    .drain = on_drain,
    .run_on_thread = on_run_on_thread,
    .thread_count = 2,
};

int main(int argc, char **argv)
{
    int status = daemon_main(&spec, argc, argv);

    if (state.drained)
        store_close(&state.queue.store);
    return status;
}
