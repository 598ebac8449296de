/* line.h - one line of the history, as daemons send it and blocks keep it */
#pragma once

#include "common/base/strv.h"

struct line {
    int64_t ms;    /* wall */
    uint8_t level; /* enum log_level */
    uint8_t role;  /* enum role: who logged it, as mtad says */
    uint8_t index;
    struct strv text; /* event=NAME key=value ... */
};

#define LINE_MAX_TEXT 4096u /* of common/base/log.c */
