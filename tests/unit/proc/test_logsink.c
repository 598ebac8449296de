/* test_logsink.c - lines to a file and to syslog, which is slow, restarts, or is not there */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/os/fd.h"
#include "common/proc/logsink.h"

static unsigned waits, deaths;

static void on_wait(void *arg, bool dead)
{
    (void)arg;
    if (dead)
        deaths++;
    else
        waits++;
}

static bool matches(const char *pattern, const char *text)
{
    regex_t re;
    bool ok;

    assert_int_equal(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
    ok = regexec(&re, text, 0, NULL, 0) == 0;
    regfree(&re);
    if (!ok)
        print_message("%s\n", text);
    return ok;
}

static void dgram_pair(int ends[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
}

static void a_file_gets_whole_lines(void **state)
{
    char text[1024] = "";
    int fd = memfd_create("log", 0);

    (void)state;
    log_set_name("queued");
    logsink_open(LOGSINK_FILE, dup(fd), LOG_MAIL, "mx.test");
    LOG(WARN, "a.b", KS("k", "two words"));
    assert_true(fd_pread_full(fd, text, sizeof text - 1, 0) > 0);
    assert_true(matches("^20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\\.[0-9]{3}[+-][0-9]{2}:[0-9]{2} mx\\.test "
                        "mansio/queued\\[[0-9]+\\]: WARN event=a\\.b k=\"two words\"\n$",
                        text));
    close(fd);
}

static struct rlimit whole;

/* A full disk takes a part of a line, then nothing: here a limit of the size. */
static void room_is(int fd, off_t more)
{
    struct rlimit limit;
    struct stat st;

    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &whole), 0);
    limit = (struct rlimit){ .rlim_cur = (rlim_t)(st.st_size + more), .rlim_max = whole.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_full_disk_tears_no_further_line(void **state)
{
    char text[4096] = "";
    int fd = memfd_create("log", 0);

    (void)state;
    logsink_open(LOGSINK_FILE, dup(fd), LOG_MAIL, "mx.test");
    LOG(INFO, "first", KS("k", "v"));
    room_is(fd, 10);
    LOG(INFO, "torn", KS("k", "v"));
    LOG(INFO, "gone", KS("k", "v"));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &whole), 0);
    LOG(INFO, "last", KS("k", "v"));
    LOG(INFO, "more", KS("k", "v"));
    assert_true(fd_pread_full(fd, text, sizeof text - 1, 0) > 0);
    assert_true(matches("^[^\n]* event=first k=v\n.{10}\n[^\n]* event=log\\.lines\\.lost lines=2\n"
                        "[^\n]* event=last k=v\n[^\n]* event=more k=v\n$",
                        text));
    close(fd);
}

/* Other processes write behind it, and may have nothing to say for long. */
static void a_torn_line_ends_as_soon_as_there_is_room(void **state)
{
    static const char other[] = "of another process\n";
    char text[4096] = "";
    int fd = memfd_create("log", 0);

    (void)state;
    logsink_open(LOGSINK_FILE, dup(fd), LOG_MAIL, "mx.test");
    logsink_on_wait(on_wait, NULL);
    waits = deaths = 0;
    LOG(INFO, "first", KS("k", "v"));
    room_is(fd, 10);
    LOG(INFO, "torn", KS("k", "v"));
    LOG(INFO, "gone", KS("k", "v"));
    assert_int_equal(waits, 1);
    assert_int_equal(deaths, 0);
    assert_false(logsink_flush());
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &whole), 0);
    logsink_replace(dup(fd)); /* the same file: still torn, and ended */
    assert_true(logsink_flush());
    assert_int_equal(logsink_waiting(), 0);
    assert_true(fd_write_full(fd, other, sizeof other - 1));
    LOG(INFO, "last", KS("k", "v"));
    assert_true(fd_pread_full(fd, text, sizeof text - 1, 0) > 0);
    assert_true(matches("^[^\n]* event=first k=v\n.{10}\n[^\n]* event=log\\.lines\\.lost lines=2\n"
                        "of another process\n[^\n]* event=last k=v\n$",
                        text));
    logsink_on_wait(NULL, NULL);
    close(fd);
}

/* Whoever could write nothing does not know what the others could. */
static void a_line_torn_by_another_process_is_not_gone_on_with(void **state)
{
    char text[4096] = "";
    int fd = memfd_create("log", 0);

    (void)state;
    logsink_open(LOGSINK_FILE, dup(fd), LOG_MAIL, "mx.test");
    LOG(INFO, "first", KS("k", "v"));
    room_is(fd, 0);
    LOG(INFO, "gone", KS("k", "v"));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &whole), 0);
    assert_true(fd_write_full(fd, "torn", 4));
    LOG(INFO, "last", KS("k", "v"));
    LOG(INFO, "more", KS("k", "v"));
    assert_true(fd_pread_full(fd, text, sizeof text - 1, 0) > 0);
    assert_true(matches("^[^\n]* event=first k=v\ntorn\n[^\n]* event=log\\.lines\\.lost lines=1\n"
                        "[^\n]* event=last k=v\n[^\n]* event=more k=v\n$",
                        text));
    close(fd);
}

static int64_t fixed_wall(void)
{
    return 1760000000123;
}

static int64_t fixed_mono(void)
{
    return 1000;
}

static void the_stamp_is_local_time_with_offset(void **state)
{
    char text[1024] = "";
    int fd = memfd_create("log", 0);

    (void)state;
    setenv("TZ", "XST-05:30", 1);
    clock_fake(fixed_mono, fixed_wall);
    logsink_open(LOGSINK_FILE, dup(fd), LOG_MAIL, "mx");
    LOG0(INFO, "a");
    assert_true(fd_pread_full(fd, text, sizeof text - 1, 0) > 0);
    assert_true(matches("^2025-10-09T14:23:20\\.123\\+05:30 mx ", text));
    clock_fake(NULL, NULL);
    setenv("TZ", "UTC", 1);
    close(fd);
}

static void syslog_gets_rfc_3164(void **state)
{
    static const struct {
        enum log_level level;
        int pri;
    } levels[] = { { LOG_LV_ERROR, 19 }, { LOG_LV_WARN, 20 }, { LOG_LV_INFO, 22 } };
    int ends[2];

    (void)state;
    dgram_pair(ends);
    logsink_open(LOGSINK_SYSLOG, ends[0], LOG_MAIL, "mx");
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        char text[1024], pattern[256];
        ssize_t n;

        log_emit(levels[i].level, "a.b", NULL);
        n = recv(ends[1], text, sizeof text - 1, 0);
        assert_true(n > 0);
        text[n] = '\0';
        snprintf(pattern, sizeof pattern,
                 "^<%d>[A-Z][a-z]{2} [ 1-3][0-9] [0-9:]{8} mansio/queued\\[[0-9]+\\]: event=a\\.b$",
                 levels[i].pri);
        assert_true(matches(pattern, text));
    }
    close(ends[1]);
}

static unsigned count_lines(int fd)
{
    char text[8192];
    unsigned n = 0;

    while (recv(fd, text, sizeof text, 0) > 0)
        n++;
    return n;
}

static void a_restart_of_syslog_loses_nothing(void **state)
{
    int ends[2], next[2];

    (void)state;
    dgram_pair(ends);
    logsink_open(LOGSINK_SYSLOG, ends[0], LOG_MAIL, "mx");
    logsink_on_wait(on_wait, NULL);
    deaths = waits = 0;
    close(ends[1]);
    for (int i = 0; i < 10; i++)
        LOG(INFO, "a", KI("i", i));
    assert_int_equal(deaths, 1); /* told once, not per line */
    assert_true(logsink_waiting() > 0);
    assert_false(logsink_flush());
    dgram_pair(next);
    logsink_replace(next[0]);
    assert_int_equal(logsink_waiting(), 0);
    assert_int_equal(count_lines(next[1]), 10);
    close(next[1]);
    LOG0(INFO, "a");
    assert_int_equal(deaths, 2); /* the next restart is told again */
}

static void a_slow_syslog_is_waited_for_in_memory(void **state)
{
    unsigned got = 0;
    int ends[2];

    (void)state;
    dgram_pair(ends);
    logsink_open(LOGSINK_SYSLOG, ends[0], LOG_MAIL, "mx");
    logsink_replace(dup(ends[0]));
    logsink_flush();
    count_lines(ends[1]);
    deaths = waits = 0;
    for (int i = 0; i < 1000; i++)
        LOG(INFO, "a", KI("i", i));
    assert_int_equal(waits, 1);
    assert_int_equal(deaths, 0);
    for (int i = 0; i < 2000 && !logsink_flush(); i++)
        got += count_lines(ends[1]);
    got += count_lines(ends[1]);
    assert_int_equal(got, 1000);
    close(ends[1]);
}

/* More waits than the new reader takes at once: somebody must be told to come back. */
static void the_rest_after_a_restart_is_not_forgotten(void **state)
{
    int next[2];

    (void)state;
    logsink_open(LOGSINK_SYSLOG, -1, LOG_MAIL, "mx");
    for (int i = 0; i < 1000; i++)
        LOG(INFO, "a", KI("i", i));
    waits = deaths = 0;
    dgram_pair(next);
    logsink_replace(next[0]);
    assert_true(logsink_waiting() > 0);
    assert_int_equal(waits, 1);
    for (int i = 0; i < 2000 && !logsink_flush(); i++)
        count_lines(next[1]);
    assert_int_equal(logsink_waiting(), 0);
    close(next[1]);
}

static void what_is_lost_is_counted(void **state)
{
    char text[8192], last[8192] = "";
    int next[2];
    unsigned got = 0;

    (void)state;
    logsink_open(LOGSINK_SYSLOG, -1, LOG_MAIL, "mx"); /* not there at all */
    for (int i = 0; i < 20000; i++)
        LOG(INFO, "a", KI("i", i));
    assert_true(logsink_waiting() <= LOGSINK_RING);
    dgram_pair(next);
    logsink_replace(next[0]);
    for (int i = 0; i < 100000; i++) {
        ssize_t n = recv(next[1], text, sizeof text - 1, 0);

        if (n < 0 && logsink_flush() && recv(next[1], text, 1, MSG_PEEK) < 0)
            break;
        if (n < 0)
            continue;
        text[n] = '\0';
        memcpy(last, text, (size_t)n + 1);
        got++;
    }
    assert_true(got > 1000 && got < 20000);
    assert_true(matches("event=log\\.lines\\.lost lines=[0-9]+$", last));
    assert_int_equal(got - 1 + (unsigned)strtoul(strstr(last, "lines=") + 6, NULL, 10), 20000);
    close(next[1]);
}

/* Its queue is full whenever we have written, also when the last line that waited is in it. */
static void what_is_lost_is_told_to_a_slow_reader(void **state)
{
    char text[8192];
    int next[2];
    unsigned got = 0, lost = 0;

    (void)state;
    logsink_open(LOGSINK_SYSLOG, -1, LOG_MAIL, "mx");
    for (int i = 0; i < 20000; i++)
        LOG(INFO, "a", KI("i", i));
    dgram_pair(next);
    logsink_replace(next[0]);
    for (ssize_t n; (n = recv(next[1], text, sizeof text - 1, 0)) > 0; logsink_flush()) {
        const char *at;

        text[n] = '\0';
        at = strstr(text, "event=log.lines.lost lines=");
        if (at)
            lost += (unsigned)strtoul(strstr(at, "lines=") + 6, NULL, 10);
        else
            got++;
    }
    assert_true(got < 20000);
    assert_int_equal(got + lost, 20000);
    assert_true(logsink_flush());
    close(next[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_gets_whole_lines),
        cmocka_unit_test(a_full_disk_tears_no_further_line),
        cmocka_unit_test(a_torn_line_ends_as_soon_as_there_is_room),
        cmocka_unit_test(a_line_torn_by_another_process_is_not_gone_on_with),
        cmocka_unit_test(the_stamp_is_local_time_with_offset),
        cmocka_unit_test(syslog_gets_rfc_3164),
        cmocka_unit_test(a_restart_of_syslog_loses_nothing),
        cmocka_unit_test(a_slow_syslog_is_waited_for_in_memory),
        cmocka_unit_test(the_rest_after_a_restart_is_not_forgotten),
        cmocka_unit_test(what_is_lost_is_counted),
        cmocka_unit_test(what_is_lost_is_told_to_a_slow_reader),
    };

    setenv("TZ", "UTC", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
