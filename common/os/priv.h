/* priv.h - giving up privileges, in one place and for good */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/err.h"

/* chroot into the directory and stand in it. The descriptor stays open. */
bool priv_chroot(int dirfd, struct err *err) __attribute__((warn_unused_result));

/* As root: exactly these ids and groups, no capabilities in any set (the bounding set too), then verified by
   reading back and by trying to return. uid or gid 0 is refused. extra: the one supplementary group, or 0 for
   none. */
bool priv_drop(uid_t uid, gid_t gid, gid_t extra, struct err *err) __attribute__((warn_unused_result));
/* As root: exactly the user's ids and groups, for a process that runs programs in his name: no capability but
   what a set-id program brings back. Verified as priv_drop. */
bool priv_become(const char *user, uid_t uid, gid_t gid, struct err *err) __attribute__((warn_unused_result));
/* Without root there is nothing to give up but what comes later: no_new_privs. Not dumpable, so that neither
   ptrace nor /proc/PID/mem of another process with this uid reaches into us. */
bool priv_lock(struct err *err) __attribute__((warn_unused_result));

/* mtad stays root; it keeps only the capabilities of this mask (1 << CAP_x), in every set. */
bool priv_keep_caps(uint64_t mask, struct err *err) __attribute__((warn_unused_result));
