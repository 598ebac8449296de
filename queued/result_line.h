/* result_line.h - the log line about one recipient's result */
#pragma once

#include "queued/mailq.h"

struct result_line {
    uint64_t id;
    int64_t since; /* the message's */
    struct strv to, original; /* original empty: the same */
    const struct verdict *v;
    const char *notice;                   /* what the sender will hear of a failure; NULL: nothing to say */
    int64_t before, queue, connect, send; /* ms */
    bool times;                           /* the four are known */
};

void result_line_log(const struct mailq *q, const struct result_line *l);
