/* limit.c - resource limits of each role */
#include "common/os/limit.h"

#include <stdint.h>
#include <sys/resource.h>

#define GIB (1024ull * 1024 * 1024)

/* Address space is the net under a leak or a length bug, far above what a role needs: queued's index and
   mapd's LMDB maps are the big ones. Files: clients of smtpd and deliverd; the others hold channels and their
   own files. */
static const struct {
    rlim_t space;
    rlim_t files; /* 0: as many as mtad could get */
} limits[ROLE_COUNT] = {
    [ROLE_SMTPD] = {8 * GIB,   0   },
      [ROLE_CLEANUP] = { 8 * GIB,  1024},
    [ROLE_QUEUED] = { 32 * GIB, 4096},
      [ROLE_DELIVERD] = { 8 * GIB,  0   },
    [ROLE_MAPD] = { 64 * GIB, 1024},
      [ROLE_MAPD_WORKER] = { 8 * GIB,  256 },
    [ROLE_DNSD] = { 4 * GIB,  1024},
    [ROLE_HISTORYD] = { 128 * GIB, 1024},
      [ROLE_AGENT] = { 1 * GIB,  192 },
};

/* glibc gives the resources a type of their own, which clang does not convert to silently. */
static bool limit_lower(__rlimit_resource_t which, rlim_t to, struct err *err)
{
    struct rlimit l;

    if (getrlimit(which, &l) < 0)
        return err_sys(err, "read resource limit %d", (int)which);
    if (l.rlim_max == RLIM_INFINITY || l.rlim_max > to)
        l.rlim_max = to;
    l.rlim_cur = l.rlim_max;
    if (setrlimit(which, &l) < 0)
        return err_sys(err, "set resource limit %d", (int)which);
    return true;
}

bool limit_apply(enum role role, bool writes_files, struct err *err)
{
    bool stores = role == ROLE_QUEUED || role == ROLE_MAPD || role == ROLE_AGENT || role == ROLE_HISTORYD;

    if (!limit_lower(RLIMIT_CORE, 0, err))
        return false;
    if (limits[role].files && !limit_lower(RLIMIT_NOFILE, limits[role].files, err))
        return false;
    if (!stores && !writes_files && !limit_lower(RLIMIT_FSIZE, 0, err))
        return false;
#ifndef MANSIO_SANITIZE /* its shadow memory is terabytes of address space */
    if (!limit_lower(RLIMIT_AS, limits[role].space, err))
        return false;
#endif
    return true;
}

bool limit_no_fork(struct err *err)
{
    return limit_lower(RLIMIT_NPROC, 0, err);
}

void limit_raise_files(void)
{
    struct rlimit l;

    if (getrlimit(RLIMIT_NOFILE, &l) < 0)
        return;
    l.rlim_cur = l.rlim_max;
    /* Refused without CAP_SYS_RESOURCE only above the hard limit, so this one works everywhere. */
    setrlimit(RLIMIT_NOFILE, &l);
}
