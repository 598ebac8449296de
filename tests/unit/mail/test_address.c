/* test_address.c - RFC 5321 Mailbox, and what policies ask about it */
#include "common/base/mem.h"
#include "common/mail/address.h"
#include "common/mail/domain.h"
#include "tests/support/unit.h"

#include <stdlib.h>

static const struct {
    const char *name, *in;
    unsigned flags;
    const char *local, *domain, *out;   /* local NULL: refused */
    enum address_kind kind;
} cases[] = {
    { "plain", "a@x.org", 0, "a", "x.org", "a@x.org", ADDRESS_DOMAIN },
    { "case of the local part is kept", "A.b@X.ORG", 0, "A.b", "x.org", "A.b@x.org", ADDRESS_DOMAIN },
    { "all of atext", "!#$%&'*+-/=?^_`{|}~@x.org", 0, "!#$%&'*+-/=?^_`{|}~", "x.org",
      "!#$%&'*+-/=?^_`{|}~@x.org", ADDRESS_DOMAIN },
    { "needless quotes", "\"a.b\"@x.org", 0, "a.b", "x.org", "a.b@x.org", ADDRESS_DOMAIN },
    { "needless backslash", "\"\\a\"@x.org", 0, "a", "x.org", "a@x.org", ADDRESS_DOMAIN },
    { "blank in quotes", "\"a b\"@x.org", 0, "a b", "x.org", "\"a b\"@x.org", ADDRESS_DOMAIN },
    { "quote and backslash", "\"a\\\"\\\\\"@x.org", 0, "a\"\\", "x.org", "\"a\\\"\\\\\"@x.org",
      ADDRESS_DOMAIN },
    { "@ in quotes", "\"a@b\"@x.org", 0, "a@b", "x.org", "\"a@b\"@x.org", ADDRESS_DOMAIN },
    { "dots that need quotes", "\"a..b.\"@x.org", 0, "a..b.", "x.org", "\"a..b.\"@x.org", ADDRESS_DOMAIN },
    { "> in quotes", "\">\"@x.org", 0, ">", "x.org", "\">\"@x.org", ADDRESS_DOMAIN },
    { "one label", "a@localhost", 0, "a", "localhost", "a@localhost", ADDRESS_DOMAIN },
    { "underscore", "a@_spf.x_y.org", 0, "a", "_spf.x_y.org", "a@_spf.x_y.org", ADDRESS_DOMAIN },
    { "digits in a domain", "a@1.2.3.4a", 0, "a", "1.2.3.4a", "a@1.2.3.4a", ADDRESS_DOMAIN },
    { "IPv4 literal", "a@[192.0.2.1]", 0, "a", "[192.0.2.1]", "a@[192.0.2.1]", ADDRESS_LITERAL },
    { "IPv6 literal", "a@[ipv6:2001:DB8::0:1]", 0, "a", "[IPv6:2001:db8::1]", "a@[IPv6:2001:db8::1]",
      ADDRESS_LITERAL },
    { "general literal", "a@[X-tag:Abc]", 0, "a", "[x-tag:abc]", "a@[x-tag:abc]", ADDRESS_LITERAL },
    { "local part alone", "root", ADDRESS_LOCAL_OK, "root", "", "root", ADDRESS_LOCAL },
    { "UTF-8", "\xc3\xb6@\xc3\xa4.org", ADDRESS_UTF8, "\xc3\xb6", "\xc3\xa4.org", "\xc3\xb6@\xc3\xa4.org",
      ADDRESS_DOMAIN },
    { "UTF-8 in quotes", "\"\xc3\xb6 \"@x.org", ADDRESS_UTF8, "\xc3\xb6 ", "x.org", "\"\xc3\xb6 \"@x.org",
      ADDRESS_DOMAIN },

    { .name = "nothing", .in = "" },
    { .name = "no domain", .in = "root" },
    { .name = "empty domain", .in = "a@" },
    { .name = "empty domain, local parts taken", .in = "a@", .flags = ADDRESS_LOCAL_OK },
    { .name = "empty local part", .in = "@x.org" },
    { .name = "quoted empty local part", .in = "\"\"@x.org" },
    { .name = "dot first", .in = ".a@x.org" },
    { .name = "dot last", .in = "a.@x.org" },
    { .name = "two dots", .in = "a..b@x.org" },
    { .name = "two @", .in = "a@b@x.org" },
    { .name = "blank", .in = "a b@x.org" },
    { .name = "leading blank", .in = " a@x.org" },
    { .name = "trailing blank", .in = "a@x.org " },
    { .name = "comment", .in = "a(c)@x.org" },
    { .name = "bracket", .in = "a>@x.org" },
    { .name = "backslash without quotes", .in = "a\\@x.org" },
    { .name = "unclosed quotes", .in = "\"a@x.org" },
    { .name = "unclosed by a backslash", .in = "\"a\\" },
    { .name = "unclosed by a quoted quote", .in = "\"a\\\"" },
    { .name = "text behind quotes", .in = "\"a\"b@x.org" },
    { .name = "quotes inside", .in = "a\"b\"@x.org" },
    { .name = "CR in quotes", .in = "\"a\rb\"@x.org" },
    { .name = "LF in quotes", .in = "\"a\nb\"@x.org" },
    { .name = "quoted LF", .in = "\"a\\\nb\"@x.org" },
    { .name = "tab in quotes", .in = "\"a\tb\"@x.org" },
    { .name = "DEL", .in = "\"a\x7f\"@x.org" },
    { .name = "8-bit without SMTPUTF8", .in = "\xc3\xb6@x.org" },
    { .name = "8-bit in quotes without SMTPUTF8", .in = "\"\xc3\xb6\"@x.org" },
    { .name = "8-bit domain without SMTPUTF8", .in = "a@\xc3\xb6.org" },
    { .name = "broken UTF-8", .in = "\xc3@x.org", .flags = ADDRESS_UTF8 },
    { .name = "broken UTF-8 in the domain", .in = "a@\xc3.org", .flags = ADDRESS_UTF8 },
    { .name = "trailing dot", .in = "a@x.org." },
    { .name = "leading dot", .in = "a@.org" },
    { .name = "empty label", .in = "a@x..org" },
    { .name = "hyphen first", .in = "a@-x.org" },
    { .name = "hyphen last", .in = "a@x-.org" },
    { .name = "digits as top-level domain", .in = "a@192.0.2.1" },
    { .name = "shell characters in the domain", .in = "a@x;y.org" },
    { .name = "open literal", .in = "a@[192.0.2.1" },
    { .name = "empty literal", .in = "a@[]" },
    { .name = "short literal", .in = "a@[" },
    { .name = "IPv6 without tag", .in = "a@[::1]" },
    { .name = "wrong IPv6", .in = "a@[IPv6:1]" },
    { .name = "IPv4 out of range", .in = "a@[256.0.0.1]" },
    { .name = "general literal without text", .in = "a@[tag:]" },
    { .name = "general literal, tag ends in a hyphen", .in = "a@[tag-:x]" },
    { .name = "general literal, bad tag", .in = "a@[t_g:x]" },
    { .name = "general literal, blank", .in = "a@[tag:x y]" },
    { .name = "text behind a literal", .in = "a@[192.0.2.1]x" },
    { .name = "@ in a local part alone", .in = "\"a@b\"", .flags = ADDRESS_LOCAL_OK },
};

static void parses(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct address a, b;
        struct buf out;
        const char *why = NULL;

        expect_bool(cases[i].name, address_parse(SV(cases[i].in), cases[i].flags, &a, &why),
                    cases[i].local != NULL);
        if (!cases[i].local) {
            assert_non_null(why);
            assert_true(address_is_null(&a));
            assert_false(address_parse(SV(cases[i].in), cases[i].flags, &a, NULL));
            continue;
        }
        buf_init(&out, 1000);
        expect_text(cases[i].name, a.local, cases[i].local);
        expect_text(cases[i].name, a.domain, cases[i].domain);
        assert_int_equal(a.kind, cases[i].kind);
        address_format(&a, &out);
        expect_text(cases[i].name, buf_view(&out), cases[i].out);
        assert_true(address_parse(buf_view(&out), cases[i].flags, &b, &why));
        assert_true(address_eq(&a, &b));
        address_clear(&b);
        assert_true(address_make(a.local, a.domain, cases[i].flags, &b, &why));
        assert_true(address_eq(&a, &b));
        address_clear(&b);
        address_copy(&a, &b);
        address_clear(&a);
        expect_text("copy", b.local, cases[i].local);
        address_clear(&b);
        address_clear(&b);
        buf_clear(&out);
    }
}

static void nul_is_refused(void **state)
{
    struct address a;

    (void)state;
    assert_false(address_parse(strv_make("a\0b@x.org", 9), 0, &a, NULL));
    assert_false(address_parse(strv_make("\"a\0b\"@x.org", 11), 0, &a, NULL));
    assert_false(address_parse(strv_make("a@x\0.org", 8), 0, &a, NULL));
}

/* Every byte alone as a local part: what is taken must come back as it went in. Class of CVE-2020-7247. */
static void every_byte(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        char in[] = { (char)c, '@', 'x', '.', 'o', 'r', 'g' }, quoted[] = "\"\\?\"@x.org";
        bool atext = c < 128 &&
                     (byte_is_alnum((unsigned char)c) || byte_in_set((char)c, "!#$%&'*+-/=?^_`{|}~"));
        struct address a;

        assert_int_equal(address_parse(strv_make(in, sizeof in), 0, &a, NULL), atext);
        address_clear(&a);
        quoted[2] = (char)c;
        assert_int_equal(address_parse(strv_make(quoted, 10), 0, &a, NULL), c >= 32 && c < 127);
        address_clear(&a);
    }
}

/* Local part of n bytes at a domain of m bytes. */
static bool parse_sizes(size_t n, size_t m)
{
    struct address a;
    struct buf in;
    bool ok;

    buf_init(&in, 4096);
    for (size_t i = 0; i < n; i++)
        buf_addc(&in, 'a');
    buf_addc(&in, '@');
    for (size_t i = 0; i < m; i++)
        buf_addc(&in, i % 60 == 59 && i + 1 < m ? '.' : 'd');
    ok = address_parse(buf_view(&in), 0, &a, NULL);
    address_clear(&a);
    buf_clear(&in);
    return ok;
}

static void sizes(void **state)
{
    (void)state;
    assert_true(parse_sizes(64, 5));
    assert_true(parse_sizes(65, 5));
    assert_true(parse_sizes(248, 5));
    assert_false(parse_sizes(249, 5));
    assert_false(parse_sizes(3000, 5));
    assert_true(parse_sizes(1, 252));
    assert_false(parse_sizes(1, 253));
    assert_false(parse_sizes(1, 256));
}

/* Quotes count: the written form is what the limit is about. */
static void written_size_counts(void **state)
{
    char local[252];
    struct address a;

    (void)state;
    memset(local, '"', sizeof local);
    assert_true(address_make(strv_make(local, 125), SV("x"), 0, &a, NULL));     /* 2 + 250 + 2 = 254 */
    address_clear(&a);
    assert_false(address_make(strv_make(local, 126), SV("x"), 0, &a, NULL));
    assert_true(address_make(strv_make(local, 126), SV(""), ADDRESS_LOCAL_OK, &a, NULL));
    address_clear(&a);
    assert_false(address_make(strv_make(local, 127), SV(""), ADDRESS_LOCAL_OK, &a, NULL));
    memset(local, 'a', sizeof local);
    assert_true(address_make(strv_make(local, 244), SV("[1.2.3.4]"), 0, &a, NULL));
    address_clear(&a);
    assert_false(address_make(strv_make(local, 245), SV("[1.2.3.4]"), 0, &a, NULL));
}

static void literals_have_addresses(void **state)
{
    struct address a;

    (void)state;
    assert_true(address_parse(SV("a@[192.0.2.1]"), 0, &a, NULL));
    assert_int_equal(a.ip.family, AF_INET);
    address_clear(&a);
    assert_true(address_parse(SV("a@[IPv6:::1]"), 0, &a, NULL));
    assert_int_equal(a.ip.family, AF_INET6);
    address_clear(&a);
    assert_true(address_parse(SV("a@[x:y]"), 0, &a, NULL));
    assert_int_equal(a.ip.family, AF_UNSPEC);
    address_clear(&a);
}

static void keys_and_paths(void **state)
{
    static const struct {
        const char *in, *key, *path;
    } t[] = {
        { "A.B@X.org", "a.b@x.org", "<A.B@x.org>" },
        { "\"A b\"@x.org", "a b@x.org", "<\"A b\"@x.org>" },
        { "A@[IPv6:::1]", "a@[ipv6:::1]", "<A@[IPv6:::1]>" },
        { "Root", "root", "<Root>" },
    };
    struct address null = { .kind = ADDRESS_NULL }, copy;
    struct buf out;

    (void)state;
    buf_init(&out, 1000);
    for (size_t i = 0; i < COUNT(t); i++) {
        struct address a;

        assert_true(address_parse(SV(t[i].in), ADDRESS_LOCAL_OK, &a, NULL));
        address_key(&a, &out);
        expect_text("key", buf_view(&out), t[i].key);
        buf_reset(&out);
        address_format_path(&a, &out);
        expect_text("path", buf_view(&out), t[i].path);
        buf_reset(&out);
        address_clear(&a);
    }
    address_format_path(&null, &out);
    address_key(&null, &out);
    expect_text("null", buf_view(&out), "<>");
    address_copy(&null, &copy);
    assert_true(address_is_null(&copy));
    buf_clear(&out);
}

static void equality(void **state)
{
    struct address a, b, c;

    (void)state;
    assert_true(address_parse(SV("A@x.org"), 0, &a, NULL));
    assert_true(address_parse(SV("a@X.org"), 0, &b, NULL));
    assert_true(address_parse(SV("a@y.org"), 0, &c, NULL));
    assert_false(address_eq(&a, &b));
    assert_true(address_ieq(&a, &b));
    assert_false(address_ieq(&b, &c));
    assert_false(address_is_postmaster(&a));
    address_clear(&a);
    assert_true(address_is_null(&a));
    assert_false(address_ieq(&a, &b));
    assert_false(address_is_postmaster(&a));
    assert_true(address_parse(SV("PostMaster@x.org"), 0, &a, NULL));
    assert_true(address_is_postmaster(&a));
    address_clear(&a);
    address_clear(&b);
    address_clear(&c);
}

static void disguises(void **state)
{
    static const char *const routed[] = { "a%b", "a!b", "a@b", "%", "a%b%c", "x!y!z" };
    static const char *const plain[] = { "a", "a+b", "a.b", "a=b", "a#b", "" };

    (void)state;
    for (size_t i = 0; i < COUNT(routed); i++)
        expect_bool(routed[i], address_local_is_routed(SV(routed[i])), true);
    for (size_t i = 0; i < COUNT(plain); i++)
        expect_bool(plain[i], address_local_is_routed(SV(plain[i])), false);
}

static void extensions(void **state)
{
    static const struct {
        const char *in, *separators, *base, *ext;
        bool found;
    } t[] = {
        { "user+list", "+", "user", "list", true },   { "user+a+b", "+", "user", "a+b", true },
        { "user+", "+", "user", "", true },           { "user", "+", "user", "", false },
        { "+user", "+", "+user", "", false },         { "++user", "+", "+", "user", true },
        { "user-a+b", "+-", "user", "a+b", true },    { "user+a-b", "+-", "user", "a-b", true },
        { "user+x", "", "user+x", "", false },        { "owner-list", "-", "owner-list", "", false },
        { "List-Request", "-", "List-Request", "", false }, { "owner+x", "+", "owner", "x", true },
        { "mailer-daemon", "-", "mailer-daemon", "", false }, { "", "+", "", "", false },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(t); i++) {
        struct strv base, ext;

        expect_bool(t[i].in, address_split_extension(SV(t[i].in), SV(t[i].separators), &base, &ext),
                    t[i].found);
        expect_text(t[i].in, base, t[i].base);
        expect_text(t[i].in, ext, t[i].ext);
    }
}

static void domain_helpers(void **state)
{
    static const struct {
        const char *in;
        bool ok;
    } helo[] = {
        { "mx.example.com", true }, { "localhost", true }, { "[192.0.2.1]", true }, { "192.0.2.1", true },
        { "[IPv6:2001:db8::1]", true }, { "my_pc", true }, { "x.org.", true }, { "[fe80::1%eth0]", true },
        { "", false }, { "[]", false }, { "a b", false }, { "a\rb", false }, { "a;b", false },
        { "(a)", false },
        { "\xc3\xb6", false }, { "[a", false }, { "<x>", false },
    };
    char big[DOMAIN_MAX + 2];
    struct buf out;

    (void)state;
    for (size_t i = 0; i < COUNT(helo); i++)
        expect_bool(helo[i].in, helo_ok(SV(helo[i].in)), helo[i].ok);
    memset(big, 'a', sizeof big);
    assert_true(helo_ok(strv_make(big, DOMAIN_MAX)));
    assert_false(helo_ok(strv_make(big, DOMAIN_MAX + 1)));
    assert_true(domain_ok(strv_make(big, DOMAIN_LABEL_MAX), 0, NULL));
    assert_false(domain_ok(strv_make(big, DOMAIN_LABEL_MAX + 1), 0, NULL));
    for (size_t i = 60; i < sizeof big; i += 60)
        big[i] = '.';
    assert_true(domain_ok(strv_make(big, DOMAIN_MAX), 0, NULL));
    assert_false(domain_ok(strv_make(big, DOMAIN_MAX + 1), 0, NULL));
    assert_false(domain_ok(SV(""), 0, NULL));
    expect_text("parent", domain_parent(SV("a.b.c")), "b.c");
    expect_text("no parent", domain_parent(SV("c")), "");
    assert_true(domain_is_under(SV("a.B.c"), SV("b.C")));
    assert_true(domain_is_under(SV("b.c"), SV("b.c")));
    assert_false(domain_is_under(SV("ab.c"), SV("b.c")));
    assert_false(domain_is_under(SV("b.c"), SV("a.b.c")));
    assert_false(domain_is_under(SV("b.c"), SV("")));
    buf_init(&out, 4);
    domain_lower(SV("A.Bc"), &out);
    expect_text("lower", buf_view(&out), "a.bc");
    domain_lower(SV("x"), &out);
    assert_false(buf_ok(&out));
    buf_clear(&out);
}

static void utf8(void **state)
{
    static const char *const good[] = { "", "abc", "\xc2\x80", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
                                        "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf" };
    static const char *const bad[] = { "\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2\x41",
                                       "\xe0\x80\x80", "\xed\xa0\x80", "\xe1\x80", "\xe1\x80\x41",
                                       "\xf0\x80\x80\x80", "\xf4\x90\x80\x80",
                                       "\xf5\x80\x80\x80", "\xff", "a\xf1\x80\x80" };

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++)
        assert_true(utf8_ok(SV(good[i])));
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(utf8_ok(SV(bad[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses),       cmocka_unit_test(nul_is_refused),
        cmocka_unit_test(every_byte),   cmocka_unit_test(sizes),
        cmocka_unit_test(written_size_counts), cmocka_unit_test(literals_have_addresses),
        cmocka_unit_test(keys_and_paths), cmocka_unit_test(equality),
        cmocka_unit_test(disguises),    cmocka_unit_test(extensions),
        cmocka_unit_test(domain_helpers), cmocka_unit_test(utf8),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
