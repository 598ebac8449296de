/* test_values.c - values of each type: what is taken, how it is written back, limits at n-1, n, n+1 */
#include "conf/value.h"

#include "conf/name.h"
#include "conf/suggest.h"
#include "conf/system.h"
#include "tests/support/unit.h"

#include <stdlib.h>

/* Slots of all types; zeroed between cases. */
union slot {
    char *text;
    struct conf_strings strings;
    struct conf_endpoints endpoints;
    struct conf_networks networks;
    struct conf_target target;
    struct conf_numbers numbers;
    int64_t number;
    bool flag;
    int choice;
};

static const struct conf_choice colours[] = { { "red", 0 }, { "green", 7 }, { NULL, 0 } };

static const struct conf_field text = { .name = "f", .type = CT_STRING, .max = 5 };
static const struct conf_field host = { .name = "f", .type = CT_HOSTNAME };
static const struct conf_field host_or_none = { .name = "f", .type = CT_HOSTNAME, .def = "\"\"" };
static const struct conf_field domains = { .name = "f", .type = CT_DOMAINS };
static const struct conf_field endpoints = { .name = "f", .type = CT_ENDPOINTS };
static const struct conf_field servers = { .name = "f", .type = CT_ENDPOINTS, .port = 53 };
static const struct conf_field addresses = { .name = "f", .type = CT_ADDRESSES };
static const struct conf_field networks = { .name = "f", .type = CT_NETWORKS };
static const struct conf_field target = { .name = "f", .type = CT_TARGET };
static const struct conf_field server = { .name = "f", .type = CT_SERVER, .def = "\"\"" };
static const struct conf_field bytes = { .name = "f", .type = CT_BYTES, .min = 1024, .max = 1LL << 40 };
static const struct conf_field seconds = { .name = "f", .type = CT_SECONDS, .min = 0, .max = 604800 };
static const struct conf_field times = { .name = "f", .type = CT_SECONDS_LIST, .min = 1, .max = 86400 };
static const struct conf_field number = { .name = "f", .type = CT_INT, .min = 3, .max = INT64_MAX };
static const struct conf_field flag = { .name = "f", .type = CT_BOOL };
static const struct conf_field choice = { .name = "f", .type = CT_ENUM, .choices = colours };
static const struct conf_field path = { .name = "f", .type = CT_PATH };
static const struct conf_field home = { .name = "f", .type = CT_HOME_PATH };
static const struct conf_field sink = { .name = "f", .type = CT_LOG };
static const struct conf_field map = { .name = "f", .type = CT_MAP };
static const struct conf_field user = { .name = "f", .type = CT_USER };

static const struct {
    const struct conf_field *field;
    const char *word;
    const char *written;            /* NULL: refused */
} cases[] = {
    { &text, "", "\"\"" },
    { &text, "12345", "12345" },
    { &text, "123456", NULL },
    { &text, "a b", "\"a b\"" },
    { &text, "\"\\", "\"\\\"\\\\\"" },
    { &text, "#", "\"#\"" },
    { &host, "MX.Example.com", "mx.example.com" },
    { &host, "", NULL },
    { &host_or_none, "", "\"\"" },
    { &host, "mx", NULL },
    { &host, ".example.com", NULL },
    { &host, "example.com.", NULL },
    { &host, "-a.example", NULL },
    { &host, "a-.example", NULL },
    { &host, "a b.example", NULL },
    { &host, "1.2.3.4", NULL },
    { &host, "1.2.3.4x", "1.2.3.4x" },
    { &host, "xn--mller-kva.example", "xn--mller-kva.example" },
    { &domains, "localhost", "[ localhost ]" },
    { &domains, "under_score.example", "[ under_score.example ]" },
    { &domains, "*", NULL },
    { &endpoints, "192.0.2.1:25", "[ 192.0.2.1:25 ]" },
    { &endpoints, "[2001:DB8::1]:25", "[ \"[2001:db8::1]:25\" ]" },
    { &endpoints, "192.0.2.1:0", NULL },
    { &endpoints, "192.0.2.1:65535", "[ 192.0.2.1:65535 ]" },
    { &endpoints, "192.0.2.1:65536", NULL },
    { &endpoints, "*:25", NULL },
    { &addresses, "192.0.2.1", "[ 192.0.2.1 ]" },
    { &addresses, "2001:DB8::1", "[ 2001:db8::1 ]" },
    { &addresses, "[2001:db8::1]", "[ 2001:db8::1 ]" },
    { &addresses, "::ffff:192.0.2.1", "[ 192.0.2.1 ]" },
    { &addresses, "192.0.2.1:25", NULL },
    { &addresses, "[::1]:25", NULL },
    { &addresses, "0.0.0.0", NULL },
    { &addresses, "::", NULL },
    { &addresses, "224.0.0.1", NULL },
    { &addresses, "192.0.2.0/24", NULL },
    { &addresses, "eth0", NULL },
    { &addresses, "", NULL },
    { &servers, "127.0.0.1", "[ 127.0.0.1:53 ]" },
    { &servers, "::1", "[ \"[::1]:53\" ]" },
    { &servers, "[::1]:5353", "[ \"[::1]:5353\" ]" },
    { &networks, "10.0.0.0/8", "[ 10.0.0.0/8 ]" },
    { &networks, "192.0.2.1", "[ 192.0.2.1/32 ]" },
    { &networks, "10.0.0.0/33", NULL },
    { &networks, "10.0.0.1/31", NULL },
    { &networks, "example.com", NULL },
    { &server, "unix:/run/a b", "\"unix:/run/a b\"" },
    { &server, "unix:", NULL },
    { &server, "unix:run", NULL },
    { &server, "unix:/../run", NULL },
    { &server, "unix:/2345678901234567890123456789012345678901234567890123456789012345678901234567890"
               "123456789012345678901234567",
      "unix:/2345678901234567890123456789012345678901234567890123456789012345678901234567890"
      "123456789012345678901234567" },
    { &server, "unix:/2345678901234567890123456789012345678901234567890123456789012345678901234567890"
               "1234567890123456789012345678", NULL },
    { &server, "inet:[::1]:24", "\"[::1]:24\"" },
    { &server, "Imap.example:24", "imap.example:24" },
    { &server, "", "\"\"" },
    { &target, "unix:/run/lmtp", NULL },
    { &target, "", "\"\"" },
    { &target, "SMTP.example.net", "smtp.example.net" },
    { &target, "relay:2525", "relay:2525" },
    { &target, "192.0.2.1", "192.0.2.1" },
    { &target, "192.0.2.1:26", "192.0.2.1:26" },
    { &target, "2001:db8::1", "2001:db8::1" },
    { &target, "[2001:db8::1]", "2001:db8::1" },
    { &target, "[2001:db8::1]:26", "\"[2001:db8::1]:26\"" },
    { &target, "[192.0.2.1]", "192.0.2.1" },
    { &target, "[192.0.2.1]:26", "192.0.2.1:26" },
    { &target, "[192.0.2.1]26", NULL },
    { &target, "[192.0.2.1", NULL },
    { &target, "[]", NULL },
    { &target, "[smtp.example.net]", NULL },
    { &target, "smtp.example.net:", NULL },
    { &target, "smtp.example.net:0", NULL },
    { &target, ":25", NULL },
    { &bytes, "1023", NULL },
    { &bytes, "1024", "1k" },
    { &bytes, "1025", "1025" },
    { &bytes, "50M", "50M" },
    { &bytes, "1024M", "1G" },
    { &bytes, "1024G", "1024G" },
    { &bytes, "1025G", NULL },
    { &bytes, "9223372036854775807G", NULL },
    { &bytes, "1g", NULL },
    { &bytes, "-5k", NULL },
    { &bytes, "5 k", NULL },
    { &seconds, "0", "0" },
    { &seconds, "90", "90s" },
    { &seconds, "60", "1m" },
    { &seconds, "48h", "2d" },
    { &seconds, "7d", "1w" },
    { &seconds, "604800", "1w" },
    { &seconds, "604801", NULL },
    { &seconds, "2w", NULL },
    { &seconds, "5ms", NULL },
    { &seconds, "", NULL },
    { &times, "90m", "[ 90m ]" },
    { &times, "0", NULL },
    { &number, "2", NULL },
    { &number, "3", "3" },
    { &number, "9223372036854775807", "9223372036854775807" },
    { &number, "9223372036854775808", NULL },
    { &number, "5k", NULL },
    { &number, "0x10", NULL },
    { &flag, "yes", "yes" },
    { &flag, "no", "no" },
    { &flag, "Yes", NULL },
    { &flag, "1", NULL },
    { &choice, "green", "green" },
    { &choice, "Green", NULL },
    { &choice, "", NULL },
    { &path, "/", "/" },
    { &path, "/var/x y", "\"/var/x y\"" },
    { &path, "", NULL },
    { &path, "x", NULL },
    { &path, "/a/../b", NULL },
    { &path, "/a/..b", "/a/..b" },
    { &path, "~/x", NULL },
    { &home, "~/Maildir", "~/Maildir" },
    { &home, "~/", NULL },
    { &home, "postmaster/", "postmaster/" },
    { &home, "/var/mail", NULL },
    { &home, "~/a/../b", NULL },
    { &home, "~//x", NULL },
    { &home, "", NULL },
    { &home, "~user/Maildir", NULL },
    { &sink, "syslog", "syslog" },
    { &sink, "stderr", "stderr" },
    { &sink, "/var/log/mail", "/var/log/mail" },
    { &sink, "mail.log", NULL },
    { &map, "virtual-users_2", "virtual-users_2" },
    { &map, "a.b", NULL },
    { &map, "", NULL },
    { &user, "mansio-smtpd", "mansio-smtpd" },
    { &user, "-x", NULL },
    { &user, "a:b", NULL },
};

static void reads_and_writes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        union slot slot = { .number = 0 }, again = { .number = 0 };
        struct conf_why why = { "" };
        struct buf out;
        memset(&slot, 0, sizeof(slot));
        memset(&again, 0, sizeof(again));
        buf_init(&out, 4096);
        bool ok = conf_value_parse(cases[i].field, SV(cases[i].word), &slot, &why);
        expect_bool(cases[i].word, ok, cases[i].written != NULL);
        if (ok) {
            conf_value_write(cases[i].field, &slot, &out);
            expect_text(cases[i].word, buf_view(&out), cases[i].written);
        } else {
            assert_true(strlen(why.text) > 0);
            assert_memory_equal(&slot, &again, sizeof(slot));      /* untouched */
        }
        conf_value_clear(cases[i].field, &slot);
        buf_clear(&out);
    }
}

static void limits_names(void **state)
{
    (void)state;
    const char *why;
    char name[300];
    memset(name, 'a', sizeof(name));
    assert_true(conf_host_ok(strv_make(name, 63), false, &why));
    assert_false(conf_host_ok(strv_make(name, 64), false, &why));
    for (size_t i = 50; i < sizeof(name); i += 50)
        name[i] = '.';
    assert_true(conf_host_ok(strv_make(name, 253), true, &why));
    assert_false(conf_host_ok(strv_make(name, 254), true, &why));
    assert_false(conf_host_ok(SV(""), false, &why));
}

static void keeps_targets_apart(void **state)
{
    (void)state;
    struct conf_target t;
    struct conf_why why;
    assert_true(conf_target_parse(SV("[::1]:26"), &t, &why));
    assert_null(t.host);
    assert_int_equal(t.addr.family, AF_INET6);
    assert_int_equal(t.port, 26);
    assert_true(conf_target_parse(SV("Mx.example:26"), &t, &why));
    assert_string_equal(t.host, "mx.example");
    assert_int_equal(t.addr.family, AF_UNSPEC);
    assert_int_equal(t.port, 26);
    free(t.host);
}

static void measures_distance(void **state)
{
    static const struct {
        const char *a, *b;
        unsigned distance;
    } pairs[] = {
        { "", "", 0 },        { "abc", "", 3 },       { "", "abc", 3 },        { "abc", "abc", 0 },
        { "ABC", "abc", 0 },  { "abc", "acb", 1 },    { "relay", "relai", 1 }, { "hostnam", "hostname", 1 },
        { "ca", "abc", 3 },   { "kitten", "sitting", 3 },
    };
    char buffer[64];
    struct suggest s;
    (void)state;
    for (size_t i = 0; i < COUNT(pairs); i++)
        assert_int_equal(suggest_distance(SV(pairs[i].a), SV(pairs[i].b)), pairs[i].distance);
    suggest_start(&s, SV("no"));
    suggest_try(&s, SV("on"));
    assert_string_equal(suggest_text(&s, buffer, sizeof(buffer)), "; did you mean \"on\"?");
    suggest_start(&s, SV("ab"));
    suggest_try(&s, SV("cd"));
    assert_string_equal(suggest_text(&s, buffer, sizeof(buffer)), "");
}

static void reads_system_files(void **state)
{
    struct conf_endpoints servers_found = { NULL, 0 };
    char name[64];
    (void)state;
    struct strv hosts =
        SV("127.0.0.1 localhost\n127.0.1.1\tmail.example.com mail # mail\n#1.2.3.4 x.example x\n"
           "192.0.2.1 other.example.com other");
    assert_true(system_name_in_hosts(hosts, SV("mail"), name, sizeof(name)));
    assert_string_equal(name, "mail.example.com");
    assert_true(system_name_in_hosts(hosts, SV("OTHER"), name, sizeof(name)));
    assert_false(system_name_in_hosts(hosts, SV("x"), name, sizeof(name)));
    assert_false(system_name_in_hosts(hosts, SV("localhost"), name, sizeof(name)));
    system_parse_resolvers(
        SV("# nameserver 192.0.2.9\nnameserver 192.0.2.1\nsearch example.com\n"
           "nameserver\t2001:db8::1 ; x\nnameserver fe80::1%eth0\nnameserverx 192.0.2.2\n"),
        &servers_found);
    assert_int_equal(servers_found.n, 2);
    assert_int_equal(servers_found.v[0].port, 53);
    assert_int_equal(servers_found.v[1].family, AF_INET6);
    free(servers_found.v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_and_writes),    cmocka_unit_test(limits_names),
        cmocka_unit_test(keeps_targets_apart), cmocka_unit_test(measures_distance),
        cmocka_unit_test(reads_system_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
