/* test_record.c - records: round trip, damage, forgeries, torn ends */
#include "tests/support/unit.h"

#include "queued/record.h"
#include "queued/segment.h"

#include <stdlib.h>
#include <string.h>

#define NONCE "0123456789abcdef0123456789abcdef"
#define OTHER "fedcba9876543210fedcba9876543210"

static void add(struct buf *b, uint64_t id, const char *envelope, const char *header, struct strv body,
                const char *nonce, uint32_t segment)
{
    struct record_sizes sizes = { strlen(envelope), strlen(header), body.n };
    size_t at = b->len, size = record_size(&sizes);
    char line[RECORD_LINE_LEN];

    record_line(line, id, &sizes);
    buf_add(b, line, sizeof line);
    buf_adds(b, envelope);
    buf_adds(b, header);
    buf_adds(b, "\r\n");
    buf_addv(b, body);
    buf_addc(b, '\n');
    assert_int_equal(b->len - at, size);
    record_seal(b->data + at, size, nonce, segment, at);
}

static void fill(struct buf *b, unsigned count)
{
    buf_init(b, 1u << 20);
    for (unsigned i = 1; i <= count; i++)
        add(b, i, "sender: a@b\nlocal: c@d\n\n", "Subject: x\r\n", SV("body\r\nof it"), NONCE, 3);
}

static struct record_scan scan_of(const struct buf *b)
{
    return (struct record_scan){ .bytes = buf_view(b), .nonce = NONCE, .segment = 3 };
}

static void a_record_comes_back(void **state)
{
    struct record r;
    struct buf b;

    (void)state;
    fill(&b, 2);
    assert_true(record_parse(buf_view(&b), NONCE, 3, 0, &r));
    assert_int_equal(r.id, 1);
    expect_text("envelope", r.envelope, "sender: a@b\nlocal: c@d\n\n");
    expect_text("message", r.message, "Subject: x\r\n\r\nbody\r\nof it");
    assert_int_equal(r.len * 2, b.len);
    assert_false(record_parse(buf_view(&b), OTHER, 3, 0, &r));
    assert_false(record_parse(buf_view(&b), NONCE, 4, 0, &r));
    assert_false(record_parse(buf_view(&b), NONCE, 3, 1, &r));
    assert_true(record_views(buf_view(&b), &r));
    buf_clear(&b);
}

static void every_changed_byte_is_found(void **state)
{
    struct record r;
    struct buf b;

    (void)state;
    fill(&b, 1);
    for (size_t i = 0; i < b.len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            b.data[i] = (char)(b.data[i] ^ 1 << bit);
            if (record_parse(buf_view(&b), NONCE, 3, 0, &r))
                fail_msg("byte %zu bit %d changed and nobody noticed", i, bit);
            b.data[i] = (char)(b.data[i] ^ 1 << bit);
        }
    }
    assert_true(record_parse(buf_view(&b), NONCE, 3, 0, &r));
    buf_clear(&b);
}

static void a_torn_last_record_is_the_end(void **state)
{
    struct record r;
    struct buf b;
    size_t one;

    (void)state;
    fill(&b, 3);
    one = b.len / 3;
    for (size_t cut = 2 * one; cut < b.len; cut++) {
        struct record_scan s = scan_of(&b);

        s.bytes.n = cut;
        assert_int_equal(record_next(&s, &r), RECORD_FOUND);
        assert_int_equal(record_next(&s, &r), RECORD_FOUND);
        assert_int_equal(r.id, 2);
        assert_int_equal(record_next(&s, &r), RECORD_END);
        assert_int_equal(s.at, 2 * one);
        assert_int_equal(record_scan_torn(&s), cut > 2 * one);
    }
    /* The same with zeros behind, as in an allocated file. */
    for (size_t cut = 2 * one; cut < b.len; cut += 7) {
        struct record_scan s;
        struct buf c;

        buf_init(&c, 1u << 20);
        buf_add(&c, b.data, cut);
        for (size_t i = cut; i < b.len + 500; i++)
            buf_addc(&c, '\0');
        s = scan_of(&c);
        assert_int_equal(record_next(&s, &r), RECORD_FOUND);
        assert_int_equal(record_next(&s, &r), RECORD_FOUND);
        assert_int_equal(record_next(&s, &r), RECORD_END);
        assert_int_equal(s.at, 2 * one);
        buf_clear(&c);
    }
    buf_clear(&b);
}

static void damage_in_the_middle_is_skipped(void **state)
{
    struct record r;
    struct buf b;
    size_t one;

    (void)state;
    fill(&b, 4);
    one = b.len / 4;
    for (size_t i = one; i < 3 * one; i++) {
        struct record_scan s = scan_of(&b);
        uint64_t want = i < 2 * one ? 3 : 4;

        b.data[i] = (char)(b.data[i] ^ 0x55);
        assert_int_equal(record_next(&s, &r), RECORD_FOUND);
        if (want == 4)
            assert_int_equal(record_next(&s, &r), RECORD_FOUND);
        assert_int_equal(record_next(&s, &r), RECORD_DAMAGE);
        assert_int_equal(s.damage_len, one);
        assert_int_equal(record_next(&s, &r), RECORD_FOUND);
        assert_int_equal(r.id, want);
        b.data[i] = (char)(b.data[i] ^ 0x55);
    }
    buf_clear(&b);
}

/* A body that holds whole records: made with another nonce, with this segment's own, copied from this
   segment, and even computed for another place. */
static void bodies_cannot_forge(void **state)
{
    struct buf b, forged;
    struct record r;
    size_t first;

    (void)state;
    buf_init(&forged, 1u << 20);
    add(&forged, 666, "sender: x@y\nlocal: z@d\n\n", "Subject: forged\r\n", SV("evil"), OTHER, 3);
    add(&forged, 667, "sender: x@y\nlocal: z@d\n\n", "Subject: forged\r\n", SV("evil"), NONCE, 3);
    fill(&b, 1);
    first = b.len;
    buf_addv(&forged, buf_view(&b));
    add(&b, 2, "sender: a@b\nlocal: c@d\n\n", "Subject: carrier\r\n", buf_view(&forged), NONCE, 3);
    add(&b, 3, "sender: a@b\nlocal: c@d\n\n", "Subject: after\r\n", SV("x"), NONCE, 3);
    for (int damage = 0; damage < 2; damage++) {
        struct record_scan s = scan_of(&b);

        if (damage)
            b.data[first + 20] = 'X';
        assert_int_equal(record_next(&s, &r), RECORD_FOUND);
        assert_int_equal(r.id, 1);
        assert_int_equal(record_next(&s, &r), damage ? RECORD_DAMAGE : RECORD_FOUND);
        if (!damage)
            assert_int_equal(r.id, 2);
        assert_int_equal(record_next(&s, &r), RECORD_FOUND);
        assert_int_equal(r.id, 3);
        assert_int_equal(record_next(&s, &r), RECORD_END);
        assert_false(record_scan_torn(&s));
    }
    buf_clear(&forged);
    buf_clear(&b);
}

static void sizes_at_their_limits(void **state)
{
    const struct {
        const char *name;
        struct record_sizes sizes;
        bool fits;
    } cases[] = {
        { "nothing", { 0, 0, 0 }, true },
        { "largest", { RECORD_PART_MAX, RECORD_PART_MAX, RECORD_PART_MAX }, true },
        { "envelope", { RECORD_PART_MAX + 1, 0, 0 }, false },
        { "header", { 0, RECORD_PART_MAX + 1, 0 }, false },
        { "body", { 0, 0, RECORD_PART_MAX + 1 }, false },
        { "wraps", { 0, SIZE_MAX, 0 }, false },
    };
    char line[RECORD_LINE_LEN];
    struct record_sizes back;
    uint64_t id;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        expect_bool(cases[i].name, record_size(&cases[i].sizes) != 0, cases[i].fits);
        if (!cases[i].fits)
            continue;
        record_line(line, UINT64_MAX, &cases[i].sizes);
        memcpy(line + 8, NONCE, RECORD_NONCE_LEN);
        assert_true(record_line_parse(strv_make(line, sizeof line), NONCE, &id, &back));
        assert_true(id == UINT64_MAX && memcmp(&back, &cases[i].sizes, sizeof back) == 0);
    }
}

static void headers_of_segments(void **state)
{
    char name[SEGMENT_NAME];
    uint32_t n;

    (void)state;
    segment_name(1, ".seg", name);
    assert_string_equal(name, "000001.seg");
    segment_name(4000000000u, ".seg", name);
    assert_string_equal(name, "4000000000.seg");
    assert_true(segment_name_parse(name, ".seg", &n) && n == 4000000000u);
    assert_false(segment_name_parse("1.seg", ".seg", &n));
    assert_false(segment_name_parse("000000.seg", ".seg", &n));
    assert_false(segment_name_parse("000001.idx", ".seg", &n));
    assert_false(segment_name_parse("00001x.seg", ".seg", &n));
    assert_false(segment_name_parse("99999999999.seg", ".seg", &n));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_comes_back),           cmocka_unit_test(every_changed_byte_is_found),
        cmocka_unit_test(a_torn_last_record_is_the_end), cmocka_unit_test(damage_in_the_middle_is_skipped),
        cmocka_unit_test(bodies_cannot_forge),           cmocka_unit_test(sizes_at_their_limits),
        cmocka_unit_test(headers_of_segments),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
