/* test_owned.c - who owns the directory cannot have another file given to himself */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "mtactl/owned.h"

#define STRANGER 12345u
#define OWNER 23456u

static char dir[64];
static bool swapping;

/* The linker puts these in place of what owned.c looks with: behind each look the files change places. */
int __real_fstat(int fd, struct stat *st);
int __wrap_fstat(int fd, struct stat *st);
int __real_fstatat(int at, const char *name, struct stat *st, int flags);
int __wrap_fstatat(int at, const char *name, struct stat *st, int flags);

static void path_of(const char *name, char path[128])
{
    snprintf(path, 128, "%s/%s", dir, name);
}

static void swap(void)
{
    char a[128], b[128];

    path_of("mail", a);
    path_of("away/shadow", b);
    if (swapping)
        assert_int_equal(renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE), 0);
    swapping = false;
}

int __wrap_fstat(int fd, struct stat *st)
{
    int r = __real_fstat(fd, st);

    if (S_ISREG(st->st_mode))
        swap();
    return r;
}

int __wrap_fstatat(int at, const char *name, struct stat *st, int flags)
{
    int r = __real_fstatat(at, name, st, flags);

    if (S_ISREG(st->st_mode))
        swap();
    return r;
}

static void make(const char *name)
{
    char path[128];
    int fd;

    path_of(name, path);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fchown(fd, STRANGER, STRANGER), 0);
    close(fd);
}

static uid_t owner(const char *name)
{
    char path[128];
    struct stat st;

    path_of(name, path);
    assert_int_equal(lstat(path, &st), 0);
    return st.st_uid;
}

static void forget(const char *name)
{
    char path[128];

    path_of(name, path);
    unlink(path);
}

static void files_are_given(void **state)
{
    char a[128], b[128];
    struct owned o;

    (void)state;
    make("mail");
    make("two");
    path_of("two", a);
    path_of("names", b);
    assert_int_equal(link(a, b), 0);
    path_of("link", b);
    assert_int_equal(symlink(a, b), 0);
    owned_check(dir, OWNER, OWNER, false, &o);
    assert_int_equal(o.wrong, 1);
    assert_int_equal(o.mended, 0);
    assert_int_equal(owner("mail"), STRANGER);
    owned_check(dir, OWNER, OWNER, true, &o);
    assert_int_equal(o.mended, 1);
    assert_int_equal(owner("mail"), OWNER);
    assert_int_equal(owner("two"), STRANGER);
    forget("mail");
    forget("two");
    forget("names");
    forget("link");
}

static void what_takes_its_place_is_not_given(void **state)
{
    struct owned o;

    (void)state;
    make("mail");
    make("away/shadow");
    swapping = true;
    owned_check(dir, OWNER, OWNER, true, &o);
    assert_false(swapping);
    assert_int_equal(owner("mail"), STRANGER);
    assert_int_equal(owner("away/shadow"), OWNER);
    forget("mail");
    forget("away/shadow");
}

static int begin(void **state)
{
    char path[128];

    (void)state;
    snprintf(dir, sizeof dir, "/tmp/mansio-test-owned-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    path_of("away", path);
    return mkdir(path, 0700);
}

static int end(void **state)
{
    char path[128];

    (void)state;
    path_of("away", path);
    rmdir(path);
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_given),
        cmocka_unit_test(what_takes_its_place_is_not_given),
    };

    if (geteuid() != 0) /* nobody else can give files away */
        return 0;
    return cmocka_run_group_tests(tests, begin, end);
}
