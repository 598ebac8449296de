/* test_hash.c - checksums against published values, the table against a model */
#include "common/base/dict.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "tests/support/unit.h"

#include <stdlib.h>

static void crc32c(void **state)
{
    uint8_t data[48];
    uint32_t whole;

    (void)state;
    /* RFC 3720 B.4 */
    memset(data, 0, 32);
    assert_int_equal(hash_crc32c(0, data, 32), 0x8a9136aa);
    memset(data, 0xff, 32);
    assert_int_equal(hash_crc32c(0, data, 32), 0x62a8ab43);
    for (int i = 0; i < 32; i++)
        data[i] = (uint8_t)i;
    assert_int_equal(hash_crc32c(0, data, 32), 0x46dd794e);
    assert_int_equal(hash_crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(hash_crc32c(0, "", 0), 0);
    for (int i = 0; i < 48; i++)
        data[i] = (uint8_t)(i * 37);
    whole = hash_crc32c(0, data, 48);
    for (size_t n = 0; n <= 48; n++)
        assert_int_equal(hash_crc32c_portable(7, data, n), hash_crc32c(7, data, n));
    for (size_t cut = 0; cut <= 48; cut++)
        assert_int_equal(hash_crc32c(hash_crc32c(0, data, cut), data + cut, 48 - cut), whole);
}

static void siphash(void **state)
{
    uint8_t key[16], data[15];

    (void)state;
    for (int i = 0; i < 16; i++)
        key[i] = (uint8_t)i;
    for (int i = 0; i < 15; i++)
        data[i] = (uint8_t)i;
    /* The paper's appendix A, and the first and eighth vector of its reference implementation */
    assert_true(hash_sip_key(key, strv_make((char *)data, 15)) == 0xa129ca6149be45e5u);
    assert_true(hash_sip_key(key, strv_make("", 0)) == 0x726fdb47dd0e0e31u);
    assert_true(hash_sip_key(key, strv_make((char *)data, 8)) == 0x93f5f5799a932462u);
    assert_true(hash_sip(SV("a")) == hash_sip(SV("a")));
    assert_true(hash_sip(SV("a")) != hash_sip(SV("b")));
}

static void fnv(void **state)
{
    (void)state;
    assert_true(hash_stable(SV("")) == 0xcbf29ce484222325u);
    assert_true(hash_stable(SV("a")) == 0xaf63dc4c8601ec8cu);
    assert_true(hash_stable(SV("foobar")) == 0x85944171f73967e8u);
}

static void randoms(void **state)
{
    uint8_t zero[64] = { 0 }, got[64] = { 0 };
    bool seen[5] = { false };

    (void)state;
    rand_bytes(got, sizeof got);
    assert_memory_not_equal(got, zero, sizeof got);
    assert_true(rand_u64() != rand_u64());
    for (int i = 0; i < 1000; i++) {
        uint64_t v = rand_below(5);

        assert_true(v < 5);
        seen[v] = true;
    }
    for (int i = 0; i < 5; i++)
        assert_true(seen[i]);
    assert_int_equal(rand_below(1), 0);
}

static void dict_against_a_model(void **state)
{
    static char values[1000];
    bool in[1000] = { false };
    struct dict *d = dict_new();
    size_t n = 0;

    (void)state;
    for (int step = 0; step < 20000; step++) {
        unsigned k = (unsigned)(step * 7919) % 1000;
        char key[16];
        void *former = in[k] ? &values[k] : NULL;

        snprintf(key, sizeof key, "key%u", k);
        assert_ptr_equal(dict_get(d, SV(key)), former);
        if (step % 3 == 0) {
            assert_ptr_equal(dict_pop(d, SV(key)), former);
            n -= in[k];
            in[k] = false;
        } else {
            assert_ptr_equal(dict_set(d, SV(key), &values[k]), former);
            n += !in[k];
            in[k] = true;
        }
        assert_int_equal(dict_count(d), n);
    }
    dict_free(&d, NULL);
    assert_null(d);
    dict_free(&d, NULL);
}

static struct dict *walked;
static int visits;

static void remove_it(void *arg, struct strv key, void *value)
{
    char copy[16];

    assert_ptr_equal(arg, &visits);
    visits++;
    assert_true(strv_cstr(key, copy, sizeof copy));
    assert_ptr_equal(dict_pop(walked, key), value);
}

static void walk_may_remove(void **state)
{
    static char value;

    (void)state;
    walked = dict_new();
    for (int i = 0; i < 100; i++) {
        char key[16];

        snprintf(key, sizeof key, "%d", i);
        dict_set(walked, SV(key), &value);
    }
    visits = 0;
    dict_each(walked, remove_it, &visits);
    assert_int_equal(visits, 100);
    assert_int_equal(dict_count(walked), 0);
    dict_free(&walked, NULL);
}

static void number_keys_and_owned_values(void **state)
{
    struct dict *d = dict_new();
    char *a = mem_str("a"), *b = mem_str("b"), *got;

    (void)state;
    assert_null(dict_set_u64(d, 0, a));
    assert_null(dict_set_u64(d, UINT64_MAX, b));
    assert_ptr_equal(dict_get_u64(d, 0), a);
    assert_null(dict_get_u64(d, 1));
    got = dict_pop_u64(d, 0);
    assert_ptr_equal(got, a);
    free(got);
    assert_null(dict_pop_u64(d, 0));
    assert_null(dict_set(d, SV(""), mem_str("empty key")));
    assert_string_equal(dict_get(d, SV("")), "empty key");
    dict_free(&d, free);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc32c),          cmocka_unit_test(siphash),
        cmocka_unit_test(fnv),             cmocka_unit_test(randoms),
        cmocka_unit_test(dict_against_a_model), cmocka_unit_test(walk_may_remove),
        cmocka_unit_test(number_keys_and_owned_values),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
