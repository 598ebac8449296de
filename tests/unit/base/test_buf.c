/* test_buf.c - owned bytes, the wire cursor and base64 */
#include "common/base/b64.h"
#include "common/base/buf.h"
#include "common/base/wire.h"
#include "tests/support/unit.h"

static void limit_is_sticky(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 4);
    assert_string_equal(buf_cstr(&b), "");
    assert_int_equal(buf_view(&b).n, 0);
    buf_adds(&b, "abc");
    assert_true(buf_ok(&b));
    buf_adds(&b, "de");         /* n + 1: nothing is added, not a part of it */
    assert_false(buf_ok(&b));
    assert_string_equal(buf_cstr(&b), "abc");
    buf_addc(&b, 'd');          /* would fit, but a hole in the middle is worse than an end */
    assert_string_equal(buf_cstr(&b), "abc");
    buf_reset(&b);
    assert_true(buf_ok(&b));
    buf_adds(&b, "abcd");       /* n */
    assert_true(buf_ok(&b));
    buf_addf(&b, "%s", "");
    assert_true(buf_ok(&b));
    buf_addf(&b, "%d", 1);
    assert_false(buf_ok(&b));
    buf_clear(&b);
    assert_true(buf_ok(&b));
    assert_null(b.data);
    assert_int_equal(b.max, 4);
}

static void nothing_fits_into_zero(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 0);
    buf_add(&b, "", 0);
    assert_true(buf_ok(&b));
    buf_addc(&b, 'a');
    assert_false(buf_ok(&b));
    buf_reset(&b);
    buf_drop(&b, 5);
    buf_cut(&b, 0);
    buf_clear(&b);
}

static void grows_and_shrinks(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 1 << 20);
    for (int i = 0; i < 10000; i++)
        buf_addf(&b, "%05d", i);
    assert_int_equal(b.len, 50000);
    buf_drop(&b, 5);
    assert_memory_equal(b.data, "00001", 5);
    buf_cut(&b, 10);
    assert_string_equal(buf_cstr(&b), "0000100002");
    buf_cut(&b, 99);
    assert_int_equal(b.len, 10);
    buf_drop(&b, 99);
    assert_string_equal(buf_cstr(&b), "");
    buf_clear(&b);
}

static void reserve_and_commit(void **state)
{
    struct buf b;
    char *p;

    (void)state;
    buf_init(&b, 10);
    p = buf_reserve(&b, 10);
    assert_non_null(p);
    p[0] = 'x';
    buf_commit(&b, 1);
    assert_string_equal(buf_cstr(&b), "x");
    buf_commit(&b, 0);
    assert_null(buf_reserve(&b, 10));
    assert_false(buf_ok(&b));
    buf_commit(&b, 1);
    assert_int_equal(b.len, 1);
    buf_clear(&b);
}

static void secrets(void **state)
{
    struct buf b;

    (void)state;
    buf_init_secret(&b, 1000);
    for (int i = 0; i < 100; i++)
        buf_adds(&b, "secret");
    assert_int_equal(b.len, 600);
    assert_memory_equal(b.data + 594, "secret", 6);
    buf_cut(&b, 3);
    assert_int_equal(b.data[4], 0);
    buf_reset(&b);
    assert_int_equal(b.data[0], 0);
    buf_clear(&b);
    buf_clear(&b);
}

static void wire_round_trip(void **state)
{
    struct buf b;
    struct rd r;
    struct strv s;
    uint8_t v8;
    uint16_t v16;
    uint32_t v32;
    uint64_t v64;

    (void)state;
    buf_init(&b, 100);
    wr_u8(&b, 0x12);
    wr_u16(&b, 0x1234);
    wr_u32(&b, 0x12345678);
    wr_u64(&b, 0x123456789abcdef0u);
    buf_adds(&b, "tail");
    assert_memory_equal(b.data, "\x12\x12\x34\x12\x34\x56\x78", 7);
    r = rd_make(b.data, b.len);
    assert_true(rd_u8(&r, &v8));
    assert_true(rd_u16(&r, &v16));
    assert_true(rd_u32(&r, &v32));
    assert_true(rd_u64(&r, &v64));
    assert_int_equal(v8, 0x12);
    assert_int_equal(v16, 0x1234);
    assert_int_equal(v32, 0x12345678);
    assert_true(v64 == 0x123456789abcdef0u);
    assert_true(rd_bytes(&r, 0, &s));
    assert_int_equal(s.n, 0);
    assert_true(rd_skip(&r, 1));
    assert_true(rd_bytes(&r, 3, &s));
    expect_text("tail", s, "ail");
    assert_false(rd_u8(&r, &v8));
    assert_int_equal(v8, 0);
    assert_false(rd_skip(&r, 0));       /* sticky */
    buf_clear(&b);
}

static void wire_short_reads(void **state)
{
    static const char data[7] = { 1, 2, 3, 4, 5, 6, 7 };
    struct strv s;
    uint64_t v64 = 1;
    uint32_t v32;

    (void)state;
    for (size_t n = 0; n < 8; n++) {
        struct rd r = rd_make(data, n < sizeof data ? n : sizeof data);

        assert_false(rd_u64(&r, &v64));
        assert_int_equal(v64, 0);
        assert_false(rd_u32(&r, &v32));
        assert_false(rd_bytes(&r, 1, &s));
        assert_int_equal(s.n, 0);
    }
}

static const struct {
    const char *text, *data;
    size_t n;
} b64_good[] = {
    { "", "", 0 },
    { "Zg==", "f", 1 },
    { "Zm8=", "fo", 2 },
    { "Zm9v", "foo", 3 },
    { "Zm9vYmFy", "foobar", 6 },
    { "AAAA", "\0\0\0", 3 },
    { "+/8=", "\xfb\xff", 2 },
};

static void base64_round_trip(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(b64_good); i++) {
        struct buf b;

        buf_init(&b, 100);
        b64_encode(strv_make(b64_good[i].data, b64_good[i].n), &b);
        expect_text("encode", buf_view(&b), b64_good[i].text);
        buf_reset(&b);
        assert_true(b64_decode(SV(b64_good[i].text), &b));
        assert_int_equal(b.len, b64_good[i].n);
        if (b.len)
            assert_memory_equal(b.data, b64_good[i].data, b.len);
        buf_clear(&b);
    }
}

static void base64_refuses(void **state)
{
    static const char *const bad[] = {
        "Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Zm8=Zm8=", "Z g=", "Zm9v\n", "====", "=AAA", "A=AA",
        "Zm-_", "AA=A", "Zm9vZg=",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct buf b;

        buf_init(&b, 100);
        buf_adds(&b, "x");
        expect_bool(bad[i], b64_decode(SV(bad[i]), &b), false);
        expect_text(bad[i], buf_view(&b), "x");
        buf_clear(&b);
    }
}

static void base64_respects_the_limit(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 2);
    assert_false(b64_decode(SV("Zm9v"), &b));
    assert_int_equal(b.len, 0);
    buf_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limit_is_sticky),    cmocka_unit_test(nothing_fits_into_zero),
        cmocka_unit_test(grows_and_shrinks),  cmocka_unit_test(reserve_and_commit),
        cmocka_unit_test(secrets),            cmocka_unit_test(wire_round_trip),
        cmocka_unit_test(wire_short_reads),   cmocka_unit_test(base64_round_trip),
        cmocka_unit_test(base64_refuses),     cmocka_unit_test(base64_respects_the_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
