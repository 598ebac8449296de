/* main.c - historyd: keeps what was logged about messages, for some days, so that it can be asked for */
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/metric.h"
#include "common/proc/daemon.h"
#include "common/proc/source_conf.h"
#include "conf/conf.h"
#include "historyd/collect.h"

#define DRAIN_LOOK_MS 20
#define DRAIN_MAX_MS  2000

static struct {
    struct history history;
    struct loop_timer drain;
    int64_t drain_until;
} state;

static bool on_threads(struct daemon *d, struct err *err)
{
    return history_open(&state.history, d, err);
}

static bool on_start(struct daemon *d, struct err *err)
{
    (void)d;
    (void)err;
    history_start(&state.history);
    return true;
}

static void on_edge(struct daemon *d, enum role peer, unsigned index, int fd, bool lived)
{
    (void)d;
    (void)lived;
    history_edge(&state.history, peer, index, fd);
}

static void on_source(struct daemon *d, struct daemon_source *s)
{
    struct err err;
    struct conf *conf = source_conf_take(s, ROLE_HISTORYD, &err);

    (void)d;
    if (err.cls)
        LOG(ERROR, "history.conf.failed", KS("error", err.text));
    if (!conf)
        return;
    history_conf(&state.history, conf->history);
    conf_free(&conf);
}

/* Everybody else has left by then; what they sent last is read first. */
static void on_drain_look(void *arg)
{
    struct daemon *d = arg;

    if (!history_is_quiet(&state.history) && loop_now(daemon_loop(d)) < state.drain_until) {
        loop_timer_set(&state.drain, DRAIN_LOOK_MS);
        return;
    }
    history_close(&state.history);
    daemon_exit(d, 0);
}

static void on_drain(struct daemon *d, int64_t deadline_ms)
{
    state.drain_until = loop_now(daemon_loop(d)) + (deadline_ms < DRAIN_MAX_MS ? deadline_ms : DRAIN_MAX_MS);
    loop_timer_init(&state.drain, daemon_loop(d), on_drain_look, d);
    loop_timer_set(&state.drain, DRAIN_LOOK_MS);
}

static void on_measure(struct daemon *d)
{
    const struct store_state *s = &state.history.state;
    int64_t age_ms = s->oldest_ms ? clock_wall_ms() - s->oldest_ms : 0;

    (void)d;
    metric_set(METRIC_HISTORY_BYTES, 0, s->bytes);
    metric_set(METRIC_HISTORY_OLDEST, 0, age_ms > 0 ? (uint64_t)age_ms / 1000 : 0);
}

static void on_run_on_thread(struct daemon *d, unsigned thread, void (*fn)(void *arg), void *arg)
{
    (void)d;
    (void)thread;
    keeper_run(state.history.keeper, fn, arg);
}

int main(int argc, char **argv)
{
    static const struct daemon_spec spec = {
        .name = "historyd",
        .role = ROLE_HISTORYD,
        .threads = on_threads,
        .start = on_start,
        .edge = on_edge,
        .drain = on_drain,
        .source = on_source,
        .measure = on_measure,
        .run_on_thread = on_run_on_thread,
        .thread_count = 1,
    };

    return daemon_main(&spec, argc, argv);
}
