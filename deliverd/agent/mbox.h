/* mbox.h - one file that holds many messages: opening, locking, appending, and leaving it as it was
 *
 * Mail readers agree on two locks, and both are taken: FILE.lock made with O_EXCL, and a lock of the kernel
 * on the file. What the file's owner, or somebody who may write into its directory, puts in the way is
 * refused: links, other objects, files of somebody else. A failure cuts the file back to where it ended
 * before.
 */
#pragma once

#include "deliverd/agent/maildir.h"

#define MBOX_LOCK_MS    30000   /* patience for both locks together; deliverd has more of it */
#define MBOX_STALE_S    300     /* a FILE.lock that nobody touched for so long was left behind */

struct mbox {
    struct maildir dir;         /* where the file lies: only its directory is used */
    int fd;                     /* owned; -1: closed */
    uint64_t old_size;
    bool locked;                /* FILE.lock is ours */
    bool created;
    bool needs_line;            /* the last message does not end with an empty line: how many are missing */
    bool needs_end;
    char name[NAME_MAX + 1];
    char lock[NAME_MAX + 1];
    char shown[MAILDIR_SHOWN];
};

/* Opens (makes) and locks it. Failures as maildir.h says; EAGAIN in err.sys when somebody holds a lock. */
bool mbox_open(struct mbox *b, const struct maildir_place *place, struct strv path, struct err *err)
    __attribute__((warn_unused_result));
/* What was appended is durable. Closes. False: the file is as it was. */
bool mbox_commit(struct mbox *b, struct err *err) __attribute__((warn_unused_result));
/* Cuts off what was appended, and closes. Nothing when it is closed. */
void mbox_discard(struct mbox *b);
