/* test_message.c - DNS answers: what they say, and what nobody may make us believe */
#include "common/base/wire.h"
#include "dnsd/message.h"
#include "tests/unit/dnsd/packet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static struct dns_answer *parse(struct packet *p, const char *name, uint16_t type)
{
    return dns_message_parse(buf_view(&p->b), SV(name), type);
}

static void expect(struct packet *p, const char *what, const char *name, uint16_t type, enum ipc_dns status,
                   const char *first)
{
    struct dns_answer *a = parse(p, name, type);

    if (a->status != status)
        fail_msg("%s: status %d (%s), not %d", what, a->status, a->why, status);
    if (first && (a->count == 0 || !strv_is(a->records[0].data, first)))
        fail_msg("%s: first record is not %s", what, first);
    if (status == DNS_TEMPFAIL && !*a->why)
        fail_msg("%s: no reason", what);
    dns_answer_unref(&a);
    packet_end(p);
}

static void well_formed(void **state)
{
    struct packet p;
    struct dns_answer *a;

    (void)state;
    packet_begin(&p, 0x20, "X.test", DNS_TYPE_MX);
    packet_mx(&p, "x.TEST", 10, "MX1.x.test", 300);
    packet_mx(&p, "x.test", 20, "mx2.x.test", 100);
    a = parse(&p, "x.test", DNS_TYPE_MX);
    assert_int_equal(a->status, DNS_OK);
    assert_int_equal(a->count, 2);
    assert_int_equal(a->ttl, 100);
    assert_true(a->authentic);
    assert_true(strv_is(a->records[0].data, "mx1.x.test"));
    assert_int_equal(a->records[1].preference, 20);
    dns_answer_unref(&a);
    packet_end(&p);

    packet_begin(&p, 0, "x.test", DNS_TYPE_MX);
    packet_mx(&p, "x.test", 0, "", 300);
    expect(&p, "null MX", "x.test", DNS_TYPE_MX, DNS_OK, "");

    packet_begin(&p, 0, "x.test", DNS_TYPE_TXT);
    packet_record(&p, 1, "x.test", DNS_TYPE_TXT, 5);
    buf_add(&p.b, "\3abc\2de", 7);
    packet_data_end(&p);
    expect(&p, "strings are joined", "x.test", DNS_TYPE_TXT, DNS_OK, "abcde");

    packet_begin(&p, 0, "s.test", DNS_TYPE_SRV);
    packet_record(&p, 1, "s.test", DNS_TYPE_SRV, 5);
    wr_u16(&p.b, 1);
    wr_u16(&p.b, 2);
    wr_u16(&p.b, 465);
    packet_name(&p, "h.test");
    packet_data_end(&p);
    expect(&p, "SRV", "s.test", DNS_TYPE_SRV, DNS_OK, "1 2 465 h.test");

    packet_begin(&p, 0, "1.0.0.127.in-addr.arpa", DNS_TYPE_PTR);
    packet_host(&p, "1.0.0.127.in-addr.arpa", DNS_TYPE_CNAME, "1.0/25.0.0.127.in-addr.arpa", 5);
    packet_host(&p, "1.0/25.0.0.127.in-addr.arpa", DNS_TYPE_PTR, "h.test", 5);
    expect(&p, "RFC 2317 delegation", "1.0.0.127.in-addr.arpa", DNS_TYPE_PTR, DNS_OK, "h.test");
}

static void denials(void **state)
{
    struct packet p;
    struct dns_answer *a;

    (void)state;
    packet_begin(&p, 3, "no.test", DNS_TYPE_MX);
    packet_soa(&p, "test", 900, 30);
    a = parse(&p, "no.test", DNS_TYPE_MX);
    assert_int_equal(a->status, DNS_NXDOMAIN);
    assert_int_equal(a->ttl, 30);
    dns_answer_unref(&a);
    packet_end(&p);

    packet_begin(&p, 0, "no.test", DNS_TYPE_MX);
    expect(&p, "no data without SOA", "no.test", DNS_TYPE_MX, DNS_NODATA, NULL);
    packet_begin(&p, 3, "alias.test", DNS_TYPE_MX);
    packet_host(&p, "alias.test", DNS_TYPE_CNAME, "gone.test", 5);
    expect(&p, "dangling CNAME is NXDOMAIN", "alias.test", DNS_TYPE_MX, DNS_NXDOMAIN, NULL);

    packet_begin(&p, 0, "x.test", DNS_TYPE_MX);
    packet_record(&p, 2, "test", DNS_TYPE_NS, 5);
    packet_name(&p, "ns.test");
    packet_data_end(&p);
    expect(&p, "a referral is no denial", "x.test", DNS_TYPE_MX, DNS_TEMPFAIL, NULL);

    for (unsigned rcode = 1; rcode < 16; rcode++)
        if (rcode != 3) {
            packet_begin(&p, rcode, "x.test", DNS_TYPE_MX);
            a = parse(&p, "x.test", DNS_TYPE_MX);
            assert_int_equal(a->status, DNS_TEMPFAIL);
            assert_true(a->other_server);
            dns_answer_unref(&a);
            packet_end(&p);
        }
}

static void chains(void **state)
{
    struct packet p;
    struct dns_answer *a;
    char from[32], to[32];

    (void)state;
    packet_begin(&p, 0, "a.test", DNS_TYPE_MX);
    packet_mx(&p, "b.test", 5, "mx.b.test", 300); /* out of order */
    packet_host(&p, "a.test", DNS_TYPE_CNAME, "b.test", 60);
    a = parse(&p, "a.test", DNS_TYPE_MX);
    assert_int_equal(a->status, DNS_OK);
    assert_int_equal(a->ttl, 60);
    assert_int_equal(a->hops, 1);
    dns_answer_unref(&a);
    packet_end(&p);

    packet_begin(&p, 0, "a.test", DNS_TYPE_MX);
    packet_host(&p, "a.test", DNS_TYPE_CNAME, "b.other", 60);
    a = parse(&p, "a.test", DNS_TYPE_MX);
    assert_int_equal(a->status, DNS_NODATA);
    assert_true(strv_is(a->chain, "b.other"));
    dns_answer_unref(&a);
    packet_end(&p);

    packet_begin(&p, 0, "a.test", DNS_TYPE_MX);
    packet_host(&p, "a.test", DNS_TYPE_CNAME, "b.test", 60);
    packet_host(&p, "b.test", DNS_TYPE_CNAME, "a.test", 60);
    expect(&p, "a loop of CNAMEs", "a.test", DNS_TYPE_MX, DNS_TEMPFAIL, NULL);

    for (unsigned n = DNS_CHAIN_MAX; n <= DNS_CHAIN_MAX + 1; n++) {
        packet_begin(&p, 0, "c0.test", DNS_TYPE_A);
        for (unsigned i = 0; i < n; i++) {
            snprintf(from, sizeof from, "c%u.test", i);
            snprintf(to, sizeof to, "c%u.test", i + 1);
            packet_host(&p, from, DNS_TYPE_CNAME, to, 60);
        }
        packet_a(&p, to, "192.0.2.1", 60);
        expect(&p, "length of a chain", "c0.test", DNS_TYPE_A, n > DNS_CHAIN_MAX ? DNS_TEMPFAIL : DNS_OK,
               NULL);
    }
}

/* INCIDENTS 13 (CVE-2021-3672, CVE-2023-42219): bytes in names that become something else in text. */
static void odd_names(void **state)
{
    static const struct {
        const char *name;
        struct strv label;
    } cases[] = {
        { "NUL", SV_LIT("a\0b") },    { "dot inside a label", SV_LIT("a.b") },
        { "blank", SV_LIT("a b") },   { "newline", SV_LIT("a\nb") },
        { "CR", SV_LIT("a\rb") },     { "backslash", SV_LIT("a\\000b") },
        { "8-bit", SV_LIT("a\xff") }, { "delete", SV_LIT("a\x7f") },
        { "quote", SV_LIT("a\"b") },  { "angle", SV_LIT("a<b") },
        { "at", SV_LIT("a@b") },      { "comment", SV_LIT("a(b") },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static const uint16_t types[] = { DNS_TYPE_MX, DNS_TYPE_PTR };

        for (size_t t = 0; t < 2; t++) {
            struct packet p;
            struct dns_answer *a;

            packet_begin(&p, 0, "x.test", types[t]);
            packet_record(&p, 1, "x.test", types[t], 5);
            if (types[t] == DNS_TYPE_MX)
                wr_u16(&p.b, 10);
            wr_u8(&p.b, (uint8_t)cases[i].label.n);
            buf_addv(&p.b, cases[i].label);
            packet_name(&p, "test");
            packet_data_end(&p);
            a = parse(&p, "x.test", types[t]);
            if (a->status != DNS_OK || a->count != 1 || !a->records[0].odd || a->records[0].data.n != 0)
                fail_msg("%s: taken as a name", cases[i].name);
            dns_answer_unref(&a);
            packet_end(&p);
        }
    }
}

/* INCIDENTS 12: each type we use, cut at each length, both honest about it and not. */
static void truncated_at_each_byte(void **state)
{
    static const uint16_t types[] = { DNS_TYPE_A,     DNS_TYPE_AAAA, DNS_TYPE_MX,  DNS_TYPE_PTR,
                                      DNS_TYPE_CNAME, DNS_TYPE_TXT,  DNS_TYPE_SRV, DNS_TYPE_TLSA };

    (void)state;
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        for (size_t rdlen = 0; rdlen < 24; rdlen++) {
            static const char rdata[24] = "\0\1\0\1\3abc\3def\4test\0xxxxx";
            struct packet p;

            packet_begin(&p, 0, "x.test", types[t]);
            packet_record(&p, 1, "x.test", types[t], 5);
            buf_add(&p.b, rdata, rdlen);
            packet_data_end(&p);
            for (size_t cut = 0; cut <= p.b.len; cut++) {
                char *copy = malloc(cut ? cut : 1);
                struct dns_answer *a;

                memcpy(copy, p.b.data, cut);
                a = dns_message_parse(strv_make(copy, cut), SV_LIT("x.test"), types[t]);
                if (cut < p.b.len && a->status != DNS_TEMPFAIL)
                    fail_msg("type %u, cut at %zu: status %d", types[t], cut, a->status);
                dns_answer_unref(&a);
                free(copy);
            }
            packet_end(&p);
        }
    }
}

/* RFC 9267: pointers forward, to themselves, in circles, into the header; counts that lie. */
static void hostile_compression(void **state)
{
    static const struct {
        const char *name;
        struct strv bytes;
    } cases[] = {
        { "to itself", SV_LIT("\xc0\x1c") },
        { "forward", SV_LIT("\xc0\x40") },
        { "into the header", SV_LIT("\xc0\x02") },
        { "half a pointer", SV_LIT("\xc0") },
        { "reserved label type", SV_LIT("\x80x") },
        { "label past the end", SV_LIT("\x3fx") },
        { "loop through a label", SV_LIT("\1a\xc0\x1c") },
    };
    struct packet p;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        packet_begin(&p, 0, "x.test", DNS_TYPE_MX);
        assert_int_equal(p.b.len, 24);
        p.b.data[7] = 1;
        buf_addv(&p.b, cases[i].bytes);
        buf_add(&p.b, "\0\x0f\0\1\0\0\0\5\0\4\0\1\1a", 14);
        expect(&p, cases[i].name, "x.test", DNS_TYPE_MX, DNS_TEMPFAIL, NULL);
    }
    packet_begin(&p, 0, "x.test", DNS_TYPE_A);
    packet_a(&p, "x.test", "192.0.2.1", 5);
    p.b.data[6] = (char)0xff;
    expect(&p, "count that lies", "x.test", DNS_TYPE_A, DNS_TEMPFAIL, NULL);

    packet_begin(&p, 0, "y.test", DNS_TYPE_A);
    packet_a(&p, "x.test", "192.0.2.1", 5);
    expect(&p, "answer to another question", "x.test", DNS_TYPE_A, DNS_TEMPFAIL, NULL);
    packet_begin(&p, 0, "x.test", DNS_TYPE_A);
    p.b.data[2] = 1;
    expect(&p, "a query is no answer", "x.test", DNS_TYPE_A, DNS_TEMPFAIL, NULL);
    packet_begin(&p, 0x200, "x.test", DNS_TYPE_A);
    expect(&p, "truncated", "x.test", DNS_TYPE_A, DNS_TEMPFAIL, NULL);
    packet_begin(&p, 0, "x.test", DNS_TYPE_A);
    packet_a(&p, "z.test", "192.0.2.1", 5);
    expect(&p, "another owner's record", "x.test", DNS_TYPE_A, DNS_NODATA, NULL);
}

static void many_records(void **state)
{
    struct packet p;
    struct dns_answer *a;

    (void)state;
    packet_begin(&p, 0, "x.test", DNS_TYPE_A);
    for (int i = 0; i < DNS_RECORDS_MAX + 50; i++)
        packet_a(&p, "x.test", "192.0.2.1", 5);
    a = parse(&p, "x.test", DNS_TYPE_A);
    assert_int_equal(a->status, DNS_OK);
    assert_int_equal(a->count, DNS_RECORDS_MAX);
    dns_answer_unref(&a);
    packet_end(&p);
}

static void names(void **state)
{
    static const struct {
        const char *in;
        bool ok;
        const char *out;
    } cases[] = {
        { "X.Test", true, "x.test" }, { "x.test.", true, "x.test" },
        { "", false, NULL },          { ".", false, NULL },
        { "a..b", false, NULL },      { ".a", false, NULL },
        { "a b", false, NULL },       { "a\\.b", false, NULL },
        { "x.test..", false, NULL },  { "0/25.2.0.192.in-addr.arpa", true, "0/25.2.0.192.in-addr.arpa" },
    };
    char dst[DNS_NAME_MAX + 1], label[80], long_name[300];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool ok = dns_name_normal(SV(cases[i].in), dst);

        if (ok != cases[i].ok || (ok && !strv_is(SV(dst), cases[i].out)))
            fail_msg("name %s", cases[i].in);
    }
    memset(label, 'a', sizeof label);
    assert_true(dns_name_normal(strv_make(label, 63), dst));
    assert_false(dns_name_normal(strv_make(label, 64), dst));
    for (size_t i = 0; i < sizeof long_name; i++)
        long_name[i] = i % 2 ? '.' : 'a';
    assert_true(dns_name_normal(strv_make(long_name, 253), dst));
    assert_false(dns_name_normal(strv_make(long_name, 255), dst));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(well_formed),
        cmocka_unit_test(denials),
        cmocka_unit_test(chains),
        cmocka_unit_test(odd_names),
        cmocka_unit_test(truncated_at_each_byte),
        cmocka_unit_test(hostile_compression),
        cmocka_unit_test(many_records),
        cmocka_unit_test(names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
