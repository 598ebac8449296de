/* recovery.h - from the files of the spool to the ledger at the start */
#pragma once

#include "queued/account.h"
#include "queued/journal.h"
#include "queued/ledger.h"

struct recovery {
    /* given */
    int segment_dir, big_dir; /* borrowed */
    struct ledger *ledger;    /* empty */
    struct account *account;  /* empty */
    struct journal *journal;  /* initialised, nothing read */
    void (*over)(void *arg,
                 uint64_t id); /* a message found in a segment that the journal ended; may be NULL */
    void (*origin)(void *arg, struct strv origin); /* a record with one, other than a notice's; may be NULL */
    void *arg;
    bool look;     /* the spool is another's: nothing in it is changed, nothing is logged (look.c) */
    int64_t until; /* then: mono ms, after which it gives up */
    /* found */
    unsigned segments, records, duplicates, voided;
    unsigned from_index; /* segments whose sidecar was good */
    uint64_t bytes;      /* read */
    unsigned damages;    /* places where records are missing */
    unsigned torn;       /* segments whose end was cut */
    unsigned big_missing, big_orphans, lost;
    uint32_t segment_max; /* new segments have larger numbers */
    bool paused_now;      /* the journal is missing or damaged: deliver nothing */
    struct journal_report report;
    /* inside */
    struct place *voids; /* owned; length unused */
    size_t void_n;
    char **origins; /* owned; of notices found in segments */
    size_t origin_n;
};

/* Reads everything, cuts torn ends, removes what nobody refers to, logs what is damaged. False when the spool
   cannot be read at all. ledger and account are complete afterwards; the parts are idle. */
bool recovery_run(struct recovery *r, struct err *err) __attribute__((warn_unused_result));
void recovery_clear(struct recovery *r);

/* The entry that a committed notice with this origin stands for ("notice/ID/LIST/failure"); false for others.
   The views point into origin. */
bool origin_notice(struct strv origin, struct entry *e);
/* The same for a message that was sent on, "forward/ID/RCPT": its recipient is delivered. */
bool origin_forward(struct strv origin, struct entry *e);
/* The same for "requeue/ID/LIST", perhaps with "/given" or "/notice" behind it: their mail is another message
   now. */
bool origin_requeue(struct strv origin, struct entry *e);
