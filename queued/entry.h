/* entry.h - one line of the state journal (pure)
 *
 *   <crc32c> <kind> <word> ...\n      the checksum covers the file's nonce and the line behind the checksum
 *
 * Words hold no blanks; what could end a word or a line is written %XX, an empty word is "-". A line says how
 * things are, not what changed: reading a line twice, or a later line first lost, never makes a state that
 * was not.
 */
#pragma once

#include "common/base/buf.h"

#define ENTRY_NONCE_LEN 32u

enum entry_kind {
    ENTRY_DELIVERED = 'D', /* id list time */
    ENTRY_FAILED = 'F',    /* id list time words: a notice is owed */
    ENTRY_SUCCEEDED = 'S', /* id list time flags words: flags is enum ipc_success, a notice is owed */
    ENTRY_DROPPED = 'X',   /* id list time: failed for good, no notice is due */
    ENTRY_DEFERRED = 'T',  /* id list time attempts due words */
    ENTRY_NOTICE = 'N',    /* id list which: committed; failure ends the recipients, delay is noted */
    ENTRY_HOLD = 'H',      /* id text */
    ENTRY_RELEASE = 'R',   /* id */
    ENTRY_VOID = 'V',      /* segment offset: a record that was refused and may yet stand there */
    ENTRY_PAUSE = 'P',     /* flags: 1 deliver nothing, 2 accept nothing, 0 go on */
    ENTRY_FREEZE = 'Z',    /* flags text: 1 hold what this sender sends from now on, 0 no more */
    ENTRY_BEGIN = 'B',     /* segment: a snapshot begins; segments have smaller numbers */
    ENTRY_MESSAGE = 'M',   /* id flags: alive at the snapshot */
    ENTRY_SEGMENT = 'G',   /* segment offset: records before it that no M of this snapshot named are done */
    ENTRY_END = 'E',       /* the snapshot is complete: older files are needless */
    ENTRY_SYNCED = '=',    /* offset: the file was durable up to there */
};

enum { ENTRY_FLAG_WARNED = 1 };
enum { ENTRY_PAUSE_OUT = 1, ENTRY_PAUSE_IN = 2 }; /* flags of ENTRY_PAUSE */

struct entry {
    enum entry_kind kind;
    uint64_t id;
    struct strv list;   /* recipients: "0-4,7" */
    uint64_t time, due; /* wall seconds */
    uint64_t attempts;
    struct strv enhanced, relay, reply;
    bool remote;
    uint64_t notice; /* enum ipc_notice */
    uint64_t segment, offset;
    uint64_t flags;
    struct strv text;
};

void entry_print(const struct entry *e, const char *nonce, struct buf *out);
/* line without its line feed; words are decoded in place, out's views point into it. */
bool entry_parse(char *line, size_t n, const char *nonce, struct entry *out);

/* Recipient lists. Start with a zeroed state; indices must grow. */
struct list_writer {
    struct buf *out;
    uint32_t first, last;
    bool open, any;
};
void list_write(struct list_writer *w, uint32_t index);
void list_finish(struct list_writer *w);
/* Takes the next range; false at the end or at nonsense. */
bool ranges_next(struct strv *rest, uint32_t *first, uint32_t *last);
bool list_valid(struct strv list);
