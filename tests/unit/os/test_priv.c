/* test_priv.c - ids, groups and capabilities are gone for good (needs root; else only what needs none) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/os/limit.h"
#include "common/os/priv.h"

/* Runs fn in a child; its exit status. */
static int in_child(int (*fn)(void))
{
    int status;
    pid_t pid = fork();

    if (pid == 0)
        _exit(fn());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* The line of /proc/self/status. */
static bool status_has(const char *line)
{
    char text[8192];
    int fd = open("/proc/self/status", O_RDONLY);
    ssize_t n = read(fd, text, sizeof text - 1);

    close(fd);
    if (n < 0)
        return false;
    text[n] = '\0';
    return strstr(text, line) != NULL;
}

static int drop(void)
{
    struct err err = { 0 };

    if (!priv_drop(4242, 4343, 0, &err))
        return 1;
    if (!status_has("Uid:\t4242\t4242\t4242\t4242") || !status_has("Gid:\t4343\t4343\t4343\t4343"))
        return 2;
    if (!status_has("CapPrm:\t0000000000000000") || !status_has("CapEff:\t0000000000000000") ||
        !status_has("CapBnd:\t0000000000000000") || !status_has("Groups:\t \n"))
        return 3;
    return setuid(0) == 0 || setgid(0) == 0 || chroot("/") == 0 ? 4 : 0;
}

static int drop_extra(void)
{
    struct err err = { 0 };

    return priv_drop(4242, 4343, 4444, &err) && status_has("Groups:\t4444 \n") ? 0 : 1;
}

static int drop_to_root(void)
{
    struct err err = { 0 };

    return priv_drop(0, 4343, 0, &err) || priv_drop(4242, 0, 0, &err) || priv_drop((uid_t)-1, 1, 0, &err) ? 1
                                                                                                          : 0;
}

static int jail(void)
{
    char dir[] = "/tmp/mansio-priv-XXXXXX";
    struct err err = { 0 };
    struct stat st;
    int fd;

    if (!mkdtemp(dir))
        return 1;
    fd = open(dir, O_RDONLY | O_DIRECTORY);
    if (rmdir(dir) < 0 || !priv_chroot(fd, &err))
        return 2;
    return stat("/etc", &st) == 0 || stat("../../etc", &st) == 0 ? 3 : 0;
}

static int keep_caps(void)
{
    struct err err = { 0 };

    if (!priv_keep_caps(1ull << 10, &err))
        return 1;
    return status_has("CapPrm:\t0000000000000400") && status_has("CapBnd:\t0000000000000400") ? 0 : 2;
}

static int lock(void)
{
    struct err err = { 0 };

    if (!priv_lock(&err) || prctl(PR_GET_DUMPABLE) != 0)
        return 1;
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : 2;
}

static int limits(void)
{
    struct err err = { 0 };
    struct rlimit l;

    if (!limit_apply(ROLE_CLEANUP, false, &err) || !limit_no_fork(&err))
        return 1;
    if (getrlimit(RLIMIT_CORE, &l) < 0 || l.rlim_max != 0 || getrlimit(RLIMIT_NPROC, &l) < 0 ||
        l.rlim_max != 0)
        return 2;
    if (getrlimit(RLIMIT_FSIZE, &l) < 0 || l.rlim_max != 0)
        return 3;
    return getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_max <= 1024 ? 0 : 4;
}

static int limits_of_writers(void)
{
    struct err err = { 0 };
    struct rlimit l;

    if (!limit_apply(ROLE_QUEUED, false, &err) || !limit_apply(ROLE_CLEANUP, true, &err))
        return 1;
    return getrlimit(RLIMIT_FSIZE, &l) == 0 && l.rlim_max != 0 ? 0 : 2;
}

#define NEEDS_ROOT                                                                                           \
    if (geteuid() != 0)                                                                                      \
    skip()

static void ids_are_dropped(void **state)
{
    (void)state;
    NEEDS_ROOT;
    assert_int_equal(in_child(drop), 0);
}

static void one_extra_group(void **state)
{
    (void)state;
    NEEDS_ROOT;
    assert_int_equal(in_child(drop_extra), 0);
}

static void root_is_no_target(void **state)
{
    (void)state;
    assert_int_equal(in_child(drop_to_root), 0);
}

static void a_jail_has_nothing_above(void **state)
{
    (void)state;
    NEEDS_ROOT;
    assert_int_equal(in_child(jail), 0);
}

static void the_master_keeps_what_it_names(void **state)
{
    (void)state;
    NEEDS_ROOT;
    assert_int_equal(in_child(keep_caps), 0);
}

static void locked_processes_are_not_readable(void **state)
{
    (void)state;
    assert_int_equal(in_child(lock), 0);
}

static void limits_are_set(void **state)
{
    (void)state;
    assert_int_equal(in_child(limits), 0);
    assert_int_equal(in_child(limits_of_writers), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_dropped),
        cmocka_unit_test(one_extra_group),
        cmocka_unit_test(root_is_no_target),
        cmocka_unit_test(a_jail_has_nothing_above),
        cmocka_unit_test(the_master_keeps_what_it_names),
        cmocka_unit_test(locked_processes_are_not_readable),
        cmocka_unit_test(limits_are_set),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
