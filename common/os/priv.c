/* priv.c - giving up privileges, in one place and for good */
#include "common/os/priv.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

bool priv_chroot(int dirfd, struct err *err)
{
    if (fchdir(dirfd) < 0)
        return err_sys(err, "enter the jail");
    if (chroot(".") < 0)
        return err_sys(err, "chroot");
    if (chdir("/") < 0)
        return err_sys(err, "stand in the jail");
    return true;
}

static bool caps_set(uint64_t mask, struct err *err)
{
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3, .pid = 0 };
    struct __user_cap_data_struct data[2] = {
        {.effective = (uint32_t)mask,          .permitted = (uint32_t)mask        },
        { .effective = (uint32_t)(mask >> 32), .permitted = (uint32_t)(mask >> 32)},
    };

    if (syscall(SYS_capset, &head, data) < 0)
        return err_sys(err, "give up capabilities");
    return true;
}

static bool caps_get(uint64_t *permitted, struct err *err)
{
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3, .pid = 0 };
    struct __user_cap_data_struct data[2] = { { .permitted = 0 } };

    if (syscall(SYS_capget, &head, data) < 0)
        return err_sys(err, "read capabilities");
    *permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
    return true;
}

/* The bounding set is what an exec of a set-id program could bring back. */
static bool bounding_drop(uint64_t keep, struct err *err)
{
    for (int cap = 0; cap < 64; cap++) {
        int has = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);

        if (has < 0)
            break; /* past the last one that this kernel knows */
        if (has > 0 && !(keep & 1ull << cap) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
            return err_sys(err, "drop capability %d from the bounding set", cap);
    }
    return true;
}

static bool ids_verify_user(uid_t uid, gid_t gid, struct err *err)
{
    uid_t r, e, s;
    gid_t gr, ge, gs;

    if (getresuid(&r, &e, &s) < 0 || r != uid || e != uid || s != uid)
        return err_set(err, ERR_BUG, "the user ids are not %u", (unsigned)uid);
    if (getresgid(&gr, &ge, &gs) < 0 || gr != gid || ge != gid || gs != gid)
        return err_set(err, ERR_BUG, "the group ids are not %u", (unsigned)gid);
    if (setuid(0) == 0 || seteuid(0) == 0 || setgid(0) == 0 || setegid(0) == 0)
        return err_set(err, ERR_BUG, "root could be regained");
    return true;
}

static bool ids_verify(uid_t uid, gid_t gid, gid_t extra, struct err *err)
{
    gid_t list[2] = { 0, 0 };
    int n = getgroups(2, list);

    if (n != (extra ? 1 : 0) || (extra && list[0] != extra))
        return err_set(err, ERR_BUG, "supplementary groups are left");
    return ids_verify_user(uid, gid, err);
}

bool priv_drop(uid_t uid, gid_t gid, gid_t extra, struct err *err)
{
    uint64_t left;

    if (uid == 0 || gid == 0 || uid == (uid_t)-1 || gid == (gid_t)-1)
        return err_set(err, ERR_CONF, "will not run as uid %u gid %u", (unsigned)uid, (unsigned)gid);
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (!bounding_drop(0, err))
        return false;
    if (setgroups(extra ? 1 : 0, extra ? &extra : NULL) < 0)
        return err_sys(err, "setgroups");
    if (setresgid(gid, gid, gid) < 0)
        return err_sys(err, "setresgid %u", (unsigned)gid);
    if (setresuid(uid, uid, uid) < 0)
        return err_sys(err, "setresuid %u", (unsigned)uid);
    if (!caps_set(0, err) || !caps_get(&left, err))
        return false;
    if (left != 0)
        return err_set(err, ERR_BUG, "capabilities are left");
    return ids_verify(uid, gid, extra, err);
}

bool priv_become(const char *user, uid_t uid, gid_t gid, struct err *err)
{
    uint64_t left;

    if (uid == 0 || gid == 0 || uid == (uid_t)-1 || gid == (gid_t)-1)
        return err_set(err, ERR_CONF, "will not run as uid %u gid %u", (unsigned)uid, (unsigned)gid);
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (initgroups(user, gid) < 0)
        return err_sys(err, "groups of %s", user);
    if (setresgid(gid, gid, gid) < 0)
        return err_sys(err, "setresgid %u", (unsigned)gid);
    if (setresuid(uid, uid, uid) < 0)
        return err_sys(err, "setresuid %u", (unsigned)uid);
    if (!caps_set(0, err) || !caps_get(&left, err))
        return false;
    if (left != 0)
        return err_set(err, ERR_BUG, "capabilities are left");
    return ids_verify_user(uid, gid, err);
}

bool priv_lock(struct err *err)
{
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return err_sys(err, "PR_SET_DUMPABLE");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return err_sys(err, "PR_SET_NO_NEW_PRIVS");
    return true;
}

bool priv_keep_caps(uint64_t mask, struct err *err)
{
    uint64_t have;

    /* A container may have fewer than we would keep; asking for more than we have is an error. */
    return caps_get(&have, err) && bounding_drop(mask, err) && caps_set(have & mask, err);
}
