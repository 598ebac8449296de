/* maildir.h - Maildirs below a directory: opening them, unique names, files that are seen when durable
 *
 * Whoever owns the mailbox may put anything in the way: symbolic links, FIFOs, files of these names. Nothing
 * is followed, opened or waited for but directories of ours that not everybody may write, and files that we
 * make.
 */
#pragma once

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/err.h"
#include "common/base/strv.h"

/* Where mailboxes lie and who the process is. Borrowed. */
struct maildir_place {
    int root_fd;                /* paths are below it */
    const char *root_path;      /* what it is called outside of the jail, for messages */
    const char *hostname;       /* for file names */
    uid_t uid;                  /* owner that directories must have */
};

#define MAILDIR_SHOWN 220

struct maildir {
    const struct maildir_place *place;
    int dir_fd, tmp_fd, new_fd;         /* owned; -1: closed. dir_fd is O_PATH */
    bool made;                          /* a directory was made whose parent is not synced yet */
    char shown[MAILDIR_SHOWN];          /* for messages: the path, or its end when it is long */
};

/* One message on its way in. */
struct maildir_file {
    int fd;                             /* owned; -1: there is none */
    char name[NAME_MAX + 1];            /* in tmp/; after maildir_commit in new/ */
};

/* All failures: ERR_CONF for a path that is none, ERR_PERM for something in the way or not ours, else
   ERR_TEMP with err.sys. The text names what was tried, why it failed, and the mailbox, in this order (the
   end may be cut). */

/* Opens it and makes what is missing (0700, durable). path: relative, "user/" or "a/b"; no empty component,
   no "." and no "..", no NUL. */
bool maildir_open(struct maildir *m, const struct maildir_place *place, struct strv path, struct err *err)
    __attribute__((warn_unused_result));
/* Only the way to it: opens and makes the directories of dir (below the root; empty: the root itself) as
   maildir_open does. path is for messages. */
bool maildir_reach(struct maildir *m, const struct maildir_place *place, struct strv path, struct strv dir,
                   struct err *err) __attribute__((warn_unused_result));
void maildir_close(struct maildir *m); /* also of one that was never opened but is all zero with fds -1 */

/* An empty file in tmp/ that nobody else has. */
bool maildir_create(struct maildir *m, struct maildir_file *f, struct err *err)
    __attribute__((warn_unused_result));
/* Makes it durable and shows it in new/ under a name that ends in ",S=size". False: it is not there.
   Closes f. */
bool maildir_commit(struct maildir *m, struct maildir_file *f, uint64_t size, struct err *err)
    __attribute__((warn_unused_result));
/* The steps of maildir_commit, for several files at once: the file itself durable; shown in new/ and closed;
   that durable. False: it is not there. Files that all began to be written before the first is synced share
   the file system's commit, and so do the directories that all have their new names. */
void maildir_write_begins(const struct maildir_file *f);
bool maildir_sync(struct maildir *m, struct maildir_file *f, struct err *err)
    __attribute__((warn_unused_result));
bool maildir_show(struct maildir *m, struct maildir_file *f, uint64_t size, struct err *err)
    __attribute__((warn_unused_result));
bool maildir_settle(struct maildir *m, struct maildir_file *f, struct err *err)
    __attribute__((warn_unused_result));
/* Closes and removes what maildir_create made; nothing when there is none. */
void maildir_discard(struct maildir *m, struct maildir_file *f);

/* Removes files of ours from tmp/ that nobody touched for 36 hours. Looks at a bounded number; returns how
   many went. Says nothing about failures: it is housekeeping. */
unsigned maildir_clean(struct maildir *m, int64_t now_s);
#define MAILDIR_TMP_AGE_S (36 * 3600)

/* Bytes of all messages in new/ and cur/: by the ",S=" of their names, else by asking the file system. */
bool maildir_usage(struct maildir *m, uint64_t *bytes, struct err *err) __attribute__((warn_unused_result));
