/* identity.h - system users of daemons and mailboxes (looked up once, at the start) */
#pragma once

#include "mtad/host.h"

/* As root: every user of the section `users` and every owner and group of mailboxes must exist. */
bool identity_resolve(struct host *h, struct err *err) __attribute__((warn_unused_result));
