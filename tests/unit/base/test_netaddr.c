/* test_netaddr.c - IP addresses, ports, prefixes, literals */
#include "common/base/netaddr.h"
#include "tests/support/unit.h"

static void ips(void **state)
{
    static const struct {
        const char *in, *text, *ptr;
    } t[] = {
        { "192.0.2.1", "192.0.2.1", "1.2.0.192.in-addr.arpa" },
        { "2001:DB8::1", "2001:db8::1",
          "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa" },
        { "[::1]", "::1", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa" },
    };
    static const char *const bad[] = {
        "", "1", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "0x1.2.3.4", "1.2.3.4 ", " 1.2.3.4",
        "[1.2.3.4]", "[::1", "::1]", "fe80::1%eth0", ":::", "1::2::3", "12345::", "1:2:3:4:5:6:7:8:9", "[]",
        "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000",
    };
    struct netaddr a;
    char text[80];

    (void)state;
    for (size_t i = 0; i < COUNT(t); i++) {
        expect_bool(t[i].in, netaddr_parse_ip(SV(t[i].in), &a), true);
        assert_int_equal(a.port, 0);
        expect_text(t[i].in, strv_make(text, netaddr_ip_text(&a, text, sizeof text)), t[i].text);
        expect_text(t[i].in, strv_make(text, netaddr_ptr_name(&a, text, sizeof text)), t[i].ptr);
    }
    for (size_t i = 0; i < COUNT(bad); i++)
        expect_bool(bad[i], netaddr_parse_ip(SV(bad[i]), &a), false);
    assert_false(netaddr_parse_ip(strv_make("1.2.3.4\0", 8), &a));
}

static void ports(void **state)
{
    static const struct {
        const char *in;
        bool zero_ok;
        const char *text;
    } t[] = {
        { "192.0.2.1:25", false, "192.0.2.1:25" },
        { "[2001:db8::1]:65535", false, "[2001:db8::1]:65535" },
        { "127.0.0.1:0", true, "127.0.0.1:0" },
        { "127.0.0.1:0", false, NULL },
        { "127.0.0.1:65536", false, NULL },
        { "127.0.0.1", false, NULL },
        { "127.0.0.1:", false, NULL },
        { "2001:db8::1:25", false, NULL },
        { "[2001:db8::1]", false, NULL },
        { "::1", false, NULL },
        { ":25", false, NULL },
        { "host:25", false, NULL },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(t); i++) {
        struct netaddr a;
        char text[80];

        expect_bool(t[i].in, netaddr_parse(SV(t[i].in), &a, t[i].zero_ok), t[i].text != NULL);
        if (t[i].text)
            expect_text(t[i].in, strv_make(text, netaddr_text(&a, text, sizeof text)), t[i].text);
    }
}

static void literals(void **state)
{
    static const struct {
        const char *in, *text;
    } t[] = {
        { "[192.0.2.1]", "[192.0.2.1]" },      { "192.0.2.1", "[192.0.2.1]" },
        { "[IPv6:2001:DB8::1]", "[IPv6:2001:db8::1]" }, { "[ipv6:::1]", "[IPv6:::1]" },
        { "[2001:db8::1]", NULL },             { "[IPv6:192.0.2.1]", NULL },
        { "[]", NULL },                        { "[192.0.2.1", NULL },
        { "[IPv6:[::1]]", NULL },              { "[IPv6:::ffff:192.0.2.1]", "[192.0.2.1]" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(t); i++) {
        struct netaddr a;
        char text[80];

        expect_bool(t[i].in, netaddr_parse_literal(SV(t[i].in), &a), t[i].text != NULL);
        if (t[i].text)
            expect_text(t[i].in, strv_make(text, netaddr_literal_text(&a, text, sizeof text)), t[i].text);
    }
}

static void prefixes(void **state)
{
    static const struct {
        const char *in, *text;
    } t[] = {
        { "10.0.0.0/8", "10.0.0.0/8" },       { "0.0.0.0/0", "0.0.0.0/0" },
        { "192.0.2.1", "192.0.2.1/32" },      { "::1", "::1/128" },
        { "2001:db8::/32", "2001:db8::/32" }, { "[2001:db8::]/33", "2001:db8::/33" },
        { "::ffff:10.0.0.0/104", "10.0.0.0/8" }, { "::/0", "::/0" },
        { "10.0.0.1/8", NULL },               { "10.0.0.0/33", NULL },
        { "::/129", NULL },                   { "10.0.0.0/", NULL },
        { "10.0.0.0/-1", NULL },              { "10/8", NULL },
        { "2001:db8::1/64", NULL },           { "", NULL },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(t); i++) {
        struct netprefix p;
        const char *why = NULL;
        char text[80];

        expect_bool(t[i].in, netprefix_parse(SV(t[i].in), &p, &why), t[i].text != NULL);
        if (t[i].text)
            expect_text(t[i].in, strv_make(text, netprefix_text(&p, text, sizeof text)), t[i].text);
        else
            assert_non_null(why);
    }
}

static void contains(void **state)
{
    static const struct {
        const char *prefix, *ip;
        bool want;
    } t[] = {
        { "10.0.0.0/8", "10.255.0.1", true },      { "10.0.0.0/8", "11.0.0.0", false },
        { "10.0.0.0/9", "10.127.0.1", true },      { "10.0.0.0/9", "10.128.0.1", false },
        { "10.0.0.0/8", "::ffff:10.1.1.1", true }, { "10.0.0.0/8", "::10.1.1.1", false },
        { "0.0.0.0/0", "203.0.113.9", true },      { "0.0.0.0/0", "::1", false },
        { "::/0", "::1", true },                   { "::/0", "1.2.3.4", false },
        { "2001:db8::/33", "2001:db8:7fff::1", true }, { "2001:db8::/33", "2001:db8:8000::1", false },
        { "::1", "::1", true },                    { "::1", "::2", false },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(t); i++) {
        struct netprefix p;
        struct netaddr a;
        const char *why;

        assert_true(netprefix_parse(SV(t[i].prefix), &p, &why));
        assert_true(netaddr_parse_ip(SV(t[i].ip), &a));
        if (netprefix_contains(&p, &a) != t[i].want)
            fail_msg("%s in %s", t[i].ip, t[i].prefix);
    }
}

static void sockaddrs(void **state)
{
    static const char *const texts[] = { "192.0.2.1:25", "[2001:db8::1]:2525" };
    struct sockaddr_storage ss;
    struct netaddr a, b;
    socklen_t len;

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        assert_true(netaddr_parse(SV(texts[i]), &a, false));
        len = netaddr_to_sockaddr(&a, &ss);
        assert_true(netaddr_from_sockaddr((struct sockaddr *)&ss, len, &b));
        assert_true(netaddr_eq_ip(&a, &b));
        assert_int_equal(a.port, b.port);
        assert_false(netaddr_from_sockaddr((struct sockaddr *)&ss, len - 1, &b));
    }
    assert_true(netaddr_parse(SV("[::ffff:192.0.2.1]:25"), &a, false));
    len = netaddr_to_sockaddr(&a, &ss);
    assert_true(netaddr_from_sockaddr((struct sockaddr *)&ss, len, &b));
    assert_int_equal(b.family, AF_INET);
    assert_false(netaddr_eq_ip(&a, &b));
    a = (struct netaddr){ .family = AF_UNSPEC };
    assert_int_equal(netaddr_to_sockaddr(&a, &ss), 0);
    ss.ss_family = AF_UNIX;
    assert_false(netaddr_from_sockaddr((struct sockaddr *)&ss, sizeof ss, &b));
}

static void loopback_and_edges(void **state)
{
    static const struct {
        const char *ip;
        bool want;
    } t[] = {
        { "127.0.0.1", true }, { "127.255.0.1", true }, { "128.0.0.1", false }, { "::1", true },
        { "::2", false },      { "::ffff:127.0.0.1", true },
    };
    struct netaddr none = { .family = AF_UNSPEC }, a;
    char small[4];

    (void)state;
    for (size_t i = 0; i < COUNT(t); i++) {
        assert_true(netaddr_parse_ip(SV(t[i].ip), &a));
        expect_bool(t[i].ip, netaddr_is_loopback(&a), t[i].want);
    }
    assert_false(netaddr_is_loopback(&none));
    assert_int_equal(netaddr_ip_text(&none, small, sizeof small), 1);
    assert_string_equal(small, "-");
    assert_true(netaddr_parse_ip(SV("192.0.2.1"), &a));
    assert_int_equal(netaddr_ip_text(&a, small, sizeof small), 3);
    assert_int_equal(netaddr_ip_text(&a, small, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ips),      cmocka_unit_test(ports),     cmocka_unit_test(literals),
        cmocka_unit_test(prefixes), cmocka_unit_test(contains),  cmocka_unit_test(sockaddrs),
        cmocka_unit_test(loopback_and_edges),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
