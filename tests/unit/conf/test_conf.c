/* test_conf.c - the whole: every default, grants of each role, canonical text and back, look-ups */
#include "conf/address.h"
#include "conf/dns.h"
#include "conf/kinds.h"
#include "conf/listen.h"
#include "conf/log.h"
#include "conf/mailbox.h"
#include "conf/map.h"
#include "conf/processes.h"
#include "conf/queue.h"
#include "conf/relay.h"
#include "conf/route.h"
#include "conf/secret.h"
#include "conf/tls.h"
#include "conf/top.h"
#include "conf/users.h"
#include "tests/unit/conf/text.h"

#include "common/base/log.h"

#include <stdlib.h>
#include <syslog.h>

/* What `domains = [ ]` alone means on a host mx.example.com: every default there is. */
static const char defaults[] =
    "hostname = mx.example.com    # defaults:1\n"
    "domains = [ ]    # defaults:1\n"
    "relay {    # default\n"
    "    from = [ ]    # default\n"
    "    to = [ ]    # default\n"
    "}\n"
    "map passwd {    # default\n"
    "    type = passwd    # default\n"
    "    source = \"\"    # default\n"
    "    syntax = text    # default\n"
    "    entries = [ ]    # default\n"
    "    auto = yes    # default\n"
    "}\n"
    "map postmaster {    # default\n"
    "    type = inline    # default\n"
    "    source = \"\"    # default\n"
    "    syntax = text    # default\n"
    "    entries = [ ]    # default\n"
    "    auto = yes    # default\n"
    "}\n"
    "address {    # default\n"
    "    aliases = \"\"    # default\n"
    "    virtual = \"\"    # default\n"
    "    extension = +    # default\n"
    "    commands = none    # default\n"
    "    command_user = nobody    # default\n"
    "    max_depth = 10    # default\n"
    "    max_expansion = 1000    # default\n"
    "    max_hops = 50    # default\n"
    "    sender_warning = no    # default\n"
    "    trusted = [ ]    # default\n"
    "}\n"
    "mailbox {    # default\n"
    "    lookup = passwd    # default\n"
    "    method = maildir    # default\n"
    "    via = \"\"    # default\n"
    "    max_connections = 20    # default\n"
    "    path = ~/Maildir    # default\n"
    "    spool = /var/mail    # default\n"
    "    command = [ ]    # default\n"
    "    user = \"\"    # default\n"
    "    forward = yes    # default\n"
    "    from_line = no    # default\n"
    "    timeout = 10m    # default\n"
    "    root = \"\"    # default\n"
    "    owner = mansio-vmail    # default\n"
    "    group = mail    # default\n"
    "    uid_min = 1000    # default\n"
    "    uid_exceptions = [ ]    # default\n"
    "    domains = [ ]    # default\n"
    "}\n"
    "mailbox postmaster {    # default\n"
    "    lookup = postmaster    # default\n"
    "    method = maildir    # default\n"
    "    via = \"\"    # default\n"
    "    max_connections = 20    # default\n"
    "    path = postmaster/    # default\n"
    "    spool = /var/mail    # default\n"
    "    command = [ ]    # default\n"
    "    user = \"\"    # default\n"
    "    forward = yes    # default\n"
    "    from_line = no    # default\n"
    "    timeout = 10m    # default\n"
    "    root = /var/lib/mansio/mail    # default\n"
    "    owner = mansio-vmail    # default\n"
    "    group = mail    # default\n"
    "    uid_min = 1000    # default\n"
    "    uid_exceptions = [ ]    # default\n"
    "    domains = [ ]    # default\n"
    "}\n"
    "route default {    # default\n"
    "    via = \"\"    # default\n"
    "    port = 25    # default\n"
    "    family = any    # default\n"
    "    source = [ ]    # default\n"
    "    tls = offer    # default\n"
    "    tls_name = \"\"    # default\n"
    "    ca = \"\"    # default\n"
    "    certificate = \"\"    # default\n"
    "    key = \"\"    # default\n"
    "    auth = \"\"    # default\n"
    "    auth_without_tls = no    # default\n"
    "    helo = mx.example.com    # default\n"
    "    connect_timeout = 30s    # default\n"
    "    timeout = 5m    # default\n"
    "    max_connections = 20    # default\n"
    "    max_messages = 100    # default\n"
    "    max_recipients = 100    # default\n"
    "    rate = 0    # default\n"
    "    idle = 5s    # default\n"
    "}\n"
    "queue {    # default\n"
    "    directory = /var/spool/mansio    # default\n"
    "    retry = [ 5m, 10m, 20m, 40m, 80m, 160m, 4h ]    # default\n"
    "    warn_after = 4h    # default\n"
    "    expire_after = 4d    # default\n"
    "    reserve = 0    # default\n"
    "    max_jobs = 500    # default\n"
    "    deliver = yes    # default\n"
    "    bulk_senders = [ ]    # default\n"
    "    postmaster = \"\"    # default\n"
    "}\n"
    "log {    # default\n"
    "    to = syslog    # default\n"
    "    level = info    # default\n"
    "    facility = mail    # default\n"
    "}\n"
    "history {    # default\n"
    "    keep = 1w    # default\n"
    "    size = 256M    # default\n"
    "}\n"
    "dns {    # default\n"
    "    servers = [ 127.0.0.1:53 ]    # default\n"
    "    timeout = 5s    # default\n"
    "    attempts = 2    # default\n"
    "    trust_ad = no    # default\n"
    "}\n"
    "tls {    # default\n"
    "    certificate = \"\"    # default\n"
    "    key = \"\"    # default\n"
    "    ca = \"\"    # default\n"
    "}\n"
    "auth {    # default\n"
    "    users = \"\"    # default\n"
    "    realm = mx.example.com    # default\n"
    "    mechanisms = [ PLAIN, LOGIN ]    # default\n"
    "    senders = \"\"    # default\n"
    "}\n"
    "users {    # default\n"
    "    smtpd = mansio-smtpd    # default\n"
    "    cleanup = mansio-cleanup    # default\n"
    "    queued = mansio-queued    # default\n"
    "    deliverd = mansio-deliverd    # default\n"
    "    mapd = mansio-mapd    # default\n"
    "    dnsd = mansio-dnsd    # default\n"
    "    historyd = mansio-history    # default\n"
    "    drop = mansio-drop    # default\n"
    "}\n"
    "processes {    # default\n"
    "    smtpd = 1    # default\n"
    "    deliverd = 1    # default\n"
    "    mapd_workers = 2    # default\n"
    "    agents = 64    # default\n"
    "    agents_per_user = 4    # default\n"
    "    drain = 1m    # default\n"
    "    watchdog = 2m    # default\n"
    "    runtime = /run/mansio    # default\n"
    "    state = /var/lib/mansio    # default\n"
    "}\n";

/* Sections that do not exist by themselves. */
static const char listen_defaults[] =
    "listen smtp {    # test:1\n"
    "    address = [ 127.0.0.1:25 ]    # test:1\n"
    "    tls = none    # default\n"
    "    auth = none    # default\n"
    "    submission = no    # default\n"
    "    banner = \"\"    # default\n"
    "    max_message_size = 50M    # default\n"
    "    max_sessions = 1000    # default\n"
    "    max_sessions_per_client = 100    # default\n"
    "    max_recipients = 1000    # default\n"
    "    max_commands = 10000    # default\n"
    "    max_errors = 20    # default\n"
    "    timeout = 5m    # default\n"
    "    crowded_timeout = 30s    # default\n"
    "    session_timeout = 4h    # default\n"
    "    min_rate = 50    # default\n"
    "}\n";

static const char full[] =
    "hostname = mx.example.com\n"
    "domains  = [ example.com, example.org ]\n"
    "listen smtp        { address = [ \"0.0.0.0:25\", \"[::]:25\" ]  tls = offer  banner = \"a \\\"b\\\" "
    "\\\\c # d\" }\n"
    "listen submissions { address = [ \"0.0.0.0:465\" ]  tls = implicit  auth = require  submission = yes }\n"
    "tls   { certificate = /etc/mansio/tls/cert.pem  key = \"/etc/mansio/my tls/key.pem\" }\n"
    "auth  { users = few  realm = example.com  senders = few }\n"
    "relay { from = [ 127.0.0.0/8, \"::1\", \"2001:db8::/32\" ]\n"
    "        to   = [ backup.example.net, ] }\n"
    "map aliases { type = aliases  source = /etc/aliases }\n"
    "map virtual { type = lmdb     source = /etc/mansio/virtual  syntax = aliases  auto = no }\n"
    "map few { type = inline  entries = [ \"a b\", \"c d e\" ] }\n"
    "address { aliases = aliases  virtual = virtual  extension = \"+-\"\n"
    "          masquerade { as = example.com  from = [ lan.example.com ] } }\n"
    "mailbox system { path = \"~/Mail dir\"  uid_exceptions = [ daemon ]  domains = [ example.org ] }\n"
    "mailbox virtual { lookup = few  root = /var/mail/virtual  owner = vmail  group = \"\" }\n"
    "route default { via = \"smtp.isp.example:587\"  tls = none }\n"
    "route Partner.example { via = \"[2001:db8::1]:26\"  helo = other.example.com }\n"
    "route .sub.example { family = ipv6  idle = 0  source = \"2001:db8::7\" }\n"
    "route .example { via = 192.0.2.1  port = 26 }\n"
    "route isp.example { via = mail.isp.example  tls = implicit  auth = isp  ca = /etc/isp.pem }\n"
    "secret isp { user = me  file = /etc/mansio/isp.secret }\n"
    "queue { retry = [ 1m, 1h ]  reserve = 1G  postmaster = \"root@example.com\" }\n"
    "log { to = stderr  level = debug  facility = local3 }\n"
    "dns { servers = [ 127.0.0.1, \"[::1]:5353\" ]  trust_ad = yes }\n"
    "users { smtpd = a  cleanup = b }\n"
    "processes { smtpd = 3  deliverd = 4  drain = 0 }\n";

static void has_every_default(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 1 << 16);
    struct conf *conf = conf_must("defaults", "hostname = mx.example.com domains = [ ]");
    conf_describe(conf, &out);
    assert_string_equal(buf_cstr(&out), defaults);
    conf_free(&conf);
    conf = conf_of("test", SV("hostname = mx.example.com listen smtp { address = \"127.0.0.1:25\" }"),
                   ROLE_MTAD);
    buf_reset(&out);
    conf_describe(conf, &out);
    assert_non_null(strstr(buf_cstr(&out), listen_defaults));
    conf_free(&conf);
    buf_clear(&out);
}

static void fills_structs(void **state)
{
    (void)state;
    struct conf *c = conf_must("full", full);
    assert_int_equal(c->top->domains.n, 2);
    assert_int_equal(c->listen_n, 2);
    assert_int_equal(c->listens[0]->tls, CONF_TLS_OFFER);
    assert_string_equal(c->listens[0]->banner, "a \"b\" \\c # d");
    assert_int_equal(c->listens[1]->auth, CONF_AUTH_REQUIRE);
    assert_true(c->listens[1]->submission);
    assert_ptr_equal(conf_listen_find(c, SV("submissions")), c->listens[1]);
    assert_null(conf_listen_find(c, SV("smtps")));
    assert_int_equal(c->relay->from.n, 3);
    struct netaddr a;
    assert_true(netaddr_parse_ip(SV("127.1.2.3"), &a));
    assert_true(conf_networks_contain(&c->relay->from, &a));
    assert_true(netaddr_parse_ip(SV("128.1.2.3"), &a));
    assert_false(conf_networks_contain(&c->relay->from, &a));
    assert_true(conf_strings_have(&c->relay->to, SV("BACKUP.example.net")));
    assert_false(conf_strings_have(&c->relay->to, SV("example.net")));
    assert_int_equal(c->map_n, 5);
    assert_int_equal(conf_map_find(c, SV("virtual"))->syntax, CONF_SYNTAX_ALIASES);
    assert_int_equal(conf_map_find(c, SV("passwd"))->type, CONF_MAP_PASSWD);
    assert_null(conf_map_find(c, SV("nothing")));
    assert_string_equal(c->address->masquerade->as, "example.com");
    assert_int_equal(c->mailbox_n, 3);
    assert_string_equal(c->mailboxes[2]->head.name, "postmaster");
    assert_string_equal(c->mailboxes[1]->head.name, "virtual");
    assert_int_equal(c->queue->retry.v[1], 3600);
    assert_int_equal(c->log->kind, CONF_LOG_STDERR);
    assert_int_equal(c->log->level, LOG_LV_DEBUG);
    assert_int_equal(c->log->facility, LOG_LOCAL3);
    assert_int_equal(c->dns->servers.v[1].port, 5353);
    assert_string_equal(conf_users_of(c->users, ROLE_MAPD_WORKER), "mansio-mapd");
    assert_null(conf_users_of(c->users, ROLE_MTAD));
    assert_int_equal(c->processes->deliverd, 4);
    conf_free(&c);
    assert_null(c);
    conf_free(&c);
}

/* Every role: what is written can be read, and written again gives the same bytes, places included. */
static void goes_round(void **state)
{
    (void)state;
    struct conf *conf = conf_must("full", full);
    for (unsigned r = 0; r < ROLE_COUNT; r++) {
        struct buf once, twice;
        buf_init(&once, 1 << 20);
        buf_init(&twice, 1 << 20);
        conf_write(conf, (enum role)r, &once);
        struct conf *part = conf_of("part", buf_view(&once), (enum role)r);
        if (!part)
            fail_msg("%s: does not parse:\n%s", role_name((enum role)r), buf_cstr(&once));
        conf_write(part, (enum role)r, &twice);
        assert_string_equal(buf_cstr(&once), buf_cstr(&twice));
        conf_free(&part);
        buf_clear(&once);
        buf_clear(&twice);
    }
    conf_free(&conf);
}

static struct conf *part_of(const char *text, enum role role)
{
    struct conf *conf = conf_must("whole", text);
    struct buf out;
    buf_init(&out, 1 << 20);
    conf_write(conf, role, &out);
    struct conf *part = conf_of("part", buf_view(&out), role);
    assert_non_null(part);
    buf_clear(&out);
    conf_free(&conf);
    return part;
}

static void grants_no_more(void **state)
{
    (void)state;
    struct conf *c = part_of(full, ROLE_SMTPD);
    assert_non_null(c->relay);
    assert_int_equal(c->listen_n, 2);
    assert_non_null(c->queue); /* of it, whether receipts are sent */
    assert_null(c->queue->directory);
    assert_null(c->queue->postmaster);
    assert_int_equal(c->queue->max_jobs, 0);
    assert_null(c->dns);
    assert_null(c->users);
    assert_null(c->address);
    assert_int_equal(c->map_n + c->route_n + c->mailbox_n, 0);
    assert_int_equal(c->processes->smtpd, 0);
    assert_null(c->processes->state);
    struct conf_where where = conf_where(&c->relay->head, "relay", "to");
    assert_string_equal(where.file, "whole");
    assert_int_equal(where.line, 8);
    assert_int_equal(where.column, 9);
    conf_free(&c);

    c = part_of(full, ROLE_QUEUED);
    assert_int_equal(c->top->domains.n, 0);
    assert_non_null(c->queue);
    assert_null(c->relay);
    assert_int_equal(conf_route_for(c, SV("x.example"))->max_connections, 20);
    assert_null(conf_route_for(c, SV("x.example"))->helo);
    assert_int_equal(c->secret_n, 0);
    conf_free(&c);

    c = part_of(full, ROLE_DELIVERD);
    assert_int_equal(conf_route_for(c, SV("isp.example"))->port, 465);
    assert_string_equal(conf_secret_find(c, SV("isp"))->user, "me");
    assert_null(conf_secret_find(c, SV("isp"))->file); /* its content is mtad's to give */
    conf_free(&c);

    c = part_of(full, ROLE_DNSD);
    assert_non_null(c->dns);
    assert_null(c->tls);
    assert_int_equal(c->map_n + c->route_n + c->mailbox_n + c->listen_n, 0);
    conf_free(&c);
}

/* A daemon takes nothing that its role was not granted, whoever wrote the text. */
static void refuses_what_is_not_granted(void **state)
{
    static const struct {
        enum role role;
        const char *text, *message;
    } cases[] = {
        { ROLE_DNSD, "hostname = a.b\nrelay { }\n", "part:2:1: section \"relay\" is not for dnsd" },
        { ROLE_QUEUED, "hostname = a.b\ndomains = [ ]\n", "part:2:1: \"domains\" is not for queued" },
        { ROLE_SMTPD, "#@ 1:1 x\n", "part: hostname is missing" },
        { ROLE_SMTPD, "include \"/x\"\nhostname = a.b\n", "part:1:1: include is not possible here" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct conf *conf;
        struct conf_errors errs;
        conf_errors_init(&errs);
        assert_false(conf_parse_text(SV(cases[i].text), "part", cases[i].role, &conf, &errs));
        assert_null(conf);
        assert_int_equal(errs.n, 1);
        assert_string_equal(errs.list[0].text, cases[i].message);
        conf_errors_clear(&errs);
    }
}

static void finds_routes(void **state)
{
    static const struct {
        const char *domain, *route;
    } cases[] = {
        { "partner.example", "partner.example" },
        { "PARTNER.EXAMPLE", "partner.example" },
        { "x.partner.example", ".example" },
        { "other.example", ".example" },
        { "a.sub.example", ".sub.example" },
        { "b.a.sub.example", ".sub.example" },
        { "sub.example", ".example" },
        { "example", "default" },
        { "example.com", "default" },
        { "xexample", "default" },
        { "default", "default" },
        { ".example", ".example" },
        { "", "default" },
        { "[192.0.2.1]", "default" },
    };
    static const struct {
        const char *domain, *key;
    } keys[] = {
        { "x", "default" },
        { "a.sub.example", ".sub.example from 2001:db8::7" },
    };
    (void)state;
    char long_name[400];
    struct conf *conf = conf_must("full", full);
    for (size_t i = 0; i < COUNT(cases); i++)
        expect_text(cases[i].domain, SV(conf_route_for(conf, SV(cases[i].domain))->head.name),
                    cases[i].route);
    memset(long_name, 'a', sizeof(long_name));
    assert_string_equal(conf_route_for(conf, strv_make(long_name, sizeof(long_name)))->head.name, "default");
    assert_string_equal(conf_route_for(conf, strv_make("a\0.example", 10))->head.name, "default");
    assert_string_equal(conf_route_for(conf, SV("partner.example"))->helo, "other.example.com");
    assert_string_equal(conf_route_for(conf, SV("x"))->helo, "mx.example.com");
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        char key[CONF_ROUTE_KEY];

        assert_int_equal(conf_route_key(conf_route_for(conf, SV(keys[i].domain)), key), strlen(keys[i].key));
        assert_string_equal(key, keys[i].key);
    }
    conf_free(&conf);
}

/* RFC 5321 4.5.1: there is always a mailbox for postmaster, behind those that ask somebody. */
static void keeps_postmaster(void **state)
{
    static const struct {
        const char *text, *names, *root, *path, *lookup;
    } cases[] = {
        { "", " postmaster", "/var/lib/mansio/mail", "postmaster/", "postmaster" },
        { "processes { state = /s }", " postmaster", "/s/mail", "postmaster/", "postmaster" },
        { "mailbox postmaster { root = /m  path = \"pm/\" }", "postmaster ", "/m", "pm/", "postmaster" },
        { "map v { type = inline } mailbox postmaster { lookup = v } mailbox a { lookup = v  root = /x }",
          "postmaster a", "/var/lib/mansio/mail", "postmaster/", "v" },
        { "mailbox a { }", "a postmaster", "/var/lib/mansio/mail", "postmaster/", "postmaster" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[256], names[64];
        snprintf(text, sizeof(text), "hostname = mx.example.com %s", cases[i].text);
        struct conf *c = conf_must(cases[i].text, text);
        assert_int_equal(c->mailbox_n, 2);
        snprintf(names, sizeof(names), "%s %s", c->mailboxes[0]->head.name, c->mailboxes[1]->head.name);
        expect_text(cases[i].text, SV(names), cases[i].names);
        size_t at = strcmp(c->mailboxes[0]->head.name, "postmaster") == 0 ? 0 : 1;
        expect_text(cases[i].text, SV(c->mailboxes[at]->root), cases[i].root);
        expect_text(cases[i].text, SV(c->mailboxes[at]->path), cases[i].path);
        expect_text(cases[i].text, SV(c->mailboxes[at]->lookup), cases[i].lookup);
        conf_free(&c);
    }
}

static void knows_own_domains(void **state)
{
    (void)state;
    struct conf *conf = conf_must("full", full);
    assert_true(conf_domain_is_own(conf, SV("example.com")));
    assert_true(conf_domain_is_own(conf, SV("Example.ORG")));
    assert_false(conf_domain_is_own(conf, SV("sub.example.com")));
    assert_false(conf_domain_is_own(conf, SV("example.com.")));
    assert_false(conf_domain_is_own(conf, SV("")));
    assert_false(conf_domain_is_own(conf, strv_make("example.com\0x", 13)));
    conf_free(&conf);
}

static void holds_many_domains(void **state)
{
    (void)state;
    struct buf text;
    buf_init(&text, 1 << 22);
    buf_adds(&text, "hostname = mx.example.com\ndomains = [\n");
    for (int i = 0; i < 20000; i++)
        buf_addf(&text, "    d%d.example.com,\n", i);
    buf_adds(&text, "]\n");
    struct conf *conf = conf_must("many", buf_cstr(&text));
    assert_int_equal(conf->top->domains.n, 20000);
    for (int i = 0; i < 20000; i++)
        assert_true(conf_domain_is_own(conf, SV(conf->top->domains.v[i])));
    conf_free(&conf);
    buf_clear(&text);
}

/* The marks that carry places are plain comments for everybody but conf_parse_text. */
static void reads_marks(void **state)
{
    static const struct {
        const char *mark, *where;
    } cases[] = {
        {"#@ 12:3 /etc/x y",      "/etc/x y:12"},
        { "#@ default",           "default"    },
        { "#@ 12:3",              "part:2"     },
        { "#@ x:3 /etc/x",        "part:2"     },
        { "#@12:3 /etc/x",        "part:2"     },
        { "# @ 12:3 /etc/x",      "part:2"     },
        { "#@ 12:99999999999 /x", "part:2"     },
        { "#@ 12:3 ",             "part:2"     },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[128], where[64];
        snprintf(text, sizeof(text), "%s\nhostname = a.example\n", cases[i].mark);
        struct conf *conf = conf_of("part", SV(text), ROLE_DNSD);
        assert_non_null(conf);
        conf_where_text(conf_where(&conf->top->head, "", "hostname"), where, sizeof(where));
        expect_text(cases[i].mark, SV(where), cases[i].where);
        conf_free(&conf);
    }
}

/* Tables are data: a field without words for the manual, or with a default out of its own range, is a
 * mistake. */
static void tables_are_sound(void **state)
{
    (void)state;
    for (size_t i = 0; conf_kinds[i]; i++) {
        assert_non_null(conf_kinds[i]->doc);
        for (const struct conf_field *f = conf_kinds[i]->fields; f->name; f++) {
            assert_non_null(f->doc);
            assert_true(f->type != CT_ENUM || f->choices);
            assert_true(f->type != CT_BLOCK || f->block);
            assert_true(f->offset >= sizeof(struct conf_head));
            assert_ptr_equal(&conf_kinds[i]->fields[conf_field_index(conf_kinds[i], SV(f->name))], f);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_every_default),
        cmocka_unit_test(fills_structs),
        cmocka_unit_test(goes_round),
        cmocka_unit_test(grants_no_more),
        cmocka_unit_test(refuses_what_is_not_granted),
        cmocka_unit_test(finds_routes),
        cmocka_unit_test(keeps_postmaster),
        cmocka_unit_test(knows_own_domains),
        cmocka_unit_test(holds_many_domains),
        cmocka_unit_test(reads_marks),
        cmocka_unit_test(tables_are_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
