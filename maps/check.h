/* check.h - a table's source looked through without being used: syntax, duplicates, loops, what is never
 * asked */
#pragma once

#include "common/base/strv.h"

enum check_level { CHECK_ADVICE, CHECK_FAULT, CHECK_ERROR }; /* ERROR: the table cannot be used */

struct map_check {
    bool aliases; /* the syntax; loops are looked for too */
    const char *file;
    void (*say)(void *arg, enum check_level level, unsigned line, const char *text);
    void *arg;
    /* What was found. */
    size_t entries, duplicates, errors, faults;
};

void map_check_text(struct map_check *c, struct strv text);
/* What a stray file most probably is: the first lines decide. */
bool map_check_is_aliases(struct strv text);
