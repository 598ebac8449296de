/* queue.h - section `queue`: the spool and its schedule */
#pragma once

#include "conf/types.h"

struct conf_queue {
    struct conf_head head;
    char *directory;
    struct conf_numbers retry;      /* seconds between attempts; the last repeats; n >= 1 */
    int64_t warn_after;             /* seconds until the "delayed" notice; 0: none */
    int64_t expire_after;           /* seconds until the message is given up */
    int64_t reserve;                /* bytes to keep free; 0: two segments or 1 % */
    int64_t max_jobs;               /* deliveries running at once, all destinations */
    bool deliver;                   /* false: nothing is dispatched */
    char *postmaster;               /* mail for `postmaster` without a mailbox of that name; "" for none */
};
