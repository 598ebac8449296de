/* sandbox_landlock.c - the file system, TCP and scopes as Landlock sees them
 *
 * Debian 12's headers know ABI 2 only, so the newer bits are defined here, in the order in which they came. A
 * kernel refuses a rule set with bits that it does not know; those are masked by its ABI (or the lower one
 * asked for).
 */
#include "common/os/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/os/fd.h"

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule       445
#define SYS_landlock_restrict_self  446
#endif

#define CREATE_VERSION (1u << 0)
#define RULE_PATH      1
#define RULE_PORT      2 /* ABI 4 */

#define FS_EXECUTE      (1ull << 0)
#define FS_WRITE_FILE   (1ull << 1)
#define FS_READ_FILE    (1ull << 2)
#define FS_READ_DIR     (1ull << 3)
#define FS_REMOVE_DIR   (1ull << 4)
#define FS_REMOVE_FILE  (1ull << 5)
#define FS_MAKE_CHAR    (1ull << 6)
#define FS_MAKE_DIR     (1ull << 7)
#define FS_MAKE_REG     (1ull << 8)
#define FS_MAKE_SYM     (1ull << 12)
#define FS_ABI_1        ((1ull << 13) - 1)
#define FS_REFER        (1ull << 13) /* ABI 2 */
#define FS_TRUNCATE     (1ull << 14) /* ABI 3 */
#define NET_BIND_TCP    (1ull << 0)  /* ABI 4 */
#define NET_CONNECT_TCP (1ull << 1)
#define FS_IOCTL_DEV    (1ull << 15) /* ABI 5 */
#define SCOPE_ABSTRACT  (1ull << 0)  /* ABI 6 */
#define SCOPE_SIGNAL    (1ull << 1)

struct ruleset_attr {
    uint64_t fs;
    uint64_t net;
    uint64_t scoped;
};

struct path_attr {
    uint64_t allowed;
    int32_t parent_fd;
} __attribute__((packed));

struct port_attr {
    uint64_t allowed;
    uint64_t port;
} __attribute__((packed));

#define TREE_RIGHTS                                                                                          \
    (FS_WRITE_FILE | FS_READ_FILE | FS_READ_DIR | FS_REMOVE_DIR | FS_REMOVE_FILE | FS_MAKE_DIR |             \
     FS_MAKE_REG | FS_REFER | FS_TRUNCATE)
#define READ_RIGHTS (FS_READ_FILE | FS_READ_DIR)

/* Where name services look; those that a host does not have are skipped. */
static const char *const nss_paths[] = { "/etc",     "/run",         "/usr",
                                         "/lib",     "/lib64",       "/var/lib/sss",
                                         "/var/run", "/dev/urandom", "/proc/sys/kernel" };

unsigned sandbox_landlock_abi(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_VERSION);

    return abi > 0 ? (unsigned)abi : 0;
}

unsigned sandbox_landlock_for(enum role role, unsigned abi)
{
    return role == ROLE_AGENT && abi == 1 ? 0 : abi;
}

static struct ruleset_attr ruleset_of(enum role role, unsigned abi, size_t *size)
{
    struct ruleset_attr a = { .fs = FS_ABI_1 };

    *size = sizeof a.fs;
    if (abi >= 2)
        a.fs |= FS_REFER;
    if (abi >= 3)
        a.fs |= FS_TRUNCATE;
    if (abi >= 4) {
        a.net = NET_BIND_TCP;
        if (role != ROLE_DELIVERD && role != ROLE_DNSD && role != ROLE_MAPD_WORKER)
            a.net |= NET_CONNECT_TCP;
        *size = sizeof a.fs + sizeof a.net;
    }
    if (abi >= 5)
        a.fs |= FS_IOCTL_DEV;
    if (abi >= 6) {
        a.scoped = SCOPE_ABSTRACT | SCOPE_SIGNAL;
        *size = sizeof a;
    }
    return a;
}

static bool rule_add(int ruleset, int dirfd, uint64_t rights, struct err *err)
{
    const uint64_t file_rights = FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE;
    struct path_attr p = { .allowed = rights, .parent_fd = dirfd };
    struct stat st;

    if (fstat(dirfd, &st) == 0 && !S_ISDIR(st.st_mode))
        p.allowed &= file_rights;
    if (syscall(SYS_landlock_add_rule, ruleset, RULE_PATH, &p, 0) < 0)
        return err_sys(err, "landlock rule");
    return true;
}

/* bind(2) of an address for outgoing connections: port 0 is whichever is free. */
static bool source_rule_add(int ruleset, struct err *err)
{
    struct port_attr p = { .allowed = NET_BIND_TCP, .port = 0 };

    if (syscall(SYS_landlock_add_rule, ruleset, RULE_PORT, &p, 0) < 0)
        return err_sys(err, "landlock rule of ports");
    return true;
}

static bool nss_rules_add(int ruleset, struct err *err)
{
    for (size_t i = 0; i < sizeof nss_paths / sizeof *nss_paths; i++) {
        int fd = open(nss_paths[i], O_PATH | O_CLOEXEC);
        bool ok = fd < 0 || rule_add(ruleset, fd, READ_RIGHTS, err);

        fd_close(&fd);
        if (!ok)
            return false;
    }
    return true;
}

bool sandbox_landlock(enum role role, unsigned abi, int dirfd, int second, struct err *err)
{
    unsigned have = sandbox_landlock_abi();
    struct ruleset_attr attr;
    size_t size;
    int ruleset;
    bool ok = true;

    abi = sandbox_landlock_for(role, abi > have ? have : abi);
    if (abi == 0)
        return true;
    attr = ruleset_of(role, abi, &size);
    ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
    if (ruleset < 0)
        return err_sys(err, "landlock rule set (ABI %u)", abi);
    if (dirfd >= 0)
        ok = rule_add(ruleset, dirfd, TREE_RIGHTS & attr.fs, err);
    if (ok && second >= 0)
        ok = rule_add(ruleset, second, TREE_RIGHTS & attr.fs, err);
    if (ok && role == ROLE_DELIVERD && attr.net)
        ok = source_rule_add(ruleset, err);
    if (ok && role == ROLE_MAPD_WORKER)
        ok = nss_rules_add(ruleset, err);
    if (ok && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
        ok = err_sys(err, "landlock");
    fd_close(&ruleset);
    return ok;
}
