/* test_received.c - the trace field */
#include "common/mail/header.h"
#include "common/mail/received.h"
#include "tests/support/unit.h"

#include <stdlib.h>
#include <time.h>

#define DATE "Fri, 20 Nov 2026 23:27:30 +0000\r\n"

static struct received base(void)
{
    struct received r = {
        .helo = SV_LIT("client.example"), .client_name = { "", 0 }, .by = SV_LIT("mx.example.com"),
        .protocol = RECEIVED_ESMTP, .tls = { "", 0 }, .uid = -1, .id = SV_LIT("01ABC"),
        .wall_ms = 1795217250123,
    };

    netaddr_parse_ip(SV("192.0.2.1"), &r.client);
    return r;
}

static void expect_field(const char *name, const struct received *r, const char *want)
{
    struct buf out;
    struct strv rest;
    struct header_field f;

    buf_init(&out, 8192);
    received_write(r, &out);
    expect_text(name, buf_view(&out), want);
    rest = buf_view(&out);
    assert_true(header_next(&rest, &f));
    assert_int_equal(rest.n, 0);
    assert_int_equal(received_count(buf_view(&out)), 1);
    buf_clear(&out);
}

static void forms(void **state)
{
    struct received r = base();
    struct address rcpt;

    (void)state;
    expect_field("plain", &r,
                 "Received: from client.example ([192.0.2.1])\r\n"
                 "\tby mx.example.com with ESMTP id 01ABC;\r\n\t" DATE);
    r.client_name = SV("ptr.example");
    r.protocol = RECEIVED_ESMTP | RECEIVED_TLS | RECEIVED_AUTH;
    r.tls = SV("TLSv1.3 TLS_AES_256_GCM_SHA384");
    assert_true(address_parse(SV("user@example.com"), 0, &rcpt, NULL));
    r.rcpt = &rcpt;
    expect_field("all", &r,
                 "Received: from client.example (ptr.example [192.0.2.1])\r\n"
                 "\t(using TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n"
                 "\tby mx.example.com with ESMTPSA id 01ABC\r\n\tfor <user@example.com>;\r\n\t" DATE);
    address_clear(&rcpt);
    r = base();
    assert_true(netaddr_parse_ip(SV("2001:db8::1"), &r.client));
    r.protocol = 0;
    expect_field("IPv6", &r,
                 "Received: from client.example ([IPv6:2001:db8::1])\r\n"
                 "\tby mx.example.com with SMTP id 01ABC;\r\n\t" DATE);
    r = base();
    r.helo = SV("");
    r.uid = 1000;
    expect_field("local", &r, "Received: by mx.example.com (from uid 1000) id 01ABC;\r\n\t" DATE);
    r = base();
    r.client.family = AF_UNSPEC;
    expect_field("no client", &r,
                 "Received: from client.example\r\n\tby mx.example.com with ESMTP id 01ABC;\r\n\t" DATE);
}

static void nothing_can_be_injected(void **state)
{
    struct received r = base();

    (void)state;
    r.helo = SV("a)\r\nBcc: x (");
    r.client_name = strv_make("p\0\\(q", 5);
    r.tls = SV("x) by (\r\n\\");
    expect_field("hostile", &r,
                 "Received: from a\?\?\?Bcc:?x?\? (p\?\?\?q [192.0.2.1])\r\n\t(using x? by \?\?\?\?)\r\n"
                 "\tby mx.example.com with ESMTP id 01ABC;\r\n\t" DATE);
}

static void long_names_are_cut(void **state)
{
    char big[5000];
    struct received r = base();
    struct buf out;

    (void)state;
    memset(big, 'x', sizeof big);
    r.helo = strv_make(big, sizeof big);
    r.client_name = strv_make(big, sizeof big);
    buf_init(&out, 8192);
    received_write(&r, &out);
    assert_true(out.len < 800);
    buf_clear(&out);
}

static void protocols(void **state)
{
    static const struct {
        unsigned flags;
        const char *want;
    } t[] = {
        { 0, "SMTP" },
        { RECEIVED_ESMTP, "ESMTP" },
        { RECEIVED_ESMTP | RECEIVED_TLS, "ESMTPS" },
        { RECEIVED_ESMTP | RECEIVED_AUTH, "ESMTPA" },
        { RECEIVED_ESMTP | RECEIVED_TLS | RECEIVED_AUTH, "ESMTPSA" },
        { RECEIVED_LMTP, "LMTP" },
        { RECEIVED_LMTP | RECEIVED_TLS, "LMTPS" },
        { RECEIVED_ESMTP | RECEIVED_UTF8 | RECEIVED_TLS, "UTF8SMTPS" },
        { RECEIVED_LMTP | RECEIVED_UTF8 | RECEIVED_TLS | RECEIVED_AUTH, "UTF8LMTPSA" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(t); i++)
        assert_string_equal(received_protocol(t[i].flags), t[i].want);
    assert_int_equal(received_count(SV("Received: a\r\nX: b\r\nRECEIVED: c\r\nReceived-SPF: d\r\n")), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms),
        cmocka_unit_test(nothing_can_be_injected),
        cmocka_unit_test(long_names_are_cut),
        cmocka_unit_test(protocols),
    };

    setenv("TZ", "UTC0", 1);
    tzset();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
