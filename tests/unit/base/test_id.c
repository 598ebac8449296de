/* test_id.c - identities: unique, growing, sortable as text */
#include "common/base/clock.h"
#include "common/base/id.h"
#include "tests/support/unit.h"

static int64_t now;

static int64_t fake_wall(void)
{
    return now;
}

static void grows_whatever_the_clock_does(void **state)
{
    uint64_t last = 0;
    char text[ID_TEXT_SIZE], last_text[ID_TEXT_SIZE] = "";

    (void)state;
    clock_fake(NULL, fake_wall);
    id_seed(7);
    now = 1795217250123;
    for (int i = 0; i < 200000; i++) {
        uint64_t id = id_new();

        assert_true(id > last);
        id_text(id, text);
        assert_true(strcmp(text, last_text) > 0);
        memcpy(last_text, text, sizeof text);
        last = id;
        if (i % 1000 == 0)
            now -= 50;
        else if (i % 10 == 0)
            now++;
    }
    clock_fake(NULL, NULL);
}

static void carries_its_time(void **state)
{
    (void)state;
    clock_fake(NULL, fake_wall);
    now = 1895217250123;
    assert_true(id_wall_ms(id_new()) == now);
    now = 0;        /* before the epoch of identities: still growing */
    assert_true(id_wall_ms(id_new()) == 1895217250123);
    clock_fake(NULL, NULL);
}

static void processes_differ(void **state)
{
    uint64_t a, b;

    (void)state;
    id_seed(1);
    a = id_new();
    id_seed(2);
    b = id_new();
    assert_int_equal((a >> 14) & 255, 1);
    assert_int_equal((b >> 14) & 255, 2);
}

static void text_round_trip(void **state)
{
    static const uint64_t ids[] = { 0, 1, 31, 32, 0x123456789abcdef0u, UINT64_MAX };
    static const char *const bad[] = {
        "", "000000000000", "00000000000000", "G000000000000", "000000000000I", "000000000000L",
        "000000000000O", "000000000000U", "000000000000a", "00000000000 0", "-000000000000",
    };
    uint64_t v = 5;

    (void)state;
    for (size_t i = 0; i < COUNT(ids); i++) {
        char text[ID_TEXT_SIZE];

        id_text(ids[i], text);
        assert_int_equal(strlen(text), ID_TEXT_LEN);
        assert_true(id_parse(SV(text), &v));
        assert_true(v == ids[i]);
    }
    v = 5;
    for (size_t i = 0; i < COUNT(bad); i++)
        expect_bool(bad[i], id_parse(SV(bad[i]), &v), false);
    assert_false(id_parse(strv_make("000000000000\0", 13), &v));
    assert_true(v == 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_whatever_the_clock_does),
        cmocka_unit_test(carries_its_time),
        cmocka_unit_test(processes_differ),
        cmocka_unit_test(text_round_trip),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
