/* test_keys.c - the precedence of keys as a table, and the values of mailbox look-ups */
#include "tests/unit/maps/conf_text.h"

#include "common/mail/address.h"
#include "conf/mailbox.h"
#include "maps/keys.h"

static const char full[] = "hostname = mx.own.test\n"
                           "domains = [ own.test, other.test ]\n"
                           "address { aliases = aliases  virtual = virtual  extension = \"+-\" }\n"
                           "mailbox a { lookup = users  root = /m  owner = vmail }\n"
                           "mailbox b { }\n"
                           "mailbox c { lookup = more  root = /n  domains = [ other.test ] }\n"
                           "mailbox postmaster { lookup = pm  root = /p  path = \"post/\" }\n";

static const char plain[] = "hostname = mx.own.test\n"
                            "domains = [ own.test ]\n"
                            "address { extension = \"\" }\n"
                            "mailbox { }\n"
                            "mailbox postmaster { lookup = pm  root = /p  path = \"post/\" }\n";

static const struct {
    const char *name, *conf, *address;
    unsigned uses;
    const char *want;
} chains[] = {
    { "all tables in order", full, "Bob@Own.Test", KEYS_ALL,
      "virtual:bob@own.test virtual:@own.test aliases:bob users:bob@own.test passwd:bob pm:bob@own.test" },
    { "extension: whole first, everywhere", full, "bob+x@own.test", KEYS_ALL,
      "virtual:bob+x@own.test virtual:bob+*@own.test virtual:bob@own.test virtual:+*@own.test "
      "virtual:@own.test aliases:bob+x aliases:bob "
      "users:bob+x@own.test users:bob@own.test passwd:bob+x passwd:bob pm:bob+x@own.test pm:bob@own.test" },
    { "mailbox.domains", full, "bob@other.test", KEYS_MAILBOX,
      "users:bob@other.test passwd:bob more:bob@other.test pm:bob@other.test" },
    { "a foreign domain is asked of virtual alone", full, "bob+x@far.test", KEYS_ALL,
      "virtual:bob+x@far.test virtual:bob+*@far.test virtual:bob@far.test virtual:+*@far.test "
      "virtual:@far.test" },
    { "another separator", full, "Bob-X@far.test", KEYS_VIRTUAL,
      "virtual:bob-x@far.test virtual:bob-*@far.test virtual:bob@far.test virtual:-*@far.test "
      "virtual:@far.test" },
    { "a subdomain is not own", full, "bob@sub.own.test", KEYS_ALIASES | KEYS_MAILBOX, "" },
    { "own by request", full, "postmaster@mx.own.test", KEYS_ALIASES | KEYS_OWN, "aliases:postmaster" },
    { "owner-list has no extension", full, "owner-list@own.test", KEYS_ALIASES, "aliases:owner-list" },
    { "quoted local part in semantic form", full, "\"A b\"@own.test", KEYS_ALIASES, "aliases:a b" },
    { "a list is no local part", full, "\":include:/etc/staff\"@own.test", KEYS_ALL, "virtual:@own.test" },
    { "nor with an extension, in any case", full, "\":Include:/etc/staff+x\"@other.test", KEYS_ALL,
      "virtual:@other.test" },
    { "nor for delivery", full, "\":include:/etc/staff\"@own.test", KEYS_MAILBOX | KEYS_OWN, "" },
    { "extensions off", plain, "bob+x@own.test", KEYS_ALL, "passwd:bob+x pm:bob+x@own.test" },
    { "no virtual, no aliases", plain, "bob@own.test", KEYS_VIRTUAL | KEYS_ALIASES, "" },
    { "a literal is no own domain", full, "bob@[127.0.0.1]", KEYS_ALL,
      "virtual:bob@[127.0.0.1] virtual:@[127.0.0.1]" },
};

static void chain_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(chains); i++) {
        struct conf *conf = conf_of(chains[i].conf, ROLE_CLEANUP);
        struct address a;
        struct key_chain c;
        struct buf got;

        assert_true(address_parse(SV(chains[i].address), 0, &a, NULL));
        key_chain_init(&c);
        keys_for_address(&c, conf, &a, chains[i].uses);
        buf_init(&got, 4096);
        for (size_t k = 0; k < c.n; k++)
            buf_addf(&got, "%s%s:%.*s", k ? " " : "", c.items[k].map, (int)key_chain_key(&c, k).n,
                     key_chain_key(&c, k).p);
        expect_text(chains[i].name, buf_view(&got), chains[i].want);
        assert_false(c.over);
        buf_clear(&got);
        key_chain_clear(&c);
        address_clear(&a);
        conf_free(&conf);
    }
}

/* deliverd sees less of the configuration, and needs the same keys for mailboxes. */
static void deliverd_view(void **state)
{
    struct conf *conf =
        conf_of("hostname = mx.own.test\ndomains = [ own.test ]\naddress { extension = \"+\" }\n"
                "mailbox a { lookup = users  root = /m }\n"
                "mailbox postmaster { lookup = pm  root = /p  path = \"post/\" }\n",
                ROLE_DELIVERD);
    struct key_chain c;
    struct address a;

    (void)state;
    assert_true(address_parse(SV("bob+x@own.test"), 0, &a, NULL));
    key_chain_init(&c);
    keys_for_address(&c, conf, &a, KEYS_MAILBOX);
    assert_int_equal(c.n, 4);
    expect_text("base", key_chain_key(&c, 1), "bob@own.test");
    assert_string_equal(c.items[1].mailbox->head.name, "a");
    key_chain_reset(&c);
    keys_for_address(&c, conf, &a, KEYS_ALL);
    assert_int_equal(c.n, 4);
    key_chain_clear(&c);
    address_clear(&a);
    conf_free(&conf);
}

static void chain_limit(void **state)
{
    struct key_chain c;

    (void)state;
    key_chain_init(&c);
    for (unsigned i = 0; i < KEY_CHAIN_MAX; i++)
        key_chain_add(&c, "m", SV("k"));
    assert_false(c.over);
    key_chain_add(&c, "m", SV("k"));
    assert_true(c.over);
    assert_int_equal(c.n, KEY_CHAIN_MAX);
    key_chain_reset(&c);
    assert_false(c.over);
    key_chain_clear(&c);
}

static const struct {
    const char *name, *root, *path, *key, *value;
    bool ok;
    const char *want_path, *want_user;
    uint64_t quota;
} places[] = {
    { "path", "/m", "", "a@x", "a/", true, "a", "vmail", 0 },
    { "path without slash", "/m", "", "a@x", "x/a", true, "x/a", "vmail", 0 },
    { "owner and quota", "/m", "", "a@x", "a/ owner=web quota=10M", true, "a", "web", 10u << 20 },
    { "quota in bytes", "/m", "", "a@x", "a quota=1024", true, "a", "vmail", 1024 },
    { "empty", "/m", "", "a@x", "", false, "", "", 0 },
    { "absolute", "/m", "", "a@x", "/etc", false, "", "", 0 },
    { "climbs", "/m", "", "a@x", "../etc", false, "", "", 0 },
    { "climbs inside", "/m", "", "a@x", "a/../../etc", false, "", "", 0 },
    { "dot", "/m", "", "a@x", "./a", false, "", "", 0 },
    { "empty component", "/m", "", "a@x", "a//b", false, "", "", 0 },
    { "only slashes", "/m", "", "a@x", "///", false, "", "", 0 },
    { "unknown word", "/m", "", "a@x", "a/ size=3", false, "", "", 0 },
    { "bad quota", "/m", "", "a@x", "a/ quota=3T", false, "", "", 0 },
    { "empty owner", "/m", "", "a@x", "a/ owner=", false, "", "", 0 },
    { "system user", "", "~/Maildir", "bob", "1000:100:/users/bob", true, "Maildir", "bob", 0 },
    { "system user, deep", "", "~/mail/in/", "bob", "1000:100:/users/bob", true, "mail/in", "bob", 0 },
    { "no home", "", "~/Maildir", "bob", "1000:100:", false, "", "", 0 },
    { "relative home", "", "~/Maildir", "bob", "1000:100:home", false, "", "", 0 },
    { "no uid", "", "~/Maildir", "bob", "x:100:/h", false, "", "", 0 },
    { "negative uid", "", "~/Maildir", "bob", "-1:100:/h", false, "", "", 0 },
    { "no id", "", "~/Maildir", "bob", "4294967295:100:/h", false, "", "", 0 },
    { "two fields", "", "~/Maildir", "bob", "1000:100", false, "", "", 0 },
    { "path climbs from home", "", "~/../x", "bob", "1000:100:/users/bob", false, "", "", 0 },
};

static void place_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(places); i++) {
        struct conf_mailbox m = { .root = (char *)places[i].root,
                                  .path = (char *)places[i].path,
                                  .owner = (char *)"vmail" };
        struct mailbox_place p;
        struct err err = { 0 };
        bool ok = mailbox_place_read(&m, SV(places[i].key), SV(places[i].value), &p, &err);

        expect_bool(places[i].name, ok, places[i].ok);
        if (!ok) {
            assert_int_equal(err.cls, ERR_CONF);
            continue;
        }
        expect_text(places[i].name, p.path, places[i].want_path);
        expect_text(places[i].name, p.user, places[i].want_user);
        assert_int_equal(p.quota, places[i].quota);
        assert_true(p.system_user == !*places[i].root);
    }
}

static void postmaster_place(void **state)
{
    struct conf *conf = conf_of("hostname = mx.own.test\nmailbox a { lookup = users  root = /m }\n"
                                "mailbox postmaster { lookup = pm  root = /p  path = \"post/\" }\n",
                                ROLE_DELIVERD);
    struct mailbox_place p;

    (void)state;
    assert_true(mailbox_place_postmaster(conf, &p));
    expect_text("postmaster", p.path, "post");
    assert_string_equal(p.mailbox->root, "/p");
    conf_free(&conf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chain_cases), cmocka_unit_test(deliverd_view),    cmocka_unit_test(chain_limit),
        cmocka_unit_test(place_cases), cmocka_unit_test(postmaster_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
