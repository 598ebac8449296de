/* test_route.c - routes, targets, loops, what is remembered of trouble, bodies */
#include "common/base/mem.h"
#include "conf/conf.h"
#include "conf/route.h"
#include "deliverd/body.h"
#include "deliverd/route.h"
#include "deliverd/trouble.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

static struct conf *load(const char *text)
{
    struct conf_errors errs = { 0 };
    struct conf *conf = NULL;

    conf_errors_init(&errs);
    if (!conf_parse_text(SV(text), "test", ROLE_DELIVERD, &conf, &errs)) {
        struct buf b;

        buf_init(&b, 10000);
        conf_errors_text(&errs, &b);
        fail_msg("%s", buf_cstr(&b));
    }
    conf_errors_clear(&errs);
    return conf;
}

static const char routes_text[] = "hostname = own.test\n"
                                  "route default { port = 26 }\n"
                                  "route smart.test { via = \"relay.test:587\" }\n"
                                  "route .sub.test { via = \"192.0.2.9\" family = ipv4 port = 27 }\n"
                                  "route six.test { family = ipv6 }\n";

static void route_cases(void **state)
{
    static const struct {
        const char *dest;
        bool ok;
        enum route_kind kind;
        const char *host; /* or address with port */
        unsigned port;
        enum ipc_family family;
    } cases[] = {
        { "x.test", true, ROUTE_MX, "x.test", 26, FAMILY_ANY },
        { "smart.test", true, ROUTE_HOST, "relay.test", 587, FAMILY_ANY },
        { "a.sub.test", true, ROUTE_ADDRESS, "192.0.2.9:27", 27, FAMILY_IPV4 },
        { "sub.test", true, ROUTE_MX, "sub.test", 26, FAMILY_ANY },
        { "six.test", true, ROUTE_MX, "six.test", 25, FAMILY_IPV6 },
        { "[192.0.2.1]", true, ROUTE_ADDRESS, "192.0.2.1:26", 26, FAMILY_ANY },
        { "[IPv6:2001:db8::1]", true, ROUTE_ADDRESS, "[2001:db8::1]:26", 26, FAMILY_ANY },
        { "[IPv6:::ffff:192.0.2.1]", true, ROUTE_ADDRESS, "192.0.2.1:26", 26, FAMILY_ANY },
        { "[224.0.0.1]", false, ROUTE_MX, NULL, 0, FAMILY_ANY },
        { "[IPv6:ff02::1]", false, ROUTE_MX, NULL, 0, FAMILY_ANY },
        { "[tag:x]", false, ROUTE_MX, NULL, 0, FAMILY_ANY },
    };
    struct conf *conf = load(routes_text);

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct route r;
        struct err err = { 0 };
        char text[NETADDR_TEXT] = "";
        bool ok = route_find(conf, SV(cases[i].dest), &r, &err);

        if (ok != cases[i].ok)
            fail_msg("%s: %s", cases[i].dest, err.text);
        if (!ok)
            continue;
        if (r.kind == ROUTE_ADDRESS)
            netaddr_text(&r.addr, text, sizeof text);
        if (r.kind != cases[i].kind || r.port != cases[i].port || r.family != cases[i].family ||
            !strv_is(r.kind == ROUTE_ADDRESS ? SV(text) : r.host, cases[i].host))
            fail_msg("%s: kind %d, %s, port %u", cases[i].dest, r.kind, text, r.port);
    }
    conf_free(&conf);
}

/* ---- targets ---- */

static struct netaddr addr(const char *ip, uint16_t port)
{
    struct netaddr a;

    assert_true(netaddr_parse_ip(SV(ip), &a));
    a.port = port;
    return a;
}

struct host_case {
    const char *name;
    unsigned preference;
    const char *ips[4];
    enum ipc_dns answer;
};

static const struct {
    const char *name;
    struct host_case hosts[4];
    enum ipc_family family;
    enum targets_answer answer;
    const char *order;
} target_cases[] = {
    { "in order",
      { { "a", 10, { "192.0.2.1", "2001:db8::1" }, DNS_OK }, { "b", 20, { "192.0.2.2" }, DNS_OK } },
      FAMILY_ANY,
      TARGETS_OK,
      "a[192.0.2.1]:25 a[2001:db8::1]:25 b[192.0.2.2]:25 " },
    { "we are the best",
      { { "own.test", 10, { "192.0.2.1" }, DNS_OK }, { "b", 20, { "192.0.2.2" }, DNS_OK } },
      FAMILY_ANY,
      TARGETS_LOOP,
      "" },
    { "we are the backup",
      { { "a", 10, { "192.0.2.1" }, DNS_OK },
        { "OWN.test", 20, { "192.0.2.2" }, DNS_OK },
        { "c", 20, { "192.0.2.3" }, DNS_OK },
        { "d", 30, { "192.0.2.4" }, DNS_OK } },
      FAMILY_ANY,
      TARGETS_OK,
      "a[192.0.2.1]:25 " },
    { "we by address",
      { { "a", 10, { "192.0.2.1" }, DNS_OK }, { "other", 20, { "192.0.2.99" }, DNS_OK } },
      FAMILY_ANY,
      TARGETS_OK,
      "a[192.0.2.1]:25 " },
    { "only we by address", { { "other", 10, { "192.0.2.99" }, DNS_OK } }, FAMILY_ANY, TARGETS_LOOP, "" },
    { "best has no address",
      { { "a", 10, { NULL }, DNS_NXDOMAIN }, { "b", 20, { "192.0.2.2" }, DNS_OK } },
      FAMILY_ANY,
      TARGETS_OK,
      "b[192.0.2.2]:25 " },
    { "none has",
      { { "a", 10, { NULL }, DNS_NXDOMAIN }, { "b", 20, { NULL }, DNS_NODATA } },
      FAMILY_ANY,
      TARGETS_NONE,
      "" },
    { "none has for now",
      { { "a", 10, { NULL }, DNS_NXDOMAIN }, { "b", 20, { NULL }, DNS_TEMPFAIL } },
      FAMILY_ANY,
      TARGETS_NONE_TEMP,
      "" },
    { "no hosts at all", { { NULL, 0, { NULL }, DNS_OK } }, FAMILY_ANY, TARGETS_NONE, "" },
    { "one family",
      { { "a", 10, { "192.0.2.1", "2001:db8::1" }, DNS_OK } },
      FAMILY_IPV6,
      TARGETS_OK,
      "a[2001:db8::1]:25 " },
    { "addresses that no host has",
      { { "a", 10, { "224.0.0.1", "255.255.255.255", "ff02::1", "240.0.0.1" }, DNS_OK },
        { "b", 20, { "192.0.2.2", "0.0.0.0", "::" }, DNS_OK } },
      FAMILY_ANY,
      TARGETS_OK,
      "b[192.0.2.2]:25 " },
    { "none of the family", { { "a", 10, { "192.0.2.1" }, DNS_OK } }, FAMILY_IPV6, TARGETS_NONE_FAMILY, "" },
};

/* What reaches ourselves, with one listener at all IPv4 addresses and one at a loopback address. */
static void own_by_any_name(void **state)
{
    static const struct {
        const char *ip;
        uint16_t port;
        bool own;
    } cases[] = {
        { "192.0.2.99", 25, true },
        { "127.0.0.1", 25, true },
        { "127.0.0.2", 25, true },
        { "127.255.0.9", 25, true },
        { "0.0.0.0", 25, true },
        { "0.1.2.3", 25, true },
        { "::ffff:127.0.0.1", 25, true },
        { "::ffff:192.0.2.99", 25, true },
        { "::ffff:0.0.0.0", 25, true },
        { "192.0.2.98", 25, false },
        { "::1", 25, false },
        { "::", 25, false },
        { "127.0.0.2", 26, false },
        { "127.0.0.1", 587, true },
        { "0.0.0.0", 587, true },
        { "127.0.0.2", 587, false },
        { "::1", 2525, true },
        { "::", 2525, true },
        { "2001:db8::1", 2525, false },
        { "127.0.0.1", 2525, false },
    };
    struct netaddr own_v[] = { addr("0.0.0.0", 25), addr("192.0.2.99", 25), addr("127.0.0.1", 587),
                               addr("::", 2525) };
    struct own_addresses own = { own_v, 4 };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct netaddr a = addr(cases[i].ip, cases[i].port);

        if (own_addresses_have(&own, &a) != cases[i].own)
            fail_msg("%s port %u", cases[i].ip, cases[i].port);
    }
}

/* Connections to one destination add up over the processes. */
static void shares_of_connections(void **state)
{
    static const struct {
        unsigned max, share[3];
    } cases[] = { { 20, { 7, 7, 6 } }, { 3, { 1, 1, 1 } }, { 4, { 2, 1, 1 } }, { 2, { 2, 2, 2 } } };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[200];
        struct conf *conf;

        snprintf(text, sizeof text,
                 "hostname = own.test\nroute default { max_connections = %u }\nprocesses { deliverd = 3 }\n",
                 cases[i].max);
        conf = load(text);
        for (unsigned k = 0; k < 6; k++)
            assert_int_equal(route_share(conf, conf_route_for(conf, SV_LIT("x.test")), k),
                             cases[i].share[k % 3]);
        conf_free(&conf);
    }
}

static void target_list(void **state)
{
    struct netaddr own_v[] = { addr("192.0.2.99", 25), addr("192.0.2.1", 587) };
    struct own_addresses own = { own_v, 2 };

    (void)state;
    for (size_t i = 0; i < sizeof target_cases / sizeof *target_cases; i++) {
        struct netaddr space[4][4];
        struct dns_host hosts[4];
        struct dns_hosts answer = { .answer = DNS_OK, .hosts = hosts };
        struct route r = { .kind = ROUTE_MX, .port = 25, .family = target_cases[i].family };
        struct targets t;
        enum targets_answer got;
        struct buf order;

        for (size_t h = 0; h < 4 && target_cases[i].hosts[h].name; h++) {
            const struct host_case *c = &target_cases[i].hosts[h];

            hosts[h] = (struct dns_host){ .name = SV(c->name),
                                          .preference = (uint16_t)c->preference,
                                          .answer = c->answer,
                                          .addrs = space[h] };
            for (size_t k = 0; k < 4 && c->ips[k]; k++)
                space[h][hosts[h].addr_n++] = addr(c->ips[k], 0);
            answer.host_n++;
        }
        got = targets_make(&answer, &r, SV("own.test"), &own, &t);
        buf_init(&order, 1000);
        for (size_t k = 0; k < t.n; k++) {
            target_text(&t.v[k], &order);
            buf_adds(&order, " ");
        }
        if (got != target_cases[i].answer || strcmp(buf_cstr(&order), target_cases[i].order) != 0)
            fail_msg("%s: answer %d, %s", target_cases[i].name, got, buf_cstr(&order));
        buf_clear(&order);
        targets_clear(&t);
    }
}

/* ---- order and trouble ---- */

static bool is_bad(void *arg, const struct netaddr *a)
{
    return trouble_has_address(arg, a, NULL, 1000);
}

static void trouble_is_tried_last(void **state)
{
    static const char host_a[] = "a", host_b[] = "b";
    struct target v[] = {
        { .host = host_a, .addr = addr("2001:db8::1", 25) },
        { .host = host_a, .addr = addr("192.0.2.1", 25) },
        { .host = host_b, .addr = addr("2001:db8::2", 25) },
        { .host = host_b, .addr = addr("192.0.2.2", 25) },
    };
    struct targets t = { v, 4, NULL };
    struct trouble *tr = trouble_new();
    struct netaddr other_port = addr("192.0.2.1", 26);

    (void)state;
    trouble_address(tr, &v[1].addr, NULL, 0);
    assert_false(trouble_has_address(tr, &other_port, NULL, 1000));
    targets_sort(&t, is_bad, tr, false);
    assert_int_equal(v[3].addr.ip[3], 1); /* the bad one */
    assert_true(v[3].bad && !v[0].bad && !v[1].bad && !v[2].bad);
    assert_true(trouble_has_address(tr, &v[3].addr, NULL, TROUBLE_ADDRESS_MS - 1));
    assert_false(trouble_has_address(tr, &v[3].addr, NULL, TROUBLE_ADDRESS_MS));
    trouble_address(tr, &v[3].addr, NULL, 0);
    trouble_address_over(tr, &v[3].addr, NULL);
    assert_false(trouble_has_address(tr, &v[3].addr, NULL, 1));

    trouble_v6(tr, NULL, 0);
    assert_true(trouble_has_v6(tr, NULL, TROUBLE_FAMILY_MS - 1));
    assert_false(trouble_has_v6(tr, NULL, TROUBLE_FAMILY_MS));
    trouble_v6(tr, NULL, 0);
    trouble_v6_over(tr, NULL);
    assert_false(trouble_has_v6(tr, NULL, 1));
    for (unsigned i = 0; i < TROUBLE_MAX + 100; i++) {
        struct netaddr a = addr("10.0.0.0", 25);

        a.ip[2] = (uint8_t)(i >> 8);
        a.ip[3] = (uint8_t)i;
        trouble_address(tr, &a, NULL, i);
    }
    trouble_free(&tr);
}

/* What one address of ours did not reach may be there for another one. */
static void trouble_is_of_a_source(void **state)
{
    struct netaddr to = addr("192.0.2.1", 25), one = addr("198.51.100.1", 0), two = addr("198.51.100.2", 0);
    struct netaddr six = addr("2001:db8::1", 0);
    struct trouble *tr = trouble_new();

    (void)state;
    trouble_address(tr, &to, &one, 0);
    assert_true(trouble_has_address(tr, &to, &one, 1));
    assert_false(trouble_has_address(tr, &to, &two, 1));
    assert_false(trouble_has_address(tr, &to, NULL, 1));
    trouble_address_over(tr, &to, NULL);
    trouble_address_over(tr, &to, &two);
    assert_true(trouble_has_address(tr, &to, &one, 1));
    trouble_address_over(tr, &to, &one);
    assert_false(trouble_has_address(tr, &to, &one, 1));

    trouble_v6(tr, &six, 0);
    assert_true(trouble_has_v6(tr, &six, 1));
    assert_false(trouble_has_v6(tr, NULL, 1));
    trouble_v6_over(tr, NULL);
    assert_true(trouble_has_v6(tr, &six, 1));
    trouble_v6_over(tr, &six);
    assert_false(trouble_has_v6(tr, &six, 1));
    trouble_free(&tr);
}

/* Targets "6a 4b 4c/20": family, name, preference (10); "!": bad. Every one is silent: who is started when.
 */
static const struct {
    const char *name, *targets;
    bool v6_bad;
    const char *starts;
} stagger_cases[] = {
    { "one", "4a", false, "a0 " },
    { "v4", "4a 4b 4c 4d", false, "a0 b5000 c10000 " },
    { "v6 then v4 of one host", "6a 4b", false, "a0 b1000 " },
    { "both families twice", "6a 4b 6c 4d", false, "a0 b1000 c6000 " },
    { "two hosts without IPv4 first", "6a 6b 4c", false, "a0 c1000 b6000 " },
    { "three hosts without IPv4 first", "6a/10 6b/20 6c/30 4d/40", false, "a0 d1000 b6000 " },
    { "IPv6 only", "6a 6b 6c 6d", false, "a0 b5000 c10000 " },
    { "the bad one is behind its equals", "!4a 4b", false, "b0 a5000 " },
    { "but before worse ones", "!4a/10 4b/20 4c/20", false, "a0 b300 c5300 " },
    { "all are bad", "!4a/10 !4b/20 !4c/30", false, "a0 b300 c600 " },
    { "IPv6 is bad", "6a 4b 6c 4d", true, "b0 d5000 a6000 " },
    { "IPv6 is bad and better", "6a/10 6b/20 4c/30", true, "a0 c300 b5300 " },
};

static bool is_marked(void *arg, const struct netaddr *a)
{
    (void)arg;
    return a->port == 1;
}

static void who_is_started_when(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof stagger_cases / sizeof *stagger_cases; i++) {
        struct strv rest = SV(stagger_cases[i].targets), word;
        struct target v[8] = { { .host = NULL } }, *next;
        struct targets t = { v, 0, NULL };
        int64_t now = 0, ms;
        struct buf got;

        while (strv_word(&rest, &word)) {
            bool bad = word.p[0] == '!';
            const char *p = word.p + bad;
            uint64_t preference = 10;

            if (p[2] == '/')
                assert_true(strv_u64(strv_make(p + 3, 2), 99, &preference));
            v[t.n].host = p + 1;
            v[t.n].preference = (uint16_t)preference;
            v[t.n++].addr = addr(p[0] == '6' ? "2001:db8::1" : "192.0.2.1", bad);
        }
        targets_sort(&t, is_marked, NULL, stagger_cases[i].v6_bad);
        buf_init(&got, 1000);
        while ((next = targets_next(&t, &ms))) {
            now += ms;
            next->state = TARGET_PENDING;
            buf_addf(&got, "%c%d ", *next->host, (int)now);
        }
        if (strcmp(buf_cstr(&got), stagger_cases[i].starts) != 0)
            fail_msg("%s: %s", stagger_cases[i].name, buf_cstr(&got));
        buf_clear(&got);
    }
}

/* A better host that is silent at the most IPv6 addresses that are waited for does not keep IPv4 away. */
static void ipv4_needs_no_free_place(void **state)
{
    struct target v[] = {
        { .addr = addr("2001:db8::1", 25), .state = TARGET_PENDING },
        { .addr = addr("2001:db8::2", 25), .state = TARGET_PENDING },
        { .addr = addr("2001:db8::3", 25), .state = TARGET_PENDING },
        { .addr = addr("2001:db8::4", 25) },
        { .addr = addr("192.0.2.1", 25) },
    };
    struct targets t = { v, 5, NULL };
    int64_t ms;

    (void)state;
    assert_ptr_equal(targets_next(&t, &ms), &v[4]);
    assert_int_equal(ms, TARGETS_OTHER_FAMILY_MS);
    v[4].state = TARGET_PENDING;
    assert_null(targets_next(&t, &ms));
}

/* ---- bodies ---- */

static int file_of(const char *text)
{
    int fd = memfd_create("body", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    return fd;
}

static void bodies(void **state)
{
    static const struct {
        const char *name, *first, *chunks[3], *file;
        uint64_t size, fd_size;
        bool ok;
        const char *whole; /* NULL: broken while reading */
    } cases[] = {
        { "one frame", "abc", { NULL }, NULL, 3, 0, true, "abc" },
        { "chunks", "abc", { "def", "g", NULL }, NULL, 7, 0, true, "abcdefg" },
        { "chunks only", "", { "def", NULL }, NULL, 3, 0, true, "def" },
        { "header and file", "abc", { NULL }, "xyz", 6, 3, true, "abcxyz" },
        { "header in chunks and file", "a", { "bc", NULL }, "xyz", 6, 3, true, "abcxyz" },
        { "empty", "", { NULL }, NULL, 0, 0, true, "" },
        { "file shorter than said", "abc", { NULL }, "xyz", 8, 5, true, NULL },
        { "file without a size", "abc", { NULL }, "xyz", 3, 0, false, NULL },
        { "size without a file", "abc", { NULL }, NULL, 6, 3, false, NULL },
        { "more at once than said", "abc", { NULL }, NULL, 2, 0, false, NULL },
        { "file larger than all", "", { NULL }, "xyz", 2, 3, false, NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t max = 1; max < 5; max += 3) {
            struct body b;
            struct buf got;
            struct strv piece;
            uint64_t at = 0;
            enum client_body step;
            bool ok = body_init(&b, cases[i].size, cases[i].fd_size, SV(cases[i].first),
                                cases[i].file ? file_of(cases[i].file) : -1);

            if (ok != cases[i].ok)
                fail_msg("%s: init", cases[i].name);
            if (!ok)
                continue;
            for (size_t k = 0; k < 3 && cases[i].chunks[k]; k++) {
                assert_false(body_is_complete(&b));
                assert_true(body_add(&b, SV(cases[i].chunks[k])));
            }
            assert_true(body_is_complete(&b));
            assert_false(body_add(&b, SV("x")));
            buf_init(&got, 100);
            while ((step = body_read(&b, &at, max, &piece)) == CLIENT_BODY_PIECE)
                buf_addv(&got, piece);
            if (cases[i].whole ? step != CLIENT_BODY_END || strcmp(buf_cstr(&got), cases[i].whole) != 0
                               : step != CLIENT_BODY_BROKEN)
                fail_msg("%s: step %d, %s", cases[i].name, step, buf_cstr(&got));
            buf_clear(&got);
            body_clear(&b);
        }
}

static void keys_of_targets(void **state)
{
    static const struct {
        const char *name, *route;
        struct {
            const char *host;
            uint16_t preference;
        } t[5];
        const char *want;
    } cases[] = {
        { "one", "default", { { "mx.a", 10 } }, "default|mxs mx.a:25" },
        { "addresses of one", "default", { { "mx.a", 10 }, { "mx.a", 10 } }, "default|mxs mx.a:25" },
        { "turned about", "default", { { "b", 5 }, { "a", 5 }, { "c", 5 } }, "default|mxs a b c:25" },
        { "in order", "default", { { "b", 5 }, { "a", 7 } }, "default|mxs b | a:25" },
        { "other numbers", "default", { { "b", 10 }, { "a", 20 }, { "a", 20 } }, "default|mxs b | a:25" },
        { "both", "x.test", { { "d", 1 }, { "b", 2 }, { "c", 2 }, { "a", 3 } }, "x.test|mxs d | b c | a:25" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct conf_route conf = { .head.name = (char *)cases[i].route };
        struct route r = { .conf = &conf, .port = 25 };
        struct target v[5];
        struct targets t = { .v = v };
        struct buf key;

        for (; t.n < 5 && cases[i].t[t.n].host; t.n++)
            v[t.n] = (struct target){ .host = cases[i].t[t.n].host,
                                      .preference = cases[i].t[t.n].preference };
        buf_init(&key, TARGETS_KEY_MAX);
        targets_key(&r, &t, &key);
        if (strcmp(buf_cstr(&key), cases[i].want) != 0)
            fail_msg("%s: %s", cases[i].name, buf_cstr(&key));
        buf_clear(&key);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(route_cases),
        cmocka_unit_test(own_by_any_name),
        cmocka_unit_test(target_list),
        cmocka_unit_test(shares_of_connections),
        cmocka_unit_test(keys_of_targets),
        cmocka_unit_test(trouble_is_tried_last),
        cmocka_unit_test(trouble_is_of_a_source),
        cmocka_unit_test(who_is_started_when),
        cmocka_unit_test(ipv4_needs_no_free_place),
        cmocka_unit_test(bodies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
