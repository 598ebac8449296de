/* replace.h - changing a file that daemons read: locked, whole or not at all, owner and mode kept */
#pragma once

#include <sys/stat.h>

#include "common/base/buf.h"
#include "common/base/err.h"

struct replace {
    int dir, fd;      /* owned: the directory; the file that is there now, locked */
    char path[4096];  /* behind symbolic links */
    const char *name; /* its last component, in path */
    struct stat st;
};

/* Opens and locks path against everybody else who uses this (a missing file is made, 0600, when `make` is
   set); waits wait_ms at most for the lock. secret gets the contents. */
bool replace_begin(struct replace *r, const char *path, bool make, int64_t wait_ms, struct buf *contents,
                   struct err *err) __attribute__((warn_unused_result));
/* Puts the new contents in its place, durably. */
bool replace_commit(struct replace *r, struct strv contents, struct err *err)
    __attribute__((warn_unused_result));
void replace_end(struct replace *r); /* in any case */
