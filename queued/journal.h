/* journal.h - the files of state/: results written at once, durable a moment later; replay
 *
 * File: `MANSIO-JOURNAL1 <nonce> <number> <first|next> <crc32c>\n`, then entries, then what is allocated and
 * still zero. A file gets its name only when its header is durable. One allocated file (`spare`) is kept
 * ahead, so that results can be written when the disk is full.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/err.h"
#include "queued/entry.h"

#include <stdint.h>

struct journal {
    int dir;         /* borrowed: state/ */
    int fd;          /* owned; -1: none is open (never started, or failed) */
    uint32_t number; /* of the current file */
    uint32_t oldest; /* first file that still exists */
    char nonce[ENTRY_NONCE_LEN + 1];
    uint64_t at, allocated;   /* of the current file */
    uint64_t step;            /* bytes allocated at once */
    struct buf buf;           /* appended, not written */
    uint64_t appended;        /* bytes ever appended: the measure of marks */
    uint64_t written, synced; /* the marks up to which the files have them, durably */
    uint64_t synced_at;       /* offset of the current file that is durable */
    bool tell_synced;         /* the next write says so */
    bool incomplete;  /* the snapshot of this file holds what no other file does: not durable before it is */
    uint64_t barrier; /* the mark behind that snapshot */
};

void journal_init(struct journal *j, int dir, uint64_t step);
void journal_clear(struct journal *j);

/* Begins a new current file, after what the former one holds is durable. first: there was none before this
   one. The caller may write a snapshot into it; older files stay until journal_forget. When the former one
   could not be written or synced, the snapshot is a must (j->incomplete). No sync may be under way. On
   failure nothing is open. */
bool journal_begin(struct journal *j, bool first, struct err *err) __attribute__((warn_unused_result));
void journal_complete(struct journal *j); /* the snapshot is appended as a whole: its end mark */
void journal_append(struct journal *j, const struct entry *e);
static inline uint64_t journal_mark(const struct journal *j)
{
    return j->appended;
}
/* Writes what was appended. On failure it stays appended, the caller tries again or begins a new file. */
bool journal_write(struct journal *j, struct err *err) __attribute__((warn_unused_result));
/* The sync of file `number`, everything written up to `mark` (and file offset `at`), came back good. */
void journal_was_synced(struct journal *j, uint32_t number, uint64_t mark, uint64_t at);
/* Unlinks files before the current one: its snapshot is complete and durable. */
void journal_forget(struct journal *j);
/* Makes the spare file when there is none. */
bool journal_spare(struct journal *j, struct err *err) __attribute__((warn_unused_result));

#define JOURNAL_HEADER 128u /* bytes of the first line */
size_t journal_header(char dst[JOURNAL_HEADER + 1], const char *nonce, uint32_t number, bool first);

/* What reading found. */
struct journal_report {
    unsigned files, entries;
    unsigned torn;        /* lines of the unsynced end that did not survive */
    bool none;            /* no file at all */
    bool damaged;         /* files or lines are missing that were durable */
    uint64_t bytes;       /* of entries */
    uint32_t segment_max; /* largest segment number that an entry names */
    char what[160];       /* where, for the log */
};

/* Reads all files in order. only: call fn just for this kind (0: for all). repair: lines that are no entries
   are blanked and files cut to their contents, so that the next start does not find the same again.
   Afterwards j knows the numbers, so that journal_begin goes on behind them. False only when a file cannot be
   read at all. */
bool journal_read(struct journal *j, int only, bool repair, void (*fn)(void *arg, const struct entry *e),
                  void *arg, struct journal_report *report, struct err *err)
    __attribute__((warn_unused_result));

/* One file's bytes: the pure part, for journal_read and the fuzz target. */
struct journal_parse {
    uint32_t number;
    bool last; /* the newest file: its unsynced end may be torn */
    int only;
    void (*fn)(void *arg, const struct entry *e);
    void (*bad)(void *arg, size_t at, size_t n); /* may be NULL */
    void *arg;
    /* results */
    bool first;    /* nothing came before this file */
    bool complete; /* a whole snapshot is in it */
    bool damaged;
    size_t damage_at;
    size_t end; /* behind the last byte that is not padding */
    unsigned entries, torn;
    uint32_t segment_max;
    /* inside */
    char nonce[ENTRY_NONCE_LEN + 1];
    size_t synced, first_bad;
    bool whole; /* no line is missing since the snapshot began */
};
/* bytes are changed by decoding. False when the header is not that of file `number`. */
bool journal_parse(struct journal_parse *p, char *bytes, size_t n);
/* The same in pieces: the first line; then lines that stand from offset `at` on, as many as are whole (all
   with `last`), the result being how many bytes that was; then the end. */
bool journal_parse_head(struct journal_parse *p, const char *bytes, size_t n);
size_t journal_parse_lines(struct journal_parse *p, char *bytes, size_t n, size_t at, bool last);
void journal_parse_done(struct journal_parse *p);
