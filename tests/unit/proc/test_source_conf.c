/* test_source_conf.c - a configuration that mtad sends: read, refused, left alone; no descriptor stays */
#include "tests/support/unit.h"

#include "common/os/fd.h"
#include "common/os/file.h"
#include "common/proc/daemon.h"
#include "common/proc/source_conf.h"
#include "conf/conf.h"
#include "conf/history.h"

#include <sys/mman.h>
#include <unistd.h>

static const char good[] = "hostname = mx.own.test\nhistory { keep = 5d }\n";

static int sealed(const char *text)
{
    struct err err = { 0 };
    int fd = file_seal("conf", SV(text), &err);

    assert_true(fd >= 0);
    return fd;
}

static int unsealed(void)
{
    int fd = memfd_create("conf", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_true(write(fd, good, sizeof good - 1) > 0);
    return fd;
}

static bool is_open(int fd)
{
    int copy = fd < 0 ? -1 : dup(fd);

    if (copy < 0)
        return false;
    fd_close(&copy);
    return true;
}

static void sources(void **state)
{
    const struct {
        const char *name;
        enum ipc_source kind;
        int fd;
        enum err_class cls;
        bool comes;
        const char *says;
    } cases[] = {
        { "good", SOURCE_CONF, sealed(good), ERR_OK, true, "" },
        { "a table", SOURCE_MAP, sealed(good), ERR_OK, false, "" },
        { "a table without a descriptor", SOURCE_MAP, -1, ERR_OK, false, "" },
        { "no descriptor", SOURCE_CONF, -1, ERR_PROTO, false, "mtad sent no configuration" },
        { "unsealed", SOURCE_CONF, unsealed(), ERR_PROTO, false, "the descriptor is not a sealed memfd" },
        { "no conf", SOURCE_CONF, sealed("history {\n"), ERR_BUG, false, "configuration from mtad:" },
        { "another role's", SOURCE_CONF, sealed("queue { max_jobs = 5 }\n"), ERR_BUG, false, "queue" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct daemon_source s = { .kind = cases[i].kind, .fd = cases[i].fd };
        struct err err = { .cls = ERR_TEMP, .text = "of before" };
        struct conf *conf = source_conf_take(&s, ROLE_HISTORYD, &err);

        expect_bool(cases[i].name, conf != NULL, cases[i].comes);
        if (err.cls != cases[i].cls || !strstr(err.text, cases[i].says))
            fail_msg("%s: class %d, \"%s\"", cases[i].name, (int)err.cls, err.text);
        if (conf)
            assert_int_equal(conf->history->keep, 5 * 86400);
        assert_int_equal(s.fd, -1);
        expect_bool(cases[i].name, is_open(cases[i].fd), false);
        conf_free(&conf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(sources) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
