/* directory.h - the directories that daemons live in: made when missing, never believed when they look wrong
 */
#pragma once

#include "mtad/host.h"

/* Spool (queued's), state (mapd's and historyd's parts), runtime with the empty jail, roots of virtual
   mailboxes. Without historyd's there is no historyd (history_fd -1), which is told as degraded. */
bool directory_prepare(struct host *h, struct err *err) __attribute__((warn_unused_result));
/* Roots of virtual mailboxes alone. */
bool directory_roots(struct host *h, struct err *err) __attribute__((warn_unused_result));
