/* test_command.c - programs as mailboxes: which values they see, and what their ends mean */
#include "tests/support/unit.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/os/fd.h"
#include "deliverd/agent/command.h"

static struct command_values values(const char *extension)
{
    return (struct command_values){ .user = SV("user"),
                                    .domain = SV("b.example"),
                                    .extension = SV(extension),
                                    .sender = SV("s@x.example"),
                                    .rcpt = SV("user+e@b.example") };
}

/* CVE-2020-7247, CVE-2014-2972: what strangers wrote is one argument, whatever is in it, and never looked at
   again. */
static void arguments_are_whole(void **state)
{
    static const struct {
        const char *configured, *extension, *want;
    } cases[] = {
        { "%u", "", "user" }, { "%d", "", "b.example" },  { "%s", "", "s@x.example" },
        { "%x", "", "" },     { "%x", ";rm -rf", ";rm -rf" }, { "%x", "%s", "%s" },
        { "%", "x", "%" },    { "%q", "x", "%q" },        { "%xx", "y", "%xx" },
        { "-a", "x", "-a" },  { "%r", "", "user+e@b.example" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct command_values v = values(cases[i].extension);

        expect_text(cases[i].configured, command_argument(cases[i].configured, &v), cases[i].want);
    }
}

static void values_that_would_be_options(void **state)
{
    struct command_values v = values("x");

    (void)state;
    assert_true(command_values_ok(&v));
    v.extension = SV("-d");
    assert_false(command_values_ok(&v));
    v = values("a-d");
    assert_true(command_values_ok(&v));
    v.sender = SV("-x@y.example");
    assert_false(command_values_ok(&v));
    v.sender = SV("");
    assert_true(command_values_ok(&v));
    v.rcpt = strv_make("a\0b", 3);
    assert_false(command_values_ok(&v));
}

static void ends_mean(void **state)
{
    static const struct {
        int status;
        enum ipc_outcome outcome;
        const char *enhanced;
    } cases[] = {
        { 0, OUTCOME_DELIVERED, "2.0.0" },       { 1 << 8, OUTCOME_FAILED, "5.3.0" },
        { 64 << 8, OUTCOME_DEFERRED, "4.3.5" },  { 65 << 8, OUTCOME_FAILED, "5.6.0" },
        { 67 << 8, OUTCOME_FAILED, "5.1.1" },    { 73 << 8, OUTCOME_FAILED, "5.2.0" },
        { 75 << 8, OUTCOME_DEFERRED, "4.3.0" },  { 77 << 8, OUTCOME_FAILED, "5.7.0" },
        { 78 << 8, OUTCOME_DEFERRED, "4.3.5" },  { 127 << 8, OUTCOME_DEFERRED, "4.3.0" },
        { 255 << 8, OUTCOME_FAILED, "5.3.0" },   { SIGSEGV, OUTCOME_DEFERRED, "4.3.0" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct command_result r = { .outcome = OUTCOME_DELIVERED };

        command_status("/bin/x", cases[i].status, SV(""), &r);
        if (r.outcome != cases[i].outcome || strcmp(r.enhanced, cases[i].enhanced) != 0)
            fail_msg("status %d: outcome %d %s", cases[i].status, r.outcome, r.enhanced);
    }
}

static struct command_result run(const char *script, long timeout_s)
{
    struct command c = { .argv = { "/bin/sh", "-c", script },
                         .user = "user",
                         .home = "/",
                         .timeout_s = timeout_s,
                         .channel_fd = -1 };
    struct command_values v = values("x");
    struct command_result r = { .outcome = OUTCOME_DELIVERED };
    int fd = memfd_create("message", MFD_CLOEXEC);

    assert_true(fd >= 0 && fd_write_full(fd, "A: b\n", 5));
    command_run(&c, &v, fd, &r);
    fd_close(&fd);
    return r;
}

static void output_is_bounded_and_plain(void **state)
{
    struct command_result r;

    (void)state;
    r = run("cat; exit 69", 10);
    assert_non_null(strstr(r.text, "exit 69 (service unavailable): A: b"));
    r = run("yes | head -c 1000000; exit 69", 10);
    assert_true(strlen(r.text) < sizeof r.text && strstr(r.text, ": y y y"));
    r = run("printf 'a\\001\\n\\n\\tb\\377'; exit 69", 10);
    assert_non_null(strstr(r.text, ": a b?"));
    r = run("exec </dev/null; exit 0", 10);
    assert_int_equal(r.outcome, OUTCOME_DELIVERED);
    r = run("sleep 100", 1);
    assert_non_null(strstr(r.text, "time limit"));
    assert_int_equal(r.outcome, OUTCOME_DEFERRED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arguments_are_whole),
        cmocka_unit_test(values_that_would_be_options),
        cmocka_unit_test(ends_mean),
        cmocka_unit_test(output_is_bounded_and_plain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
