/* test_mtad.c - the pure parts of mtad: options, graph, meaning of an end, back-off, who an agent may be */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/os/sandbox.h"
#include "conf/mailbox.h"
#include "mtad/agent_alias.h"
#include "mtad/agent_user.h"
#include "mtad/graph.h"
#include "mtad/options.h"
#include "mtad/status.h"

static const struct {
    const char *name;
    const char *argv[8];
    enum options_result result;
} command_lines[] = {
    {"nothing",           { "mtad" },                      OPTIONS_RUN  },
    { "check",            { "mtad", "-n", "-c", "/x" },    OPTIONS_RUN  },
    { "effective values", { "mtad", "--config" },          OPTIONS_RUN  },
    { "scripts' -F",      { "mtad", "-F" },                OPTIONS_RUN  },
    { "landlock",         { "mtad", "--landlock", "2" },   OPTIONS_RUN  },
    { "landlock word",    { "mtad", "--landlock", "all" }, OPTIONS_WRONG},
    { "landlock too new", { "mtad", "--landlock", "65" },  OPTIONS_WRONG},
    { "ready",            { "mtad", "--ready-fd", "5" },   OPTIONS_RUN  },
    { "ready negative",   { "mtad", "--ready-fd", "-1" },  OPTIONS_WRONG},
    { "unknown",          { "mtad", "--daemonize" },       OPTIONS_WRONG},
    { "argument",         { "mtad", "start" },             OPTIONS_WRONG},
    { "missing value",    { "mtad", "-c" },                OPTIONS_WRONG},
    { "version",          { "mtad", "-V" },                OPTIONS_DONE },
    { "help",             { "mtad", "--help" },            OPTIONS_DONE },
};

static void options_are_parsed(void **state)
{
    int null = open("/dev/null", O_WRONLY), out, err;

    (void)state;
    fflush(stdout);
    fflush(stderr);
    out = dup(1);
    err = dup(2);
    for (size_t i = 0; i < sizeof command_lines / sizeof *command_lines; i++) {
        char *argv[9] = { NULL };
        struct options o;
        enum options_result result;
        int argc = 0;

        for (; command_lines[i].argv[argc]; argc++)
            argv[argc] = (char *)(uintptr_t)command_lines[i].argv[argc];
        dup2(null, 1);
        dup2(null, 2);
        result = options_parse(&o, argc, argv);
        fflush(stdout);
        dup2(out, 1);
        dup2(err, 2);
        if (result != command_lines[i].result)
            fail_msg("%s", command_lines[i].name);
    }
    close(null);
    close(out);
    close(err);
}

static void options_are_kept(void **state)
{
    char *argv[] = { (char[]){ "mtad" },       (char[]){ "-o" },    (char[]){ "a = b" },
                     (char[]){ "-o" },         (char[]){ "c = d" }, (char[]){ "-n" },
                     (char[]){ "--landlock" }, (char[]){ "0" },     NULL };
    struct options o;

    (void)state;
    assert_int_equal(options_parse(&o, 8, argv), OPTIONS_RUN);
    assert_int_equal(o.override_n, 2);
    assert_string_equal(o.overrides[1], "c = d");
    assert_true(o.check_only);
    assert_int_equal(o.landlock, 0);
    assert_int_equal(o.ready_fd, -1);
    assert_int_equal(options_parse(&o, 1, argv), OPTIONS_RUN);
    assert_string_equal(o.conf_path, "/etc/mansio/mansio.conf");
    assert_int_equal(o.landlock, SANDBOX_LANDLOCK_MAX);
}

static void the_graph_is_the_architecture(void **state)
{
    static const struct {
        enum role a, b;
        bool edge;
    } pairs[] = {
        {ROLE_SMTPD,     ROLE_CLEANUP,     true },
        { ROLE_SMTPD,    ROLE_MAPD,        true },
        { ROLE_SMTPD,    ROLE_DNSD,        true },
        { ROLE_SMTPD,    ROLE_QUEUED,      false},
        { ROLE_SMTPD,    ROLE_DELIVERD,    false},
        { ROLE_CLEANUP,  ROLE_QUEUED,      true },
        { ROLE_CLEANUP,  ROLE_MAPD,        true },
        { ROLE_CLEANUP,  ROLE_DELIVERD,    false},
        { ROLE_QUEUED,   ROLE_DELIVERD,    true },
        { ROLE_QUEUED,   ROLE_MAPD,        false},
        { ROLE_QUEUED,   ROLE_DNSD,        false},
        { ROLE_DELIVERD, ROLE_MAPD,        true },
        { ROLE_DELIVERD, ROLE_DNSD,        true },
        { ROLE_MAPD,     ROLE_MAPD_WORKER, true },
        { ROLE_SMTPD,    ROLE_MAPD_WORKER, false},
        { ROLE_MTAD,     ROLE_MAPD,        true },
        { ROLE_MTAD,     ROLE_SMTPD,       false},
        { ROLE_SMTPD,    ROLE_SMTPD,       false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        if (graph_is_edge(pairs[i].a, pairs[i].b) != pairs[i].edge ||
            graph_is_edge(pairs[i].b, pairs[i].a) != pairs[i].edge)
            fail_msg("%s - %s", role_name(pairs[i].a), role_name(pairs[i].b));
    }
}

/* Who is asked is there before who asks; mail stops coming before the queue stops. */
static void starts_and_stops_are_ordered(void **state)
{
    unsigned stage = 0;

    (void)state;
    for (const struct graph_role *r = graph_roles; r->role != ROLE_COUNT; r++) {
        assert_true(r->stop_stage < GRAPH_STOP_STAGES);
        assert_ptr_equal(graph_role_find(r->role), r);
        stage |= 1u << r->stop_stage;
    }
    assert_int_equal(stage, (1u << GRAPH_STOP_STAGES) - 1);
    assert_int_equal(graph_role_find(ROLE_SMTPD)->stop_stage, 0);
    assert_true(graph_role_find(ROLE_CLEANUP)->stop_stage < graph_role_find(ROLE_QUEUED)->stop_stage);
    assert_int_equal(graph_role_find(ROLE_QUEUED)->stop_stage, graph_role_find(ROLE_DELIVERD)->stop_stage);
    assert_null(graph_role_find(ROLE_AGENT));
}

static void an_end_is_put_into_words(void **state)
{
    static const struct {
        int status;
        const char *start, *has;
    } ends[] = {
        {11,      "signal 11 (SEGV): ", "crashed"      },
        { 31,     "signal 31 (SYS): ",  "sandbox"      },
        { 9,      "signal 9 (KILL): ",  "memory"       },
        { 0x4600, "exit 70: ",          "memory"       },
        { 0x4e00, "exit 78: ",          "configuration"},
        { 0,      "exit 0: ",           "by itself"    },
        { 0x0700, "exit 7: ",           "last line"    },
        { 40,     "signal 40 (?): ",    "outside"      },
    };
    char text[256];

    (void)state;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        status_end_text(ends[i].status, text, sizeof text);
        if (strncmp(text, ends[i].start, strlen(ends[i].start)) != 0 || !strstr(text, ends[i].has))
            fail_msg("%d: %s", ends[i].status, text);
    }
}

static void backoff_doubles_and_forgives(void **state)
{
    static const long expected[] = { 100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000 };
    long ms = 0;

    (void)state;
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        ms = status_backoff(ms, 59999);
        assert_int_equal(ms, expected[i]);
    }
    assert_int_equal(status_backoff(ms, 60000), 100);
}

static const struct {
    const char *name, *user;
    uint64_t uid, gid;
    bool ok;
} users[] = {
    {"plain",                       "joe",    1000,           1000,       true },
    { "below",                      "daemon", 999,            999,        false},
    { "exception",                  "www",    33,             33,         true },
    { "exception in another case",  "WWW",    33,             33,         false},
    { "root",                       "root",   0,              0,          false},
    { "root by another name",       "toor",   0,              1000,       false},
    { "root although an exception", "www",    0,              33,         false},
    { "root's group",               "joe",    1000,           0,          false},
    { "minus one",                  "joe",    UINT32_MAX,     1000,       false},
    { "group minus one",            "joe",    1000,           UINT32_MAX, false},
    { "wraps to root",              "joe",    1ull << 32,     1000,       false},
    { "at the limit",               "joe",    UINT32_MAX - 1, 1,          true },
};

static void agents_are_nobody_they_must_not_be(void **state)
{
    char *exceptions[] = { (char[]){ "www" } };
    struct conf_mailbox m = {
        .uid_min = 1000, .uid_exceptions = {exceptions, 1}
    };

    (void)state;
    for (size_t i = 0; i < sizeof users / sizeof *users; i++) {
        struct err err = { 0 };

        if (agent_user_permitted(&m, SV(users[i].user), users[i].uid, users[i].gid, &err) != users[i].ok ||
            (!users[i].ok && err.cls != ERR_PERM))
            fail_msg("%s", users[i].name);
    }
}

static const struct {
    const char *commands, *command, *want; /* words joined by a bar; NULL: refused */
} alias_commands[] = {
    { "none", "/bin/true", NULL },
    { "any", "/bin/true", "/bin/true" },
    { "any", " /bin/x  a\tb ", "/bin/x|a|b" },
    { "any", "true", NULL },
    { "any", "/", NULL },
    { "/d", "/anywhere/x -a", "/d/x|-a" },
    { "/d/", "x", "/d/x" },
    { "/d", "../../bin/sh", "/d/sh" },
    { "/d", "..", NULL },
    { "/d", ".hidden", NULL },
    { "/d", "/a/", NULL },
    { "/d", "", NULL },
    { "/d", "x;y", NULL },
    { "/d", "x $(id)", NULL },
    { "/d", "x `id`", NULL },
    { "/d", "x a\\ b", NULL },
    { "/d", "x 'a'", NULL },
    { "/d", "x <y", NULL },
    { "/d", "x ~", NULL },
    { "/d", "x\ny", NULL },
};

/* smrsh's rule, and stricter: no shell reads it. */
static void alias_commands_are_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof alias_commands / sizeof *alias_commands; i++) {
        struct alias_command c;
        struct err err = { 0 };
        char got[256] = "";
        bool ok = alias_command_split(alias_commands[i].commands, SV(alias_commands[i].command), &c, &err);

        for (size_t k = 0; ok && k < c.n; k++)
            snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s", k ? "|" : "",
                     c.text.data + c.at[k]);
        alias_command_clear(&c);
        if (ok != (alias_commands[i].want != NULL) || (ok && strcmp(got, alias_commands[i].want) != 0))
            fail_msg("%s: %s: %s", alias_commands[i].commands, alias_commands[i].command,
                     ok ? got : err.text);
    }
}

static void alias_targets_are_the_tables(void **state)
{
    struct strv value = SV_LIT("user, |a b, \"|c, d\", /x/y, <|e>");

    (void)state;
    assert_true(alias_has_target(value, SV("|a b")) && alias_has_target(value, SV("|c, d")));
    assert_true(alias_has_target(value, SV("/x/y")));
    assert_false(alias_has_target(value, SV("|a")) || alias_has_target(value, SV("/x")));
    assert_false(alias_has_target(value, SV("|")) || alias_has_target(value, SV("")));
    assert_false(alias_has_target(value, SV("user")) || alias_has_target(value, SV("|e")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alias_commands_are_words),
        cmocka_unit_test(alias_targets_are_the_tables),
        cmocka_unit_test(options_are_parsed),
        cmocka_unit_test(options_are_kept),
        cmocka_unit_test(the_graph_is_the_architecture),
        cmocka_unit_test(starts_and_stops_are_ordered),
        cmocka_unit_test(an_end_is_put_into_words),
        cmocka_unit_test(backoff_doubles_and_forgives),
        cmocka_unit_test(agents_are_nobody_they_must_not_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
