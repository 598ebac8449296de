/* metric.h - what a process counts: one table, plain memory, told when mtad asks
 *
 * To count is one addition to a number of this process; nothing is locked, written or sent. Only the thread
 * of the event loop counts. A metric has cells: one, one for each value of its label, or the buckets of a
 * histogram. Labels that are words of the moment (a destination, a rule) are bounded: the first METRIC_WORDS
 * have a place, all further ones share "other".
 */
#pragma once

#include "common/base/role.h"

enum metric {
    /* of mtad, about each process */
    METRIC_UP,
    METRIC_START,
    METRIC_RESTARTS,
    METRIC_CPU,
    METRIC_MEMORY,
    /* of each daemon */
    METRIC_IPC_QUEUED,
    METRIC_IPC_FRAMES,
    METRIC_LOOP_TURN,
    /* smtpd */
    METRIC_SESSIONS,
    METRIC_SESSIONS_OPEN,
    METRIC_ACCEPTED,
    METRIC_ACCEPTED_RCPTS,
    METRIC_ACCEPTED_BYTES,
    METRIC_UNSETTLED,
    METRIC_REFUSED,
    METRIC_TLS,
    METRIC_TLS_FAILED,
    METRIC_AUTH,
    METRIC_COMMIT_TIME,
    METRIC_CROWDED,
    METRIC_HURRIED,
    /* cleanup */
    METRIC_CLEANUP,
    /* queued */
    METRIC_QUEUE_MESSAGES,
    METRIC_QUEUE_DESTINATION,
    METRIC_QUEUE_DESTINATIONS,
    METRIC_QUEUE_OLDEST,
    METRIC_QUEUE_STATE_OLDEST,
    METRIC_QUEUE_EXPIRE,
    METRIC_QUEUE_OVERDUE,
    METRIC_QUEUE_JOBS,
    METRIC_QUEUE_DISK_FREE,
    METRIC_QUEUE_DROP,
    METRIC_QUEUE_SEGMENTS,
    METRIC_QUEUE_SEGMENT_BYTES,
    METRIC_QUEUE_LIVE_BYTES,
    METRIC_QUEUE_STORED,
    METRIC_QUEUE_NOT_STORED,
    METRIC_RESULTS,
    METRIC_DELIVERY_TIME,
    METRIC_SYNC_BATCH,
    METRIC_SYNC_TIME,
    /* deliverd */
    METRIC_OUT_SESSIONS,
    METRIC_OUT_FAILED,
    METRIC_OUT_TLS,
    /* dnsd, mapd */
    METRIC_DNS,
    METRIC_LOOKUPS,
    /* historyd, and who feeds it */
    METRIC_HISTORY_LOST,
    METRIC_HISTORY_LINES,
    METRIC_HISTORY_BYTES,
    METRIC_HISTORY_OLDEST,
    METRIC_COUNT
};

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

#define METRIC_CELLS 18u                 /* of a histogram: buckets, one more for +Inf, then the sum */
#define METRIC_SUM   (METRIC_CELLS - 1u)
#define METRIC_WORDS 50u                 /* words of one label that have a place; then "other" */
#define METRIC_WORD  48u                 /* bytes of such a word, with its NUL */

struct metric_info {
    const char *name; /* behind "mansio_"; a counter is shown with "_total" behind that */
    enum metric_type type;
    uint32_t roles;            /* who tells it */
    const char *unit;          /* NULL: a plain number; otherwise the end of the name */
    const char *label;         /* NULL: none */
    const char *const *values; /* of the label, ends with NULL; NULL: words of the moment */
    const uint64_t *bounds;    /* of a histogram, ends with 0, in 1/scale of the unit */
    unsigned scale;            /* cells hold the number times this; 1: as it is */
    const char *help;          /* one line */
};

extern const struct metric_info metrics[METRIC_COUNT];
extern uint64_t metric_cells[METRIC_COUNT][METRIC_CELLS];

static inline void metric_add(enum metric m, unsigned cell, uint64_t n)
{
    metric_cells[m][cell] += n;
}
static inline void metric_set(enum metric m, unsigned cell, uint64_t n)
{
    metric_cells[m][cell] = n;
}
void metric_observe(enum metric m, uint64_t value); /* of a histogram, in 1/scale of its unit */
/* Of a label with words of the moment. What is no letter, digit or .-_ becomes _. */
void metric_add_word(enum metric m, struct strv word, uint64_t n);

void metric_words_clear(enum metric m); /* of a gauge, before it is set anew */

/* All that differs from 0: cells with word empty, words with their text. */
void metric_each(void (*fn)(void *arg, enum metric m, unsigned cell, struct strv word, uint64_t n),
                 void *arg);

unsigned metric_buckets(enum metric m); /* without +Inf */
unsigned metric_values(enum metric m);  /* cells that are shown: 1 without a label, 0 for words */
