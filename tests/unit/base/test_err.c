/* test_err.c - errors as values, memory that dies, clocks */
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/mem.h"
#include "tests/support/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void texts(void **state)
{
    struct err e;
    char *long_text = mem_new(1000);

    (void)state;
    err_clear(&e);
    assert_int_equal(e.cls, ERR_OK);
    assert_false(err_set(&e, ERR_PERM, "no %s", "way"));
    assert_int_equal(e.cls, ERR_PERM);
    assert_string_equal(e.text, "no way");
    errno = ENOENT;
    assert_false(err_sys(&e, "open %s", "x"));
    assert_int_equal(e.cls, ERR_TEMP);
    assert_int_equal(e.sys, ENOENT);
    assert_string_equal(e.text, "open x: No such file or directory");
    assert_false(err_wrap(&e, "spool %d", 7));
    assert_string_equal(e.text, "spool 7: open x: No such file or directory");
    assert_int_equal(e.sys, ENOENT);
    memset(long_text, 'a', 999);
    err_wrap(&e, "%s", long_text);
    assert_int_equal(strlen(e.text), sizeof e.text - 1);
    assert_string_equal(e.text + sizeof e.text - 4, "...");
    assert_false(err_set(NULL, ERR_BUG, "x"));
    assert_false(err_sys(NULL, "x"));
    assert_false(err_wrap(NULL, "x"));
    err_clear(NULL);
    free(long_text);
}

/* Runs fn in a child whose stderr is closed; its exit status. */
static int exit_of(void (*fn)(void))
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        close(STDERR_FILENO);
        fn();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void do_die(void)
{
    die("%s", "told to");
}

static void do_absurd(void)
{
    mem_new(((size_t)1 << 30) + 1);
}

static void do_wrap(void)
{
    mem_array(SIZE_MAX / 2, 3);
}

static void do_wrap_resize(void)
{
    mem_resize(NULL, SIZE_MAX, 2);
}

static void deaths(void **state)
{
    (void)state;
    assert_int_equal(exit_of(do_die), 70);
    assert_int_equal(exit_of(do_absurd), 70);
    assert_int_equal(exit_of(do_wrap), 70);
    assert_int_equal(exit_of(do_wrap_resize), 70);
}

static void memory(void **state)
{
    char *p = mem_array(3, 5), *q;
    size_t n;

    (void)state;
    for (int i = 0; i < 15; i++)
        assert_int_equal(p[i], 0);
    p = mem_resize(p, 100, 1);
    memset(p, 'x', 100);
    mem_wipe(p, 100);
    assert_int_equal(p[99], 0);
    mem_wipe(NULL, 0);
    MEM_FREE(p);
    p = mem_new(0);
    assert_non_null(p);
    free(p);
    p = mem_copy("abc", 3);
    assert_memory_equal(p, "abc", 3);
    free(p);
    q = mem_str("abc");
    assert_string_equal(q, "abc");
    free(q);
    assert_null(mem_str(NULL));
    assert_false(size_add(SIZE_MAX, 1, &n));
    assert_true(size_add(SIZE_MAX, 0, &n));
    assert_false(size_mul(SIZE_MAX, 2, &n));
    assert_true(size_mul(3, 4, &n));
    assert_int_equal(n, 12);
}

static int64_t fixed(void)
{
    return 1795217250123;       /* 2026-11-20 23:27:30.123 UTC */
}

static void clocks(void **state)
{
    int64_t a = clock_mono_ms();

    (void)state;
    assert_true(a > 0 && clock_mono_ms() >= a);
    assert_true(clock_wall_ms() > 1700000000000);
    clock_fake(fixed, fixed);
    assert_true(clock_mono_ms() == fixed());
    assert_true(clock_wall_ms() == fixed());
    clock_fake(NULL, NULL);
    assert_true(clock_mono_ms() >= a && clock_mono_ms() != fixed());
}

static void dates(void **state)
{
    static const struct {
        const char *zone, *want;
    } t[] = {
        { "UTC0", "Fri, 20 Nov 2026 23:27:30 +0000" },
        { "QQQ-5:30", "Sat, 21 Nov 2026 04:57:30 +0530" },
        { "QQQ3:30", "Fri, 20 Nov 2026 19:57:30 -0330" },
        { "QQQ0:30", "Fri, 20 Nov 2026 22:57:30 -0030" },
    };
    char text[64];

    (void)state;
    for (size_t i = 0; i < COUNT(t); i++) {
        setenv("TZ", t[i].zone, 1);
        tzset();
        clock_rfc5322(fixed(), text, sizeof text);
        assert_string_equal(text, t[i].want);
    }
    setenv("TZ", "UTC0", 1);
    tzset();
    clock_rfc3339(fixed(), text, sizeof text);
    assert_string_equal(text, "2026-11-20T23:27:30.123Z");
    clock_rfc3339(-1, text, sizeof text);
    assert_string_equal(text, "1969-12-31T23:59:59.999Z");
    clock_rfc5322(951782400000, text, sizeof text);
    assert_string_equal(text, "Tue, 29 Feb 2000 00:00:00 +0000");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts),  cmocka_unit_test(deaths), cmocka_unit_test(memory),
        cmocka_unit_test(clocks), cmocka_unit_test(dates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
