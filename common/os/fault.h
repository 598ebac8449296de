/* fault.h - fault points and the sync delay of check builds; the only callers of fsync and fdatasync
 *
 * A point is named "daemon.part.step". Armed with "point:action[:count]": action is crash (SIGKILL to
 * ourselves), an errno name (ENOSPC, EIO, ...: FAULT_POINT returns it) or delay=MS; count is how many passes
 * are spared first (crash, delay) or struck (errno; default 1, 0 for ever). In other builds a point costs
 * nothing and arming fails.
 */
#pragma once

#include "common/base/err.h"
#include "common/base/strv.h"

/*  if ((errno = FAULT_POINT("queued.segment.write")) != 0 || write(...) < 0) ...  */
#ifdef MANSIO_CHECK
#define FAULT_POINT(name) fault_point(name)
#else
#define FAULT_POINT(name) 0
#endif

/* 0, or the errno to fail with. May not return. Callable from every thread. */
int fault_point(const char *name);
bool fault_arm(struct strv spec, struct err *err) __attribute__((warn_unused_result));
void fault_disarm_all(void);
/* Milliseconds that every os_fdatasync and os_fsync takes longer. */
void fault_sync_delay(unsigned ms);

/* As the system calls, EINTR not seen; plus the delay. */
int os_fdatasync(int fd);
int os_fsync(int fd);
