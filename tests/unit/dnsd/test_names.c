/* test_names.c - client names that are held for a moment: age, kinds of answers, bound */
#include "tests/support/unit.h"

#include "dnsd/names.h"

#include <stdio.h>

static struct netaddr addr_of(const char *text)
{
    struct netaddr a = { .family = AF_UNSPEC };

    assert_true(netaddr_parse_ip(SV(text), &a));
    return a;
}

static bool known(const struct names *n, const char *ip, int64_t now, enum ipc_dns answer, const char *name)
{
    struct netaddr a = addr_of(ip);
    enum ipc_dns got = DNS_OK;
    struct strv text = SV("");

    if (!names_get(n, &a, now, &got, &text))
        return false;
    assert_int_equal(got, answer);
    assert_true(strv_eq(text, SV(name)));
    return true;
}

static void put(struct names *n, const char *ip, int64_t now, enum ipc_dns answer, const char *name)
{
    struct netaddr a = addr_of(ip);

    a.port = 4711; /* another one for each connection */
    names_put(n, &a, now, answer, SV(name));
}

static void answers_are_kept_for_a_moment(void **state)
{
    struct names *n = names_new();

    (void)state;
    assert_false(known(n, "192.0.2.1", 0, DNS_OK, ""));
    put(n, "192.0.2.1", 1000, DNS_OK, "client.test");
    assert_true(known(n, "192.0.2.1", 1000 + NAMES_KEEP_MS - 1, DNS_OK, "client.test"));
    assert_false(known(n, "192.0.2.1", 1000 + NAMES_KEEP_MS, DNS_OK, ""));
    put(n, "192.0.2.1", 1000, DNS_NXDOMAIN, "");
    assert_true(known(n, "192.0.2.1", 1000 + NAMES_KEEP_MS - 1, DNS_NXDOMAIN, ""));
    assert_false(known(n, "192.0.2.1", 1000 + NAMES_KEEP_MS, DNS_NXDOMAIN, ""));
    put(n, "192.0.2.1", 9000, DNS_TEMPFAIL, ""); /* could not tell: neither kept nor in the way of the next */
    assert_false(known(n, "192.0.2.1", 9000, DNS_TEMPFAIL, ""));
    put(n, "192.0.2.1", 9000, DNS_OK, "again.test");
    assert_true(known(n, "192.0.2.1", 9000, DNS_OK, "again.test"));
    names_free(&n);
}

static void an_address_has_its_own_answer(void **state)
{
    struct names *n = names_new();
    unsigned held = 0;

    (void)state;
    for (unsigned i = 0; i < 4 * NAMES_MAX; i++) {
        char ip[NETADDR_TEXT], name[64];

        snprintf(ip, sizeof ip, "10.0.%u.%u", i / 256, i % 256);
        snprintf(name, sizeof name, "h%u.test", i);
        put(n, ip, 0, DNS_OK, name);
        assert_true(known(n, ip, 0, DNS_OK, name));
    }
    for (unsigned i = 0; i < 4 * NAMES_MAX; i++) { /* what another one took the place of is not known */
        char ip[NETADDR_TEXT], name[64];

        snprintf(ip, sizeof ip, "10.0.%u.%u", i / 256, i % 256);
        snprintf(name, sizeof name, "h%u.test", i);
        held += known(n, ip, 0, DNS_OK, name);
    }
    assert_in_range(held, 1, NAMES_MAX);
    put(n, "2001:db8::1", 0, DNS_OK, "six.test");
    assert_true(known(n, "2001:db8::1", 0, DNS_OK, "six.test"));
    assert_false(known(n, "2001:db8::2", 0, DNS_OK, ""));
    names_forget(n);
    assert_false(known(n, "2001:db8::1", 0, DNS_OK, ""));
    names_free(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_kept_for_a_moment),
        cmocka_unit_test(an_address_has_its_own_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
