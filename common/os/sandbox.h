/* sandbox.h - what a role may still ask of the kernel: Landlock and the system call filter
 *
 * The tables are in sandbox_table.c; reasons stand beside each row. Order: priv_drop, priv_lock,
 * sandbox_landlock, threads, sandbox_seccomp (which covers all threads), sandbox_prove.
 */
#pragma once

#include <stdbool.h>

#include "common/base/err.h"
#include "common/base/role.h"

#define SANDBOX_LANDLOCK_MAX 64

/* The newest Landlock ABI of this kernel, 0 when it has none. */
unsigned sandbox_landlock_abi(void);
/* The ABI that is used for a role where there is `abi`. The first one refuses every rename and link between
   two directories (EXDEV), whatever its rules say, and an agent's deposit is one from tmp/ to new/: it does
   without. */
unsigned sandbox_landlock_for(enum role role, unsigned abi);
/* Uses at most ABI `abi` (0: nothing is done) of what the kernel has. Nothing in the file system but the tree
   below dirfd and the one below second (-1: nothing at all) can be opened from here on; no TCP bind (a role
   that relays: none to a port of its choice), no TCP connect unless the role relays; no abstract sockets and
   no signals outside. */
bool sandbox_landlock(enum role role, unsigned abi, int dirfd, int second, struct err *err)
    __attribute__((warn_unused_result));

/* Filter of the role on every thread. */
bool sandbox_seccomp(enum role role, struct err *err) __attribute__((warn_unused_result));
/* mtad's: it forks and stays root, so nothing is killed; what it never needs is refused, for its children
 * too. */
bool sandbox_seccomp_master(bool privileged, struct err *err) __attribute__((warn_unused_result));

/* Tries the ways back; ERR_BUG names the one that worked. */
bool sandbox_prove(enum role role, struct err *err) __attribute__((warn_unused_result));

/* May the role still open files by path (below its jail), make sockets? For the forbidden-acts table. */
bool sandbox_opens_files(enum role role);
bool sandbox_makes_sockets(enum role role, int family, int type);
