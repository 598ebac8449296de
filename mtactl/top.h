/* top.h - what a host does just now: two looks at its numbers, and what differs */
#pragma once

#include "mtactl/metrics.h"

struct top_look {
    struct buf text;      /* OpenMetrics */
    struct rows failures; /* of queued */
    double at_s;          /* clock */
    int code;             /* not 0: nothing was answered, and why */
    char why[2300];
};

void top_look_init(struct top_look *l);
void top_look_clear(struct top_look *l);
void top_look_take(struct top_look *l, struct tool *t);

/* What moved between two looks, as rows (kinds rate, queue, destination, failure) and as text. */
void top_rows(const struct top_look *before, const struct top_look *now, struct rows *rows);
void top_text(const struct rows *rows, size_t destinations, struct buf *out);
/* The screen, until q is pressed; every: seconds. Exit status. */
int top_screen(struct tool *t, unsigned every);
