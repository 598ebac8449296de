/* metrics.h - the numbers of all processes: asked for, put together, shown as OpenMetrics text
 *
 * Every child answers from its event loop; who does not within a second is shown as not up, and the others'
 * numbers are told all the same.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/metric.h"
#include "mtad/host.h"

struct metric_sample {
    enum metric metric;
    unsigned cell;
    char word[METRIC_WORD]; /* "": a cell */
    uint64_t n;
};

/* A process. */
struct metric_part {
    const struct child *child; /* to know it again; NULL: mtad */
    enum role role;
    unsigned index;
    bool asked, answered;
    struct metric_sample *samples; /* owned */
    size_t n, cap;
};

/* Asks all; done comes later, once, with the text of them all. */
void metrics_collect(struct host *h, void (*done)(void *arg, struct strv text), void *arg);
void metrics_unwatch(void *arg); /* done with this arg is not wanted any more */
void metrics_take(const struct child *c, const struct ipc_in *in);

/* metrics_text.c, pure */
void metrics_text(const struct metric_part *parts, size_t n, struct buf *out);
void metric_part_put(struct metric_part *p, enum metric m, unsigned cell, struct strv word, uint64_t n);

/* metrics_socket.c: fd listens (owned from here on). */
void metrics_socket_watch(struct host *h, int fd);

uint64_t process_memory(pid_t pid); /* resident bytes; 0 when it cannot be told */
uint64_t process_cpu_ms(pid_t pid);
