/* metrics.c - the numbers of all processes: asked for and put together */
#include "mtad/metrics.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/ipc/channel.h"
#include "common/os/fd.h"
#include "mtad/child.h"

#define WAIT_MS  1000
#define TEXT_MAX (16u << 20)

struct watcher {
    void (*done)(void *arg, struct strv text);
    void *arg;
    struct watcher *next;
};

/* One round at a time; who comes meanwhile gets its numbers. */
static struct {
    struct metric_part *parts; /* owned */
    size_t n, open;
    uint64_t number;
    struct watcher *watchers; /* owned */
    struct loop_timer limit;
    struct loop_task end;
    bool running, ready;
} run;

/* ---- what the kernel tells of a process ---- */

static struct strv proc_read(pid_t pid, const char *name, char *text, size_t size)
{
    char path[64];
    ssize_t n;
    int fd;

    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return SV_LIT("");
    n = fd_read_full(fd, text, size);
    fd_close(&fd);
    return strv_make(text, n > 0 ? (size_t)n : 0);
}

uint64_t process_memory(pid_t pid)
{
    char text[128];
    struct strv rest = proc_read(pid, "statm", text, sizeof text), word;
    uint64_t pages = 0;

    if (!strv_word(&rest, &word) || !strv_word(&rest, &word) || !strv_u64(word, INT64_MAX, &pages))
        return 0;
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Fields 14 and 15, counted behind the name, which may hold anything. */
uint64_t process_cpu_ms(pid_t pid)
{
    char text[1024];
    struct strv rest = proc_read(pid, "stat", text, sizeof text), word;
    uint64_t ticks[2] = { 0, 0 };
    size_t at = rest.n;

    while (at > 0 && rest.p[at - 1] != ')')
        at--;
    rest = strv_from(rest, at);
    for (unsigned i = 3; i <= 15 && strv_word(&rest, &word); i++)
        if (i >= 14)
            (void)strv_u64(word, INT64_MAX, &ticks[i - 14]);
    return (ticks[0] + ticks[1]) * 1000 / (uint64_t)sysconf(_SC_CLK_TCK);
}

static void put(struct metric_part *p, enum metric m, uint64_t n)
{
    metric_part_put(p, m, 0, SV_LIT(""), n);
}

static void process_put(struct metric_part *p, const struct host *h, pid_t pid, int64_t started_ms,
                        unsigned restarts)
{
    int64_t up_s = (loop_now(h->loop) - started_ms) / 1000;

    put(p, METRIC_UP, p->answered);
    put(p, METRIC_START, pid ? (uint64_t)(clock_wall_ms() / 1000 - up_s) : 0);
    put(p, METRIC_RESTARTS, restarts);
    put(p, METRIC_CPU, pid ? process_cpu_ms(pid) : 0);
    put(p, METRIC_MEMORY, pid ? process_memory(pid) : 0);
}

/* ---- a round ---- */

/* The slot of a child may have another one by now: its role and index must be the same. */
static void parts_finish(struct host *h)
{
    for (size_t i = 0; i < run.n; i++) {
        struct metric_part *p = &run.parts[i];
        const struct child *c = p->child;

        if (!c)
            process_put(p, h, getpid(), h->began_ms, 0);
        else if (c->role == p->role && c->index == p->index)
            process_put(p, h, c->pid, c->started_ms, c->runs > 1 ? c->runs - 1 : 0);
    }
}

static void parts_clear(void)
{
    for (size_t i = 0; i < run.n; i++)
        free(run.parts[i].samples);
    MEM_FREE(run.parts);
    run.n = 0;
}

static void round_end(void *arg)
{
    struct host *h = arg;
    struct buf text;

    loop_timer_stop(&run.limit);
    if (!run.running)
        return;
    run.running = false;
    parts_finish(h);
    buf_init(&text, TEXT_MAX);
    metrics_text(run.parts, run.n, &text);
    parts_clear();
    while (run.watchers) {
        struct watcher *w = run.watchers;

        run.watchers = w->next;
        w->done(w->arg, buf_view(&text));
        free(w);
    }
    buf_clear(&text);
}

static void ask(struct child *c)
{
    struct ipc_out o;

    ipc_out_init(&o);
    ipc_begin(&o, IPC_MEASURE, run.number);
    channel_send(c->control, &o);
    ipc_out_clear(&o);
}

static void round_begin(struct host *h)
{
    run.running = true;
    run.number++;
    run.open = 0;
    run.parts = mem_array(h->child_n + 1, sizeof *run.parts);
    run.n = 1;
    run.parts[0] = (struct metric_part){ .role = ROLE_MTAD, .answered = true };
    for (size_t i = 0; i < h->child_n; i++) {
        struct child *c = &h->children[i];
        struct metric_part *p = &run.parts[run.n];

        if (c->role == ROLE_COUNT)
            continue;
        *p = (struct metric_part){ .child = c, .role = c->role, .index = c->index };
        p->asked = c->state == CHILD_READY && c->control;
        run.n++;
        if (!p->asked)
            continue;
        run.open++;
        ask(c);
    }
    loop_timer_set(&run.limit, WAIT_MS);
}

void metrics_collect(struct host *h, void (*done)(void *arg, struct strv text), void *arg)
{
    struct watcher *w = mem_new(sizeof *w);

    *w = (struct watcher){ done, arg, run.watchers };
    run.watchers = w;
    if (!run.ready) {
        loop_timer_init(&run.limit, h->loop, round_end, h);
        run.end = (struct loop_task){ .fn = round_end, .arg = h };
        run.ready = true;
    }
    if (!run.running)
        round_begin(h);
    if (run.open == 0)
        loop_later(h->loop, &run.end);
}

void metrics_unwatch(void *arg)
{
    struct watcher **at = &run.watchers;

    while (*at && (*at)->arg != arg)
        at = &(*at)->next;
    if (*at) {
        struct watcher *w = *at;

        *at = w->next;
        free(w);
    }
}

/* A child may say what it likes: numbers of metrics that its role has, and of cells that there are. */
static void sample_take(struct metric_part *p, const struct ipc_in *group)
{
    uint64_t m = ipc_get_u64(group, TAG_INDEX), cell = ipc_get_u64(group, TAG_KIND);
    struct strv word = strv_sub(ipc_get(group, TAG_NAME), 0, METRIC_WORD - 1);

    if (m >= METRIC_COUNT || m <= METRIC_MEMORY || cell >= METRIC_CELLS ||
        !(metrics[m].roles & ROLE_BIT(p->role)))
        return;
    for (size_t i = 0; i < word.n; i++)
        if (!byte_is_alnum((unsigned char)word.p[i]) && !byte_in_set(word.p[i], ".-_"))
            return;
    metric_part_put(p, (enum metric)m, (unsigned)cell, word, ipc_get_u64(group, TAG_COUNT));
}

void metrics_take(const struct child *c, const struct ipc_in *in)
{
    struct metric_part *p = NULL;
    struct ipc_in group;
    size_t at = 0;

    for (size_t i = 0; i < run.n; i++)
        if (run.parts[i].child == c)
            p = &run.parts[i];
    if (!run.running || in->txn != run.number || !p || !p->asked || p->answered)
        return; /* too late */
    while (ipc_next_group(in, TAG_ITEM, &at, &group))
        sample_take(p, &group);
    p->answered = true;
    if (--run.open == 0)
        loop_later(c->host->loop, &run.end);
}
