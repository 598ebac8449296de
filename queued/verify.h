/* verify.h - every record, body and journal line of a spool looked at by somebody who is not its queued
 *
 * Nothing is changed and nobody is held up: the spool may be in use meanwhile. What only looks wrong because
 * it is being written, or is over by now, is looked at again before it is told.
 */
#pragma once

#include "common/base/err.h"

#include <stdint.h>

struct verify_problem {
    const char *kind; /* "record", "envelope", "header", "unreadable", "body", "journal"; "torn" is none: what
                         stands there was never acknowledged, and the next start cuts it */
    const char *file; /* below the spool */
    uint64_t offset, bytes;
    uint64_t id;       /* 0: cannot be told */
    const char *waits; /* "yes": the message still has recipients; "no"; "unknown" */
    const char *text;
};

struct verify_report {
    bool live; /* a queued has the spool */
    unsigned segments, journal_files;
    uint64_t records, bytes; /* of segments, read */
    uint64_t waiting;        /* messages that are not over */
    uint64_t bodies;         /* in big/, of messages that wait, read and right */
    uint64_t journal_entries;
    uint64_t problems;
};

/* directory: a spool, or a copy of one. fn is called for each problem as it is found. False: it cannot be
   read at all. */
bool verify_spool(const char *directory, void (*fn)(void *arg, const struct verify_problem *p), void *arg,
                  struct verify_report *report, struct err *err) __attribute__((warn_unused_result));
