/* test_sidecar.c - the index beside a segment: every record once and in order, whatever is looked at ahead */
#include "tests/support/unit.h"

#include "queued/sidecar.h"

#include <string.h>

#define NONCE    "0123456789abcdef0123456789abcdef"
#define ENVELOPE "sender: a@b\nlocal: c@d\n\n"
#define END_LEN  34u

struct told {
    uint64_t last, ahead;
    uint64_t stop; /* 0: never */
};

static bool on_row(void *arg, uint32_t offset, uint64_t id, const struct record_sizes *sizes,
                   struct strv envelope)
{
    struct told *t = arg;

    assert_int_equal(id, t->last + 1);
    assert_int_equal(offset, id * 100);
    assert_int_equal(sizes->header, id);
    expect_text("envelope", envelope, ENVELOPE);
    assert_true(t->ahead >= id);
    t->last = id;
    return id != t->stop;
}

static void on_ahead(void *arg, uint64_t id)
{
    struct told *t = arg;

    assert_int_equal(id, t->ahead + 1);
    t->ahead = id;
}

/* As sidecar_write leaves it, with room for the last line. */
static void fill(struct sidecar *s, unsigned n)
{
    sidecar_init(s);
    sidecar_begin(s, NONCE, 7);
    for (unsigned i = 1; i <= n; i++) {
        struct record_sizes sizes = { sizeof ENVELOPE - 1, i, 0 };
        char head[RECORD_LINE_LEN + sizeof ENVELOPE];

        record_line(head, i, &sizes);
        memcpy(head + 8, NONCE, RECORD_NONCE_LEN);
        memset(head + RECORD_LINE_LEN - 9, '0', 8);
        memcpy(head + RECORD_LINE_LEN, ENVELOPE, sizeof ENVELOPE);
        sidecar_add(s, i * 100, strv_make(head, sizeof head - 1));
    }
    for (unsigned i = 0; i < END_LEN; i++)
        buf_addc(&s->bytes, 'e');
}

static void every_number_of_records(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 70; n++) {
        struct told t = { 0, 0, 0 };
        struct sidecar s;

        fill(&s, n);
        assert_true(sidecar_each(buf_view(&s.bytes), NONCE, on_row, on_ahead, &t));
        assert_int_equal(t.last, n);
        assert_int_equal(t.ahead, n);
        sidecar_clear(&s);
    }
}

static void what_stands_before_damage_is_told(void **state)
{
    (void)state;
    for (unsigned bad = 1; bad <= 40; bad++) {
        struct told t = { 0, 0, 0 };
        struct sidecar s;
        char *at;

        fill(&s, 40);
        at = s.bytes.data;
        for (unsigned i = 0; i < bad; i++)
            at = (char *)memmem(at + 1, s.bytes.len - (size_t)(at + 1 - s.bytes.data), "MANSIO1", 7);
        *at = 'X';
        assert_false(sidecar_each(buf_view(&s.bytes), NONCE, on_row, on_ahead, &t));
        assert_int_equal(t.last, bad - 1);
        sidecar_clear(&s);
    }
}

static void who_has_enough_hears_no_more(void **state)
{
    struct told t = { 0, 0, 5 };
    struct sidecar s;

    (void)state;
    fill(&s, 40);
    assert_false(sidecar_each(buf_view(&s.bytes), NONCE, on_row, on_ahead, &t));
    assert_int_equal(t.last, 5);
    sidecar_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number_of_records),
        cmocka_unit_test(what_stands_before_damage_is_told),
        cmocka_unit_test(who_has_enough_hears_no_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
