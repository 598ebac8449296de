/* test_sandbox.c - each role's filter and Landlock: what it may still do, what it may not, what kills it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/os/fd.h"
#include "common/os/sandbox.h"
#include "common/os/sandbox_table.h"

static const enum role roles[] = { ROLE_SMTPD, ROLE_CLEANUP,     ROLE_QUEUED, ROLE_DELIVERD,
                                   ROLE_MAPD,  ROLE_MAPD_WORKER, ROLE_DNSD,   ROLE_AGENT };
#define ROLES (sizeof roles / sizeof *roles)

static int tree; /* the directory that the confined child may use */

/* In a child under the role's filter; 0 or the number of what went wrong. */
static int confined(enum role role, unsigned abi, int (*fn)(enum role role))
{
    char dir[] = "/tmp/mansio-sandbox-XXXXXX";
    int status, dirfd;
    pid_t pid;

    assert_non_null(mkdtemp(dir));
    dirfd = tree = open(dir, O_RDONLY | O_DIRECTORY);
    if (geteuid() == 0)
        assert_int_equal(fchown(dirfd, 65534, 65534), 0);
    pid = fork();
    if (pid == 0) {
        struct err err = { 0 };
        bool root = geteuid() == 0;

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || (root && setresuid(65534, 65534, 65534) < 0))
            _exit(100);
        if (!sandbox_landlock(role, abi, sandbox_opens_files(role) ? dirfd : -1, -1, &err))
            _exit(101);
        if (!sandbox_seccomp(role, &err)) {
            fprintf(stderr, "%s\n", err.text);
            _exit(102);
        }
        _exit(fn(role));
    }
    close(dirfd);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    rmdir(dir);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int everyday_life(enum role role)
{
    int fds[2];
    char *p = malloc(5000000);
    struct timespec ts;

    (void)role;
    if (!p || pipe2(fds, O_CLOEXEC) < 0)
        return 1;
    memset(p, 1, 5000000);
    free(p);
    if (write(fds[1], "x", 1) != 1 || read(fds[0], p = (char[1]){ 0 }, 1) != 1)
        return 2;
    if (clock_gettime(CLOCK_REALTIME, &ts) < 0 || getpid() <= 0)
        return 3;
    return prctl(PR_SET_NAME, "x") == 0 ? 0 : 4;
}

static bool refused(long rc)
{
    return rc < 0 && (errno == EPERM || errno == EACCES);
}

static int no_ways_out(enum role role)
{
    int sockets[2];

    if (!refused(execl("/bin/true", "true", NULL)) || !refused(fork()) || !refused(kill(getppid(), 0)))
        return 1;
    if (!refused(setuid(0)) || !refused(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)))
        return 2;
    if (mmap(NULL, 4096, PROT_EXEC | PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
        return 3;
    if (role != ROLE_MAPD_WORKER && !refused(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets)))
        return 4;
    return syscall(SYS_tgkill, getppid(), getppid(), 0) < 0 ? 0 : 5;
}

static int sockets_as_told(enum role role)
{
    static const int families[] = { AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, 40 };
    static const int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET };

    if (role == ROLE_MAPD_WORKER)
        return 0;
    for (size_t f = 0; f < sizeof families / sizeof *families; f++) {
        for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
            int fd = socket(families[f], types[t] | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
            bool may = sandbox_makes_sockets(role, families[f], types[t]);

            /* Without IPv6 in the kernel the right to it cannot be seen. */
            if (fd < 0 && may && errno != EAFNOSUPPORT)
                return 1;
            if (fd >= 0 && !may)
                return 2;
            fd_close(&fd);
        }
    }
    return 0;
}

static unsigned ports_abi; /* in force in the confined child */

/* An address of ours to leave from, but no port of its choice where Landlock knows ports; no listening. */
static int sources_only(enum role role)
{
    struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), other, rc;

    (void)role;
    if (fd < 0 || bind(fd, (struct sockaddr *)&sin, sizeof sin) < 0)
        return 1;
    if (!refused(listen(fd, 1)))
        return 2;
    fd_close(&fd);
    sin.sin_port = htons(47026);
    other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    rc = bind(other, (struct sockaddr *)&sin, sizeof sin);
    if (ports_abi >= 4 && !refused(rc))
        return 3;
    fd_close(&other);
    return 0;
}

static int files_as_told(enum role role)
{
    int fd = open("/etc/hostname", O_RDONLY);

    if (fd >= 0 && role != ROLE_MAPD_WORKER)
        return 1;
    if (fd < 0 && role == ROLE_MAPD_WORKER && errno != ENOENT)
        return 2;
    fd_close(&fd);
    fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);
    return fd >= 0 ? 3 : 0;
}

/* Something that no table names. */
static int unforeseen(enum role role)
{
    (void)role;
    return (int)syscall(SYS_getpriority, 0, 0) >= 0 ? 1 : 0;
}

static void for_all(int (*fn)(enum role role), unsigned abi)
{
    for (size_t i = 0; i < ROLES; i++) {
        int rc = confined(roles[i], abi, fn);

        if (rc != 0)
            fail_msg("%s: %d", role_name(roles[i]), rc);
    }
}

static void everybody_can_live(void **state)
{
    (void)state;
    for_all(everyday_life, SANDBOX_LANDLOCK_MAX);
    for_all(everyday_life, 0);
}

static void nobody_gets_out(void **state)
{
    (void)state;
    for_all(no_ways_out, 0);
}

static void sockets_are_as_the_table_says(void **state)
{
    (void)state;
    for_all(sockets_as_told, 0);
}

static void files_are_below_the_own_tree(void **state)
{
    unsigned have = sandbox_landlock_abi();

    (void)state;
    if (have == 0)
        skip();
    for (unsigned abi = 1; abi <= have; abi++) {
        for (size_t i = 0; i < ROLES; i++) {
            if (sandbox_landlock_for(roles[i], abi) > 0)
                assert_int_equal(confined(roles[i], abi, files_as_told), 0);
        }
    }
}

/* Landlock's first ABI knows no rename between directories, which is how a message gets into a Maildir. */
static int deposit_moves(enum role role)
{
    int dir = tree, fd;

    (void)role;
    if (mkdirat(dir, "tmp", 0700) < 0 || mkdirat(dir, "new", 0700) < 0)
        return 1;
    fd = openat(dir, "tmp/x", O_CREAT | O_EXCL | O_WRONLY, 0600);
    if (fd < 0)
        return 2;
    fd_close(&fd);
    if (renameat2(dir, "tmp/x", dir, "new/x", RENAME_NOREPLACE) < 0)
        return 3;
    if (unlinkat(dir, "new/x", 0) < 0 || unlinkat(dir, "new", AT_REMOVEDIR) < 0)
        return 4;
    return unlinkat(dir, "tmp", AT_REMOVEDIR) == 0 ? 0 : 5;
}

static void relays_bind_and_never_listen(void **state)
{
    unsigned have = sandbox_landlock_abi();

    (void)state;
    for (unsigned abi = 0; abi <= 64; abi += 4) {
        ports_abi = abi < have ? abi : have;
        assert_int_equal(confined(ROLE_DELIVERD, abi, sources_only), 0);
    }
}

static void agents_move_between_directories(void **state)
{
    (void)state;
    for (unsigned abi = 0; abi <= sandbox_landlock_abi(); abi++) {
        int rc = confined(ROLE_AGENT, abi, deposit_moves);

        if (rc != 0)
            fail_msg("ABI %u: step %d", abi, rc);
    }
    assert_int_equal(sandbox_landlock_for(ROLE_AGENT, 1), 0);
    assert_int_equal(sandbox_landlock_for(ROLE_AGENT, 2), 2);
    assert_int_equal(sandbox_landlock_for(ROLE_QUEUED, 1), 1);
}

static void the_unforeseen_kills(void **state)
{
    (void)state;
#ifdef MANSIO_SANITIZE
    for_all(unforeseen, 0);
#else
    for (size_t i = 0; i < ROLES; i++)
        assert_int_equal(confined(roles[i], 0, unforeseen), roles[i] == ROLE_MAPD_WORKER ? 0 : 128 + SIGSYS);
#endif
}

static int master(void)
{
    struct err err = { 0 };
    pid_t pid;
    int status;

    if (!sandbox_seccomp_master(geteuid() == 0, &err))
        return 1;
    if (syscall(SYS_ptrace, 0, 0, 0, 0) >= 0 || errno != EPERM || syscall(SYS_bpf, 0, 0, 0) >= 0)
        return 2;
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != (geteuid() != 0))
        return 3;
    pid = fork();
    if (pid == 0) {
        execl("/bin/true", "true", NULL);
        _exit(1);
    }
    return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : 4;
}

static void the_master_still_forks(void **state)
{
    int status;
    pid_t pid = fork();

    (void)state;
    if (pid == 0)
        _exit(master());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* A call in both tables of one role would depend on the order of the rules. */
static void tables_do_not_contradict(void **state)
{
    (void)state;
    for (const struct sandbox_rule *a = sandbox_allowed; a->roles; a++) {
        for (const struct sandbox_rule *b = a + 1; b->roles; b++) {
            if (a->call == b->call && (a->roles & b->roles))
                fail_msg("call %d is allowed twice", a->call);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everybody_can_live),
        cmocka_unit_test(nobody_gets_out),
        cmocka_unit_test(sockets_are_as_the_table_says),
        cmocka_unit_test(relays_bind_and_never_listen),
        cmocka_unit_test(files_are_below_the_own_tree),
        cmocka_unit_test(agents_move_between_directories),
        cmocka_unit_test(the_unforeseen_kills),
        cmocka_unit_test(the_master_still_forks),
        cmocka_unit_test(tables_do_not_contradict),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
