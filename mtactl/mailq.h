/* mailq.h - the queue in the columns that people and scripts know, for mtactl and for sendmail -bp */
#pragma once

#include <time.h>

#include "mtactl/rows.h"
#include "mtactl/tool.h"

struct mailq_view {
    struct buf *out; /* borrowed */
    uint64_t bytes, requests;
    uint64_t drops, bad; /* submissions that the queue has not taken; that it cannot take */
    bool open; /* a message's recipients follow */
    /* The arrival that was written last, up to its minutes: most are of the same hour. */
    int64_t quarter; /* of an hour since 1970, which no time zone cuts; 0: none */
    int minute;      /* the first of it */
    char hour[32];
};

/* Rows of queued's `list`, in their order: "message" and its "recipient"s. */
void mailq_row(struct mailq_view *v, const struct row *r);
/* The sum; "Mail queue is empty". */
void mailq_end(struct mailq_view *v);
/* Asks queued and prints to stdout, rows for --json. Does queued not answer, and may the caller read the
   spool, then what that says, with a word about it. The exit status; what went wrong is on stderr. */
int mailq_run(struct tool *t);
/* Where the spool of the host that was asked lies. False: nobody knows; a runtime directory that is not the
   configuration's is another host's. */
bool mailq_spool(struct tool *t, char *dst, size_t size);
