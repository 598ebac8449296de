/* place.h - a spot in a source text, for messages with an excerpt */
#pragma once

#include "conf/error.h"
#include "conf/types.h"

/* A text being loaded; lives until loading ends. */
struct conf_source {
    const char *name;               /* interned: what messages call it */
    struct strv text;
};

struct conf_place {
    const struct conf_source *source;   /* NULL: nowhere */
    size_t line_start;              /* offset of the line in the text */
    unsigned line, column;          /* from 1; columns count characters, not bytes */
    unsigned width;                 /* characters to underline, at least 1 */
};

/* Adds `name:line:column: text` and the excerpt. Beyond CONF_ERRORS_MAX errors only the number grows. */
void conf_error_at(struct conf_errors *errs, const struct conf_place *place, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* A mistake of a whole file (it cannot be read, ...): `name: text`. */
void conf_error_file(struct conf_errors *errs, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static inline bool conf_errors_full(const struct conf_errors *errs)
{
    return errs->n == CONF_ERRORS_MAX;
}
