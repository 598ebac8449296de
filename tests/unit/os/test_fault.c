/* test_fault.c - arming, counting, striking; sync with delay; threads */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/os/fault.h"
#include "common/os/thread.h"

#ifdef MANSIO_CHECK

static void arm(const char *spec)
{
    struct err err = { 0 };

    if (!fault_arm(SV(spec), &err))
        fail_msg("%s: %s", spec, err.text);
}

static void specs_are_checked(void **state)
{
    static const char *const bad[] = {
        "",         "x",         ":ENOSPC",     "x:",       "x:EWHAT",
        "x:crash:", "x:crash:a", "x:crash:1:2", "x:delay=", "x:delay=9999999999"
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err err = { 0 };

        if (fault_arm(SV(bad[i]), &err) || !err.text[0])
            fail_msg("accepted: %s", bad[i]);
    }
    assert_int_equal(FAULT_POINT("x"), 0);
}

static void errnos_strike_as_often_as_told(void **state)
{
    (void)state;
    arm("a.once:ENOSPC");
    arm("a.twice:EIO:2");
    arm("a.ever:EDQUOT:0");
    assert_int_equal(FAULT_POINT("a.once"), ENOSPC);
    assert_int_equal(FAULT_POINT("a.once"), 0);
    assert_int_equal(FAULT_POINT("a.twice"), EIO);
    assert_int_equal(FAULT_POINT("a.twice"), EIO);
    assert_int_equal(FAULT_POINT("a.twice"), 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(FAULT_POINT("a.ever"), EDQUOT);
    assert_int_equal(FAULT_POINT("a.other"), 0);
    fault_disarm_all();
    assert_int_equal(FAULT_POINT("a.ever"), 0);
}

static void a_crash_spares_the_first(void **state)
{
    int status;
    pid_t pid = fork();

    (void)state;
    if (pid == 0) {
        struct err err = { 0 };

        if (!fault_arm(SV("b:crash:2"), &err) || fault_point("b") != 0 || fault_point("b") != 0)
            _exit(1);
        fault_point("b");
        _exit(2);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void delays_delay(void **state)
{
    int64_t before = clock_mono_ms();
    int fd = memfd_create("x", 0);

    (void)state;
    arm("c:delay=30");
    assert_int_equal(FAULT_POINT("c"), 0);
    assert_true(clock_mono_ms() - before >= 29);
    fault_disarm_all();
    before = clock_mono_ms();
    fault_sync_delay(30);
    assert_int_equal(os_fdatasync(fd), 0);
    assert_int_equal(os_fsync(fd), 0);
    assert_true(clock_mono_ms() - before >= 59);
    fault_sync_delay(0);
    assert_int_equal(os_fsync(-1), -1);
    close(fd);
}

static void the_table_is_bounded(void **state)
{
    struct err err = { 0 };
    int i = 0;

    (void)state;
    while (i < 100 && fault_arm(SV("d:EIO"), &err))
        i++;
    assert_int_equal(i, 16);
    assert_int_equal(err.cls, ERR_LIMIT);
    fault_disarm_all();
}

static void *striker(void *arg)
{
    unsigned *hits = arg;

    for (int i = 0; i < 1000; i++)
        *hits += FAULT_POINT("e") == EIO;
    return NULL;
}

static void threads_share_the_count(void **state)
{
    unsigned hits[4] = { 0 };
    pthread_t t[4];
    struct err err = { 0 };

    (void)state;
    arm("e:EIO:500");
    for (int i = 0; i < 4; i++)
        assert_true(thread_start(&t[i], "striker", striker, &hits[i], &err));
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    assert_int_equal(hits[0] + hits[1] + hits[2] + hits[3], 500);
    fault_disarm_all();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(specs_are_checked),        cmocka_unit_test(errnos_strike_as_often_as_told),
        cmocka_unit_test(a_crash_spares_the_first), cmocka_unit_test(delays_delay),
        cmocka_unit_test(the_table_is_bounded),     cmocka_unit_test(threads_share_the_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

static void arming_is_refused(void **state)
{
    struct err err = { 0 };

    (void)state;
    assert_false(fault_arm(SV("a:EIO"), &err));
    assert_int_equal(FAULT_POINT("a"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(arming_is_refused) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
