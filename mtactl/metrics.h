/* metrics.h - the numbers of a host, read from the text that mtad tells */
#pragma once

#include "common/base/strv.h"
#include "mtactl/tool.h"

#define METRIC_LABELS 4u

/* A line of OpenMetrics text: name{label="value",...} number. Views into the text. */
struct sample {
    struct strv name, value;
    struct strv labels[METRIC_LABELS][2]; /* name and value */
    size_t label_n;
};

/* The next line that is a sample; false at the end. */
bool sample_next(struct strv *text, struct sample *s);
struct strv sample_label(const struct sample *s, const char *name); /* empty when absent */
double sample_number(const struct sample *s);
/* Asks the host; the exit status, text with what it said. */
int metrics_ask(struct tool *t, struct buf *text, char *why, size_t size);
