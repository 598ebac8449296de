/* test_mx.c - order of hosts and addresses; age of cached answers */
#include "dnsd/cache.h"
#include "dnsd/mx.h"
#include "tests/unit/dnsd/packet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static uint64_t seed = 1;

static uint64_t first(uint64_t n)
{
    (void)n;
    return 0;
}

static uint64_t last(uint64_t n)
{
    return n - 1;
}

static uint64_t repeatable(uint64_t n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (seed >> 33) % n;
}

static struct dns_answer *mx_of(const char *const *records)
{
    struct packet p;
    struct dns_answer *a;

    packet_begin(&p, 0, "x.test", DNS_TYPE_MX);
    for (; *records; records++) {
        struct strv rest = SV(*records), preference;
        uint64_t n;

        strv_cut(&rest, ' ', &preference);
        assert_true(strv_u64(preference, 65535, &n));
        packet_mx(&p, "x.test", (unsigned)n, rest.p, 60);
    }
    a = dns_message_parse(buf_view(&p.b), SV("x.test"), DNS_TYPE_MX);
    packet_end(&p);
    return a;
}

static void orders(void **state)
{
    static const struct {
        const char *name, *records[8];
        enum ipc_dns answer;
        const char *order;
        size_t unusable;
    } cases[] = {
        { "by preference", { "30 c", "10 a", "20 b", NULL }, DNS_OK, "a b c ", 0 },
        { "the same host twice keeps its best", { "30 a", "20 b", "10 a", NULL }, DNS_OK, "a b ", 0 },
        { "null MX", { "0 ", NULL }, DNS_NULLMX, "", 0 },
        { "null MX with a preference", { "10 ", NULL }, DNS_NULLMX, "", 0 },
        { "a dot beside others means nothing", { "0 ", "10 a", NULL }, DNS_OK, "a ", 1 },
        { "no host name", { "5 a/b", "10 b", NULL }, DNS_OK, "b ", 1 },
        { "nothing usable is not `no MX`", { "5 a/b", "6 c;d", NULL }, DNS_OK, "", 2 },
        { "underscore", { "5 a_b.test", NULL }, DNS_OK, "a_b.test ", 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct dns_answer *a = mx_of(cases[i].records);
        struct mx_list l;
        struct buf order;

        buf_init(&order, 4096);
        mx_select(a, last, &l);
        for (size_t k = 0; k < l.n; k++)
            buf_addf(&order, "%s ", l.hosts[k].name);
        if (l.answer != cases[i].answer || strcmp(buf_cstr(&order), cases[i].order) != 0 ||
            l.unusable != cases[i].unusable)
            fail_msg("%s: answer %d, order %s", cases[i].name, l.answer, buf_cstr(&order));
        buf_clear(&order);
        dns_answer_unref(&a);
    }
}

static void equals_are_shuffled(void **state)
{
    static const char *const records[] = { "10 a", "10 b", "10 c", "5 z", NULL };
    struct dns_answer *a = mx_of(records);
    struct mx_list one, two;
    unsigned seen_first[3] = { 0 };

    (void)state;
    mx_select(a, first, &one);
    mx_select(a, last, &two);
    assert_string_equal(one.hosts[0].name, "z");
    assert_string_equal(two.hosts[0].name, "z");
    assert_string_not_equal(one.hosts[1].name, two.hosts[1].name);
    for (int i = 0; i < 60; i++) {
        mx_select(a, repeatable, &one);
        seen_first[one.hosts[1].name[0] - 'a']++;
    }
    assert_true(seen_first[0] && seen_first[1] && seen_first[2]);
    dns_answer_unref(&a);
}

static void best_hosts_of_many(void **state)
{
    struct packet p;
    struct dns_answer *a;
    struct mx_list l;
    char host[32];

    (void)state;
    packet_begin(&p, 0, "x.test", DNS_TYPE_MX);
    for (unsigned i = 120; i > 0; i--) {
        snprintf(host, sizeof host, "mx%u.test", i);
        packet_mx(&p, "x.test", i, host, 60);
    }
    a = dns_message_parse(buf_view(&p.b), SV("x.test"), DNS_TYPE_MX);
    mx_select(a, last, &l);
    assert_int_equal(l.n, DNS_HOSTS_MAX);
    for (unsigned i = 0; i < DNS_HOSTS_MAX; i++)
        assert_int_equal(l.hosts[i].preference, i + 1);
    dns_answer_unref(&a);
    packet_end(&p);
}

static struct dns_answer *addresses(uint16_t type, unsigned n)
{
    struct packet p;
    struct dns_answer *a;
    char ip[64];

    packet_begin(&p, 0, "h.test", type);
    for (unsigned i = 0; i < n; i++) {
        snprintf(ip, sizeof ip, type == DNS_TYPE_A ? "192.0.2.%u" : "2001:db8::%u", i + 1);
        packet_a(&p, "h.test", ip, 60);
    }
    a = dns_message_parse(buf_view(&p.b), SV("h.test"), type);
    packet_end(&p);
    return a;
}

static void families_are_interleaved(void **state)
{
    static const struct {
        const char *name;
        unsigned six, four;
        size_t max;
        const char *families;
    } cases[] = {
        { "both", 2, 2, 9, "6464" },  { "more v4", 1, 3, 9, "6444" }, { "more v6", 3, 1, 9, "6466" },
        { "v6 only", 2, 0, 9, "66" }, { "v4 only", 0, 2, 9, "44" },   { "room for three", 2, 2, 3, "646" },
        { "none", 0, 0, 9, "" },      { "no room", 2, 2, 0, "" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct dns_answer *six = addresses(DNS_TYPE_AAAA, cases[i].six);
        struct dns_answer *four = addresses(DNS_TYPE_A, cases[i].four);
        struct netaddr out[9];
        enum ipc_dns status;
        size_t n = mx_addresses(six, four, last, cases[i].max, out, &status);

        if (n != strlen(cases[i].families))
            fail_msg("%s: %zu addresses", cases[i].name, n);
        for (size_t k = 0; k < n; k++)
            if ((out[k].family == AF_INET6) != (cases[i].families[k] == '6'))
                fail_msg("%s: family of address %zu", cases[i].name, k);
        dns_answer_unref(&six);
        dns_answer_unref(&four);
    }
}

/* An IPv6 record that names an IPv4 host must not get past `family = ipv6`. */
static void mapped_addresses_are_of_the_other_family(void **state)
{
    struct packet p;
    struct dns_answer *a;
    struct netaddr out[2];
    enum ipc_dns status;
    char text[NETADDR_TEXT];

    (void)state;
    packet_begin(&p, 0, "h.test", DNS_TYPE_AAAA);
    packet_a(&p, "h.test", "::ffff:192.0.2.7", 60);
    a = dns_message_parse(buf_view(&p.b), SV("h.test"), DNS_TYPE_AAAA);
    assert_int_equal(mx_addresses(a, NULL, last, 2, out, &status), 1);
    assert_int_equal(out[0].family, AF_INET);
    netaddr_ip_text(&out[0], text, sizeof text);
    assert_string_equal(text, "192.0.2.7");
    dns_answer_unref(&a);
    packet_end(&p);
}

static void why_there_is_no_address(void **state)
{
    struct dns_answer *nx = dns_answer_status(DNS_NXDOMAIN, 5), *no = dns_answer_status(DNS_NODATA, 5);
    struct dns_answer *temp = dns_answer_temp("t");
    const struct {
        struct dns_answer *six, *four;
        enum ipc_dns status;
    } cases[] = {
        { no, no, DNS_NODATA },     { nx, nx, DNS_NXDOMAIN },   { temp, no, DNS_TEMPFAIL },
        { no, temp, DNS_TEMPFAIL }, { temp, nx, DNS_TEMPFAIL }, { nx, temp, DNS_TEMPFAIL },
        { NULL, no, DNS_NODATA },   { nx, NULL, DNS_NXDOMAIN },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct netaddr out[2];
        enum ipc_dns status;

        assert_int_equal(mx_addresses(cases[i].six, cases[i].four, last, 2, out, &status), 0);
        assert_int_equal(status, cases[i].status);
    }
    dns_answer_unref(&nx);
    dns_answer_unref(&no);
    dns_answer_unref(&temp);
}

static void cache_ages(void **state)
{
    static const struct {
        const char *name;
        enum ipc_dns status;
        uint32_t ttl;
        int64_t lives, dead;
    } cases[] = {
        { "ttl 0 serves one batch", DNS_OK, 0, 4999, 5000 },
        { "ttl as said", DNS_OK, 60, 59999, 60000 },
        { "a year is an hour", DNS_OK, 31536000, 3599999, 3600000 },
        { "could not tell is short", DNS_TEMPFAIL, 3600, 4999, 5000 },
        { "denial by its SOA", DNS_NXDOMAIN, 30, 29999, 30000 },
        { "denial is bounded", DNS_NODATA, 86400, 299999, 300000 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cache *c = cache_new(10);
        struct dns_answer *a = dns_answer_status(cases[i].status, cases[i].ttl), *got;

        cache_put(c, SV("x.test"), DNS_TYPE_A, a, 1000);
        got = cache_get(c, SV("x.test"), DNS_TYPE_A, 1000 + cases[i].lives);
        if (got != a)
            fail_msg("%s: forgotten too early", cases[i].name);
        dns_answer_unref(&got);
        assert_null(cache_get(c, SV("x.test"), DNS_TYPE_AAAA, 1000));
        if (cache_get(c, SV("x.test"), DNS_TYPE_A, 1000 + cases[i].dead))
            fail_msg("%s: kept too long", cases[i].name);
        assert_int_equal(cache_count(c), 0);
        dns_answer_unref(&a);
        cache_free(&c);
    }
}

static void cache_is_bounded(void **state)
{
    struct cache *c = cache_new(3);
    struct dns_answer *a = dns_answer_status(DNS_OK, 60), *got;
    static const char *const names[] = { "a", "b", "c" };

    (void)state;
    for (size_t i = 0; i < 3; i++)
        cache_put(c, SV(names[i]), 1, a, 0);
    got = cache_get(c, SV("a"), 1, 1); /* now the youngest */
    dns_answer_unref(&got);
    cache_put(c, SV("d"), 1, a, 1);
    assert_int_equal(cache_count(c), 3);
    assert_null(cache_get(c, SV("b"), 1, 1));
    got = cache_get(c, SV("a"), 1, 1);
    assert_non_null(got);
    dns_answer_unref(&got);
    cache_put(c, SV("a"), 1, a, 2); /* replaced, not added */
    assert_int_equal(cache_count(c), 3);
    cache_free(&c);
    assert_int_equal(a->refs, 1);
    dns_answer_unref(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders),
        cmocka_unit_test(equals_are_shuffled),
        cmocka_unit_test(best_hosts_of_many),
        cmocka_unit_test(families_are_interleaved),
        cmocka_unit_test(mapped_addresses_are_of_the_other_family),
        cmocka_unit_test(why_there_is_no_address),
        cmocka_unit_test(cache_ages),
        cmocka_unit_test(cache_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
