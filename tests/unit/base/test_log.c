/* test_log.c - one line per event, whatever the values hold */
#include "common/base/log.h"
#include "common/base/mem.h"
#include "tests/support/unit.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static char last[5000];
static enum log_level last_level;
static int count;

static void sink(void *arg, enum log_level level, const char *line, size_t len)
{
    assert_ptr_equal(arg, last);
    assert_int_equal(strlen(line), len);
    memcpy(last, line, len + 1);
    last_level = level;
    count++;
}

static void values(void **state)
{
    const struct {
        const char *name;
        struct kv kv;
        const char *want;
    } t[] = {
        { "plain", KS("k", "abc"), "event=e k=abc" },
        { "empty", KS("k", ""), "event=e k=\"\"" },
        { "blank", KS("k", "a b"), "event=e k=\"a b\"" },
        { "quote", KS("k", "a\"b"), "event=e k=\"a\\\"b\"" },
        { "backslash", KS("k", "a\\b"), "event=e k=\"a\\\\b\"" },
        { "line break", KS("k", "a\r\nevent=x"), "event=e k=\"a\\r\\nevent=x\"" },
        { "tab and control", KS("k", "\t\x01\x7f"), "event=e k=\"\\t\\x01\\x7f\"" },
        { "8-bit", KS("k", "\xc3\xb6"), "event=e k=\"\\xc3\\xb6\"" },
        { "absent string", KS("k", NULL), "event=e" },
        { "view with NUL", KV("k", strv_make("a\0b", 3)), "event=e k=\"a\\x00b\"" },
        { "absent view", KV("k", strv_make(NULL, 0)), "event=e" },
        { "number", KI("k", -12), "event=e k=-12" },
        { "largest number", KI("k", INT64_MIN), "event=e k=-9223372036854775808" },
        { "milliseconds", KMS("k", 1042), "event=e k=1.042" },
        { "negative milliseconds", KMS("k", -1042), "event=e k=-1.042" },
        { "less than a second", KMS("k", -42), "event=e k=-0.042" },
        { "zero", KI("k", 0), "event=e k=0" },
        { "no milliseconds", KMS("k", 0), "event=e k=0.000" },
        { "least milliseconds", KMS("k", INT64_MIN), "event=e k=-9223372036854775.808" },
        { "most milliseconds", KMS("k", INT64_MAX), "event=e k=9223372036854775.807" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(t); i++) {
        struct kv kv[2] = { t[i].kv, { .key = NULL } };
        char line[200];
        size_t n = log_format(line, sizeof line, "e", kv);

        expect_text(t[i].name, strv_make(line, n), t[i].want);
    }
}

static void long_values_are_cut(void **state)
{
    char *big = mem_new(10001), line[4096];
    struct kv kv[4] = { KS("a", big), KS("b", "short"), KI("c", 12345), { .key = NULL } };
    size_t n;

    (void)state;
    memset(big, 'x', 10000);
    n = log_format(line, sizeof line, "e", kv);
    assert_true(n < sizeof line);
    assert_non_null(strstr(line, "xxx... b=short c=12345"));
    memset(big, '\n', 10000);
    n = log_format(line, sizeof line, "e", kv);
    assert_true(n < sizeof line);
    assert_non_null(strstr(line, "\\n...\" b=short c=12345"));
    kv[1].u.s = big;
    n = log_format(line, sizeof line, "e", kv);
    assert_true(n < sizeof line);
    assert_non_null(strstr(line, " c=12345"));
    free(big);
}

static void tiny_buffers(void **state)
{
    struct kv kv[] = { KS("key", "a long value with blanks"), KI("n", 1), { .key = NULL } };
    char line[64];

    (void)state;
    assert_int_equal(log_format(line, 0, "e", kv), 0);
    for (size_t size = 1; size <= sizeof line; size++) {
        char *exact = mem_new(size);
        size_t n = log_format(exact, size, "event.name", kv);

        assert_true(n < size);
        assert_int_equal(exact[n], 0);
        free(exact);
    }
}

static void levels(void **state)
{
    enum log_level level;

    (void)state;
    log_set_sink(sink, last);
    log_set_level(LOG_LV_INFO);
    assert_int_equal(log_get_level(), LOG_LV_INFO);
    count = 0;
    LOG(DEBUG, "hidden", KI("n", 1));
    assert_int_equal(count, 0);
    LOG(INFO, "shown", KI("n", 1));
    assert_int_equal(count, 1);
    assert_string_equal(last, "event=shown n=1");
    assert_int_equal(last_level, LOG_LV_INFO);
    LOG0(ERROR, "bare");
    assert_string_equal(last, "event=bare");
    log_set_level(LOG_LV_DEBUG);
    LOG(DEBUG, "now", KS("k", NULL));
    assert_string_equal(last, "event=now");
    log_set_level(LOG_LV_INFO);
    log_set_sink(NULL, NULL);
    for (int i = 0; i <= LOG_LV_DEBUG; i++) {
        assert_true(log_level_parse(SV(log_level_name((enum log_level)i)), &level));
        assert_int_equal(level, i);
    }
    assert_true(log_level_parse(SV("debug"), &level));
    assert_false(log_level_parse(SV("loud"), &level));
    assert_false(log_level_parse(SV(""), &level));
}

static void default_sink_writes_to_stderr(void **state)
{
    char got[6000] = "", want[100];
    int fds[2], status;
    size_t n = 0;
    ssize_t r;
    pid_t pid;

    (void)state;
    assert_int_equal(pipe(fds), 0);
    pid = fork();
    if (pid == 0) {
        static char big[4000];

        memset(big, 'x', sizeof big - 1);
        dup2(fds[1], STDERR_FILENO);
        close(fds[1]);
        log_set_name("smtpd");
        LOG(WARN, "e", KI("n", 1));
        LOG(WARN, "big", KS("v", big));
        _exit(0);
    }
    close(fds[1]);
    while ((r = read(fds[0], got + n, sizeof got - 1 - n)) > 0)
        n += (size_t)r;
    close(fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    snprintf(want, sizeof want, "smtpd[%d]: WARN event=e n=1\nsmtpd[%d]: WARN event=big", (int)pid, (int)pid);
    assert_memory_equal(got, want, strlen(want));
    assert_int_equal(got[n - 1], '\n');
    assert_string_equal(log_name(), "mansio");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values),
        cmocka_unit_test(long_values_are_cut),
        cmocka_unit_test(tiny_buffers),
        cmocka_unit_test(levels),
        cmocka_unit_test(default_sink_writes_to_stderr),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
