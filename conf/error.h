/* error.h - located mistakes: `file:line:column: what; did you mean "x"?`, the line, a caret; ten per run */
#pragma once

#include "common/base/buf.h"

#define CONF_ERRORS_MAX 10

struct conf_error {
    char *text;                     /* owned: "file:line:column: what" */
    char *excerpt;                  /* owned: the source line and the caret line, "" when there is no line */
};

struct conf_errors {
    struct conf_error list[CONF_ERRORS_MAX];
    unsigned n;                     /* of list */
    unsigned total;                 /* n plus those that found no room */
};

void conf_errors_init(struct conf_errors *errs);
void conf_errors_clear(struct conf_errors *errs);
/* All of it, each line ended by LF, for a terminal: excerpts are printable. */
void conf_errors_text(const struct conf_errors *errs, struct buf *out);
