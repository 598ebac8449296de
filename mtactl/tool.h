/* tool.h - one run of mtactl: its options, and the output that every command makes through it */
#pragma once

#include "common/base/err.h"
#include "mtactl/rows.h"

#define TOOL_WAIT_MS 5000 /* longest silence of a daemon */

struct conf;

struct tool {
    bool json;
    const char *conf_path, *runtime; /* runtime NULL: of the configuration */
    char runtime_text[4096];
    int lost; /* errno of a configuration that was named and cannot be read: whose host is not known */
    int64_t wait_ms;
    struct buf out;  /* written to stdout at the end, or when it is large */
    bool rows_begun; /* JSON: `{"rows":[` was written */
    size_t row_n;
};

void tool_init(struct tool *t);
void tool_clear(struct tool *t);
/* The directory of the control sockets' directory: --runtime, or what the configuration says, or the
   default. */
const char *tool_runtime(struct tool *t);
/* False: the default would be taken for a configuration that was named and cannot be read. Who mistypes its
   name must not reach the system's host. */
bool tool_has_host(struct tool *t, struct err *err);
/* Complains to stderr, or with rows. */
bool tool_conf(struct tool *t, const char *path, struct conf **out);

void tool_flush(struct tool *t);
void tool_row(struct tool *t, const struct row *r); /* JSON only */
void tool_rows(struct tool *t, const struct rows *rows);
void tool_text(struct tool *t, struct strv text); /* as it is; in JSON: one row, or several with commas */
/* The end of every command: a sentence (to stderr when code says failure, or in the JSON), and the code
   back. */
int tool_end(struct tool *t, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
