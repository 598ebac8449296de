/* sandbox_table.h - rows of the system call tables, for the files of the sandbox only */
#pragma once

#include <stdint.h>

#include "common/base/role.h"

/* How the arguments of an allowed call are looked at; everything else of that call is refused (EPERM) or
 * kills. */
enum sandbox_args {
    ARGS_ANY,
    ARGS_NO_EXEC,        /* mmap, mprotect: never PROT_EXEC */
    ARGS_FCNTL,          /* flags of descriptors, seals, duplicating */
    ARGS_FCNTL_LOCK,     /* also locks */
    ARGS_FIONREAD,       /* ioctl that asks how much there is to read */
    ARGS_SET_NAME,       /* prctl(PR_SET_NAME) */
    ARGS_SELF,           /* tgkill of ourselves: abort(), fault points */
    ARGS_EMPTY_PATH,     /* newfstatat as fstat */
    ARGS_NO_ADDRESS,     /* sendto without one */
    ARGS_TCP,            /* socket: AF_INET, AF_INET6; SOCK_STREAM */
    ARGS_TCP_UDP,        /* socket: AF_INET, AF_INET6; SOCK_STREAM, SOCK_DGRAM */
    ARGS_READ_ONLY,      /* openat */
    ARGS_READ_ONLY_OPEN, /* open */
    ARGS_READ_LIMIT,     /* prlimit64 that sets nothing */
};

struct sandbox_rule {
    int call; /* SCMP_SYS(x) */
    uint32_t roles;
    enum sandbox_args args;
};

extern const struct sandbox_rule sandbox_allowed[]; /* ends with roles 0 */
/* Refused with EPERM instead of killing wherever a role is not allowed them: what a library may probe for,
   and what the forbidden-acts test tries. */
extern const int sandbox_refused[]; /* ends with -1 */
/* What mtad and all its children give up; the children's own tables are much narrower. */
extern const int sandbox_master_refused[]; /* ends with -1 */
