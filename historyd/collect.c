/* collect.c - historyd: lines from all channels into blocks, blocks to the keeper */
#include "historyd/collect.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/metric.h"
#include "common/ipc/channel.h"
#include "common/ipc/ctl.h"
#include "common/os/fd.h"
#include "common/proc/daemon.h"
#include "conf/conf.h"
#include "conf/history.h"
#include "historyd/feed.h"

#define BLOCK_SPAN_MS (6 * 3600 * 1000)
#define FAILED_LOG_MS 60000

static const char trouble[] = "history";

static void lost(struct history *h, uint64_t n)
{
    h->lost += n;
    metric_add(METRIC_HISTORY_LOST, 0, n);
}

/* ---- to the keeper ---- */

static void block_send(struct history *h, bool open)
{
    struct keeper_job *job;

    if (keeper_waiting(h->keeper) >= KEEPER_QUEUE) {
        if (!open)
            lost(h, h->block.line_n);
        return;
    }
    job = mem_new(sizeof *job);
    *job = (struct keeper_job){
        .kind = KEEPER_BLOCK, .bytes = mem_new(BLOCK_SIZE), .open = open, .line_n = h->block.line_n
    };
    block_write(&h->block, job->bytes);
    h->unwritten = 0;
    keeper_add(h->keeper, job);
}

void history_commit(struct history *h)
{
    loop_timer_stop(&h->commit);
    if (h->unwritten)
        block_send(h, true);
}

static void on_commit(void *arg)
{
    struct history *h = arg;

    /* The disk is behind: what it has not written yet grows instead of more of it. */
    if (keeper_waiting(h->keeper))
        loop_timer_set(&h->commit, HISTORY_COMMIT_MS);
    else
        history_commit(h);
}

static void line_take(struct history *h, const struct line *line)
{
    if (!block_add(&h->block, line)) {
        block_send(h, false);
        block_reset(&h->block);
        block_add(&h->block, line);
    }
    h->lines++;
    metric_add(METRIC_HISTORY_LINES, 0, 1);
    if (h->unwritten++ == 0 && !loop_timer_is_set(&h->commit))
        loop_timer_set(&h->commit, HISTORY_COMMIT_MS);
}

/* ---- from the keeper ---- */

/* One line a minute: a disk may be full for long. */
static void failure_log(struct history *h, const char *why)
{
    int64_t now = loop_now(h->loop);

    if (h->failed_ms && now - h->failed_ms < FAILED_LOG_MS)
        return;
    LOG(WARN, "history.write.failed", KS("error", why), KI("lines", h->failed_lines));
    h->failed_ms = now;
    h->failed_lines = 0;
}

static void block_done(struct history *h, const struct keeper_job *job)
{
    char text[512];

    if (job->ok) {
        h->failed_ms = 0;
        daemon_trouble(h->daemon, trouble, NULL, NULL);
        return;
    }
    if (!job->open) {
        lost(h, job->line_n);
        h->failed_lines += job->line_n;
    }
    failure_log(h, job->err.text);
    snprintf(text, sizeof text, "lines about mail cannot be kept: %s", job->err.text);
    daemon_trouble(h->daemon, trouble, text,
                   "make room on the disk of processes.state, or look at it; mail goes its way meanwhile");
}

static void on_wake(void *arg, int events)
{
    struct history *h = arg;

    (void)events;
    for (struct keeper_job *job = keeper_take(h->keeper), *next; job; job = next) {
        next = keeper_job_next(job);
        if (job->damaged)
            LOG(ERROR, "history.damaged", KS("error", job->err.text), KS("moved", "history.damaged"));
        if (job->kind == KEEPER_BLOCK)
            block_done(h, job);
        if (job->ok && (job->state.blocks || job->kind == KEEPER_LOOK))
            h->state = job->state;
        if (job->kind == KEEPER_FIND)
            history_found(h, job);
        keeper_job_free(job);
    }
}

/* A block goes as a whole when its last line is too old: on a quiet host it is ended before it is full. */
static void block_end(struct history *h)
{
    int64_t span_ms = h->keep_ms / 4 < BLOCK_SPAN_MS ? h->keep_ms / 4 : BLOCK_SPAN_MS;

    if (block_is_empty(&h->block) || clock_wall_ms() - h->block.first_ms < span_ms)
        return;
    loop_timer_stop(&h->commit);
    block_send(h, false);
    block_reset(&h->block);
}

static void on_trim(void *arg)
{
    struct history *h = arg;
    struct keeper_job *job = mem_new(sizeof *job);

    block_end(h);
    job->kind = KEEPER_LOOK;
    keeper_add(h->keeper, job);
    loop_timer_set(&h->trim, HISTORY_TRIM_MS);
}

/* ---- channels ---- */

static void feed_free(struct feed_in *f)
{
    *f->at = f->next;
    if (f->next)
        f->next->at = f->at;
    channel_free(&f->ch);
    free(f);
}

static void on_lines(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct history *h = ((struct feed_in *)arg)->history;
    struct strv rest = ipc_get(in, TAG_DATA);
    struct line line = { .role = (uint8_t)channel_peer(ch), .index = (uint8_t)channel_peer_index(ch) };
    enum feed_step step;

    /* The sender counted these in its own metrics. */
    h->lost += ipc_get_u64(in, TAG_COUNT);
    while ((step = feed_next(&rest, &line)) == FEED_LINE) {
        if (h->keep_ms)
            line_take(h, &line);
    }
    if (step == FEED_BROKEN)
        channel_break(ch, "this is no line of a log");
}

static void on_frame(void *arg, struct channel *ch, struct ipc_in *in)
{
    static const struct channel_route routes[] = { { IPC_HISTORY_LINES, on_lines }, { .type = IPC_NONE } };

    channel_dispatch(routes, arg, ch, in);
}

static void on_lost(void *arg, struct channel *ch, const char *why)
{
    LOG(DEBUG, "history.peer.lost", KS("peer", role_name(channel_peer(ch))),
        KI("index", channel_peer_index(ch)), KS("why", why));
    feed_free(arg);
}

static const struct channel_ops feed_ops = { .frame = on_frame, .lost = on_lost };

void history_edge(struct history *h, enum role peer, unsigned index, int fd)
{
    struct feed_in *f;

    if (peer == ROLE_MTACTL) {
        history_ctl_client(h, fd);
        return;
    }
    f = mem_new(sizeof *f);
    f->history = h;
    f->ch = channel_new(h->loop, fd, ROLE_HISTORYD, peer, index, &feed_ops, f);
    f->next = h->feeds;
    f->at = &h->feeds;
    if (f->next)
        f->next->at = &f->next;
    h->feeds = f;
}

/* ---- life ---- */

static struct store_limits limits_of(const struct conf_history *conf)
{
    return (struct store_limits){ .keep_ms = conf->keep * 1000, .size = (uint64_t)conf->size };
}

bool history_open(struct history *h, struct daemon *d, struct err *err)
{
    struct store_limits limits = limits_of(daemon_conf(d)->history);

    h->daemon = d;
    h->keep_ms = limits.keep_ms;
    h->loop = daemon_loop(d);
    block_init(&h->block);
    h->keeper = keeper_new(&limits);
    loop_timer_init(&h->commit, h->loop, on_commit, h);
    loop_timer_init(&h->trim, h->loop, on_trim, h);
    loop_io_init(&h->wake, h->loop, keeper_wake_fd(h->keeper), on_wake, h);
    return keeper_start(h->keeper, err);
}

void history_start(struct history *h)
{
    loop_io_set(&h->wake, LOOP_READ);
    on_trim(h);
}

void history_conf(struct history *h, const struct conf_history *conf)
{
    struct keeper_job *job = mem_new(sizeof *job);

    h->keep_ms = conf->keep * 1000;
    job->kind = KEEPER_LIMIT;
    job->limits = limits_of(conf);
    keeper_add(h->keeper, job);
    on_trim(h);
}

bool history_is_quiet(const struct history *h)
{
    return !h->feeds;
}

void history_close(struct history *h)
{
    history_commit(h);
    keeper_stop(&h->keeper);
}
