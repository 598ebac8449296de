/* queue.h - section `queue`: the spool and its schedule */
#pragma once

#include "conf/types.h"

/* queue { notices { ... } } */
struct conf_notices {
    struct conf_head head;
    bool success;                   /* DSN is announced, receipts are sent */
    int64_t return_size;            /* a message up to this size goes back whole; 0: never */
    char *templates;                /* file of what notices say; "": the built-in texts */
    char *double_bounce;            /* who hears of notices that cannot be delivered; "": nobody */
};

/* Of max_jobs: queued never has more deliveries running, and deliverd takes as many. */
#define CONF_JOBS_MAX 100000

struct conf_queue {
    struct conf_head head;
    char *directory;
    struct conf_numbers retry;      /* seconds between attempts; the last repeats; n >= 1 */
    int64_t warn_after;             /* seconds until the "delayed" notice; 0: none */
    int64_t expire_after;           /* seconds until the message is given up */
    int64_t reserve;                /* bytes to keep free; 0: two segments or 1 % */
    int64_t max_jobs;               /* deliveries running at once, all destinations */
    bool deliver;                   /* false: nothing is dispatched */
    struct conf_strings bulk_senders; /* addresses, and @domain for all of a domain */
    char *postmaster;               /* mail for `postmaster` without a mailbox of that name; "" for none */
    struct conf_notices *notices;   /* NULL: the defaults; see below */
};

#define CONF_NOTICES_RETURN_SIZE 51200

/* With the defaults of an absent section. */
bool conf_notices_success(const struct conf_queue *queue);
int64_t conf_notices_return_size(const struct conf_queue *queue);
const char *conf_notices_templates(const struct conf_queue *queue);
struct conf_where conf_notices_templates_where(const struct conf_queue *queue);
const char *conf_notices_double_bounce(const struct conf_queue *queue);
