/* test_maildir.c - directories, names and files of a Maildir; whatever its owner may put in the way */
#include "tests/support/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/os/fault.h"
#include "common/os/fd.h"
#include "deliverd/agent/maildir.h"
#include "tests/unit/agent/scratch.h"

static struct scratch scratch;
static struct maildir_place place;

static int setup(void **state)
{
    (void)state;
    umask(077);
    scratch_make(&scratch);
    place = (struct maildir_place){ scratch.fd, scratch.path, "mx.example.com", geteuid() };
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fault_disarm_all();
    scratch_remove(&scratch);
    return 0;
}

static bool opens(const char *path, struct err *err)
{
    struct maildir m;
    bool ok;

    err_clear(err);
    ok = maildir_open(&m, &place, SV(path), err);
    maildir_close(&m);
    return ok;
}

static void expect_dir(const char *path)
{
    struct stat st;

    if (fstatat(scratch.fd, path, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISDIR(st.st_mode) ||
        (st.st_mode & 07777) != 0700)
        fail_msg("%s is no directory of mode 0700", path);
}

static void makes_what_is_missing(void **state)
{
    struct err err = { 0 };

    (void)state;
    assert_true(opens("example.com/user/", &err));
    expect_dir("example.com");
    expect_dir("example.com/user");
    expect_dir("example.com/user/tmp");
    expect_dir("example.com/user/new");
    expect_dir("example.com/user/cur");
    assert_true(opens("example.com/user", &err));
    assert_int_equal(unlinkat(scratch.fd, "example.com/user/cur", AT_REMOVEDIR), 0);
    assert_true(opens("example.com/user/", &err));
    expect_dir("example.com/user/cur");
}

static void refuses_bad_paths(void **state)
{
    static const struct {
        const char *name;
        struct strv path;
    } cases[] = {
        { "empty", SV_LIT("") },        { "null", { NULL, 0 } },        { "root", SV_LIT("/") },
        { "absolute", SV_LIT("/tmp") }, { "up", SV_LIT("..") },         { "up in it", SV_LIT("a/../b") },
        { "up at the end", SV_LIT("a/..") },  { "here", SV_LIT(".") },  { "here in it", SV_LIT("a/./b") },
        { "empty component", SV_LIT("a//b") },  { "two slashes at the end", SV_LIT("a//") },
        { "NUL", SV_LIT("a\0b") },
    };
    char longest[NAME_MAX + 3];

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct maildir m;
        struct err err = { 0 };

        if (maildir_open(&m, &place, cases[i].path, &err) || err.cls != ERR_CONF)
            fail_msg("%s: %s", cases[i].name, err.text);
    }
    memset(longest, 'a', sizeof longest);
    longest[NAME_MAX + 1] = '\0';
    {
        struct err err = { 0 };

        assert_false(opens(longest, &err));
        assert_int_equal(err.cls, ERR_CONF);
        longest[NAME_MAX] = '\0';
        assert_true(opens(longest, &err));
    }
}

/* INCIDENTS 3 and 23: nothing that lies there is followed or waited for, at any place. */
static void refuses_what_is_in_the_way(void **state)
{
    static const char *const places[] = { "user", "user/tmp", "user/new" };
    enum object { LINK_OUT, LINK_DANGLING, FIFO, PLAIN, OBJECTS };

    (void)state;
    assert_int_equal(mkdirat(scratch.fd, "out", 0700), 0);
    for (size_t i = 0; i < COUNT(places); i++) {
        for (int kind = 0; kind < OBJECTS; kind++) {
            struct err err = { 0 };

            if (i > 0)
                mkdirat(scratch.fd, "user", 0700);
            switch ((enum object)kind) {
            case LINK_OUT: assert_int_equal(symlinkat("/tmp", scratch.fd, places[i]), 0); break;
            case LINK_DANGLING: assert_int_equal(symlinkat("out/x", scratch.fd, places[i]), 0); break;
            case FIFO: assert_int_equal(mkfifoat(scratch.fd, places[i], 0600), 0); break;
            case PLAIN: scratch_write(&scratch, places[i], SV("x")); break;
            case OBJECTS: break;
            }
            if (opens("user", &err) || err.cls != ERR_PERM || !strstr(err.text, "in the way") ||
                !strstr(err.text, scratch.path))
                fail_msg("%s, object %d: %s", places[i], kind, err.text);
            assert_int_equal(unlinkat(scratch.fd, places[i], 0), 0);
            assert_int_equal(scratch_count(&scratch, "out"), 0);
        }
    }
}

static void refuses_foreign_directories(void **state)
{
    static const char *const open_to_all[] = { "user", "user/tmp", "user/new" };
    struct err err = { 0 };

    (void)state;
    assert_true(opens("user", &err));
    for (size_t i = 0; i < COUNT(open_to_all); i++) {
        assert_int_equal(fchmodat(scratch.fd, open_to_all[i], 01777, 0), 0);
        assert_false(opens("user", &err));
        assert_non_null(strstr(err.text, "everybody"));
        assert_int_equal(fchmodat(scratch.fd, open_to_all[i], 0770, 0), 0);
        assert_true(opens("user", &err));
    }
    place.uid++;
    assert_false(opens("user", &err));
    assert_int_equal(err.cls, ERR_PERM);
    assert_non_null(strstr(err.text, "somebody else"));
}

static void store(struct maildir *m, const char *text, struct maildir_file *f)
{
    struct err err = { 0 };

    assert_true(maildir_create(m, f, &err));
    assert_true(fd_write_full(f->fd, text, strlen(text)));
    assert_true(maildir_commit(m, f, strlen(text), &err));
    assert_int_equal(f->fd, -1);
}

static void stores_files(void **state)
{
    struct maildir m;
    struct maildir_file f;
    struct err err = { 0 };
    struct buf got;
    struct stat st;
    char name[256], want[300];

    (void)state;
    place.hostname = "a/b:c";
    assert_true(maildir_open(&m, &place, SV("user/"), &err));
    buf_init(&got, 100);
    store(&m, "hello\n", &f);
    scratch_only(&scratch, "user/new", name, &got);
    assert_string_equal(buf_cstr(&got), "hello\n");
    assert_string_equal(name, f.name);
    assert_non_null(strstr(name, ".a\\057b\\072c,S=6"));
    snprintf(want, sizeof want, "user/new/%s", name);
    assert_int_equal(fstatat(scratch.fd, want, &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_nlink, 1);
    for (int i = 0; i < 500; i++)
        store(&m, "x", &f);
    assert_int_equal(scratch_count(&scratch, "user/new"), 501);
    assert_int_equal(scratch_count(&scratch, "user/tmp"), 0);
    maildir_discard(&m, &f);
    assert_true(maildir_create(&m, &f, &err));
    assert_int_equal(scratch_count(&scratch, "user/tmp"), 1);
    maildir_discard(&m, &f);
    assert_int_equal(scratch_count(&scratch, "user/tmp"), 0);
    maildir_close(&m);
    buf_clear(&got);
}

/* The host of a name may be as long as DNS allows. */
static void long_host(void **state)
{
    char host[254];
    struct maildir m;
    struct maildir_file f;
    struct err err = { 0 };

    (void)state;
    memset(host, ':', sizeof host - 1);
    host[sizeof host - 1] = '\0';
    place.hostname = host;
    assert_true(maildir_open(&m, &place, SV("user"), &err));
    store(&m, "x", &f);
    assert_int_equal(scratch_count(&scratch, "user/new"), 1);
    maildir_close(&m);
}

#ifdef MANSIO_CHECK
static void failures_leave_nothing(void **state)
{
    static const struct {
        const char *fault;
        int sys;
    } cases[] = {
        { "agent.file.create:ENOSPC", ENOSPC }, { "agent.file.create:EEXIST:0", EEXIST },
        { "agent.file.sync:EIO", EIO },         { "agent.file.rename:EDQUOT", EDQUOT },
        { "agent.file.rename:EEXIST:0", EEXIST }, { "agent.new.sync:EIO", EIO },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct maildir m;
        struct maildir_file f;
        struct err err = { 0 };

        assert_true(maildir_open(&m, &place, SV("user"), &err));
        assert_true(fault_arm(SV(cases[i].fault), &err));
        if (maildir_create(&m, &f, &err) && maildir_commit(&m, &f, 0, &err))
            fail_msg("%s did not fail", cases[i].fault);
        assert_int_equal(f.fd, -1);
        fault_disarm_all();
        if (err.sys != cases[i].sys || !strstr(err.text, strerror(err.sys)))
            fail_msg("%s: %s", cases[i].fault, err.text);
        assert_int_equal(scratch_count(&scratch, "user/tmp"), 0);
        assert_int_equal(scratch_count(&scratch, "user/new"), 0);
        maildir_close(&m);
    }
}

/* A name that is taken costs another name, and a file system without renameat2's flags a link. */
static void works_around(void **state)
{
    static const char *const faults[] = { "agent.file.create:EEXIST:3", "agent.file.rename:EEXIST:3",
                                          "agent.file.rename:EINVAL" };

    (void)state;
    for (size_t i = 0; i < COUNT(faults); i++) {
        struct maildir m;
        struct maildir_file f;
        struct err err = { 0 };

        assert_true(maildir_open(&m, &place, SV("user"), &err));
        assert_true(fault_arm(SV(faults[i]), &err));
        store(&m, "x", &f);
        fault_disarm_all();
        assert_int_equal(scratch_count(&scratch, "user/tmp"), 0);
        assert_int_equal(scratch_count(&scratch, "user/new"), (int)i + 1);
        maildir_close(&m);
    }
}

static void directory_failures(void **state)
{
    struct err err = { 0 };

    (void)state;
    assert_true(fault_arm(SV("agent.dir.make:EDQUOT"), &err));
    assert_false(opens("user", &err));
    assert_int_equal(err.sys, EDQUOT);
    fault_disarm_all();
    assert_true(fault_arm(SV("agent.dir.sync:EIO"), &err));
    assert_false(opens("user", &err));
    assert_int_equal(err.sys, EIO);
    fault_disarm_all();
    assert_true(opens("user", &err));
}
#endif

static void cleans_old_files(void **state)
{
    const int64_t now = (int64_t)time(NULL);
    struct maildir m;
    struct err err = { 0 };

    (void)state;
    assert_true(maildir_open(&m, &place, SV("user"), &err));
    scratch_write(&scratch, "user/tmp/old", SV("x"));
    scratch_write(&scratch, "user/tmp/.hidden", SV("x"));
    assert_int_equal(mkdirat(scratch.fd, "user/tmp/directory", 0700), 0);
    assert_int_equal(mkfifoat(scratch.fd, "user/tmp/fifo", 0600), 0);
    assert_int_equal(symlinkat("/etc/passwd", scratch.fd, "user/tmp/link"), 0);
    assert_int_equal(maildir_clean(&m, now + MAILDIR_TMP_AGE_S - 60), 0);
    assert_int_equal(maildir_clean(&m, now + MAILDIR_TMP_AGE_S + 60), 1);
    assert_int_equal(scratch_count(&scratch, "user/tmp"), 4);
    assert_int_equal(maildir_clean(&m, now + MAILDIR_TMP_AGE_S + 60), 0);
    maildir_close(&m);
}

static void knows_the_usage(void **state)
{
    struct maildir m;
    struct maildir_file f;
    struct err err = { 0 };
    uint64_t bytes = 99;

    (void)state;
    assert_true(maildir_open(&m, &place, SV("user"), &err));
    assert_true(maildir_usage(&m, &bytes, &err));
    assert_int_equal(bytes, 0);
    store(&m, "12345", &f);
    scratch_write(&scratch, "user/cur/1.x,S=1000:2,S", SV("x"));
    scratch_write(&scratch, "user/cur/2.y:2,S", SV("1234567"));
    scratch_write(&scratch, "user/cur/3.z,S=:2,S", SV("12"));
    assert_true(maildir_usage(&m, &bytes, &err));
    assert_int_equal(bytes, 5 + 1000 + 7 + 2);
    assert_true(maildir_usage(&m, &bytes, &err));
    assert_int_equal(bytes, 5 + 1000 + 7 + 2);
    maildir_close(&m);
}

/* Messages keep the reason and the end of the path, however long the root is. */
static void long_root(void **state)
{
    static char root[4000];
    struct err err = { 0 };

    (void)state;
    memset(root, 'r', sizeof root - 1);
    place.root_path = root;
    scratch_write(&scratch, "user", SV("x"));
    assert_false(opens("user", &err));
    assert_non_null(strstr(err.text, "in the way"));
    assert_non_null(strstr(err.text, "rrr/user)"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(makes_what_is_missing, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_bad_paths, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_what_is_in_the_way, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_foreign_directories, setup, teardown),
        cmocka_unit_test_setup_teardown(stores_files, setup, teardown),
        cmocka_unit_test_setup_teardown(long_host, setup, teardown),
#ifdef MANSIO_CHECK
        cmocka_unit_test_setup_teardown(failures_leave_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(works_around, setup, teardown),
        cmocka_unit_test_setup_teardown(directory_failures, setup, teardown),
#endif
        cmocka_unit_test_setup_teardown(cleans_old_files, setup, teardown),
        cmocka_unit_test_setup_teardown(knows_the_usage, setup, teardown),
        cmocka_unit_test_setup_teardown(long_root, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
