/* limit.h - resource limits of each role */
#pragma once

#include <stdbool.h>

#include "common/base/err.h"
#include "common/base/role.h"

/* No core files, open files as far as the role needs, address space, and no byte into any file for roles that
   write none (writes_files: the log is a file, so they must). */
bool limit_apply(enum role role, bool writes_files, struct err *err) __attribute__((warn_unused_result));
/* No further process or thread: after the threads exist. */
bool limit_no_fork(struct err *err) __attribute__((warn_unused_result));
/* mtad: as many descriptors as the system allows, for itself and to hand on. */
void limit_raise_files(void);
