/* test_rowpack.c - rows arrive as they were made, over any number of frames; nothing else is taken for one */
#include "tests/support/unit.h"

#include "common/ipc/rowpack.h"

#include <stdio.h>

static struct rowpack pack;
static struct rowread reader;

static int setup(void **state)
{
    (void)state;
    rowpack_init(&pack);
    rowread_init(&reader);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rowpack_clear(&pack);
    rowread_clear(&reader);
    return 0;
}

static void expect_number(struct strv *rest, const char *name, uint64_t number)
{
    struct rowread_value v;

    assert_int_equal(rowread_next(&reader, rest, &v), ROWREAD_VALUE);
    assert_string_equal(v.name, name);
    assert_null(v.text.p);
    assert_true(v.number == number);
}

static void expect_text_value(struct strv *rest, const char *name, struct strv text)
{
    struct rowread_value v;

    assert_int_equal(rowread_next(&reader, rest, &v), ROWREAD_VALUE);
    assert_string_equal(v.name, name);
    assert_non_null(v.text.p);
    assert_true(strv_eq(v.text, text));
}

static void expect_end(struct strv *rest)
{
    struct rowread_value v;

    assert_int_equal(rowread_next(&reader, rest, &v), ROWREAD_END);
}

static const uint64_t numbers[] = { 0, 1, 127, 128, 16383, 16384, UINT32_MAX, INT64_MAX, UINT64_MAX };

static void rows_of_two_kinds(void **state)
{
    struct strv rest;

    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        rowpack_begin(&pack, "message");
        assert_true(rowpack_number(&pack, "size", numbers[i]));
        assert_true(rowpack_text(&pack, "sender", SV_LIT("")));
        rowpack_end(&pack);
        rowpack_begin(&pack, "recipient");
        assert_true(rowpack_text(&pack, "recipient", SV_LIT("a\0b\n\xff")));
        assert_true(rowpack_text(&pack, "size", SV_LIT("a name may have both")));
        rowpack_end(&pack);
    }
    rest = rowpack_rows(&pack);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        assert_string_equal(rowread_begin(&reader, &rest), "message");
        expect_number(&rest, "size", numbers[i]);
        expect_text_value(&rest, "sender", SV_LIT(""));
        expect_end(&rest);
        assert_string_equal(rowread_begin(&reader, &rest), "recipient");
        expect_text_value(&rest, "recipient", SV_LIT("a\0b\n\xff"));
        expect_text_value(&rest, "size", SV_LIT("a name may have both"));
        expect_end(&rest);
    }
    assert_int_equal(rest.n, 0);
}

/* The second frame and those behind it use the names of the first. */
static void names_go_over_frames(void **state)
{
    static char text[10000];
    unsigned frames = 0, made = 0, read = 0;

    (void)state;
    memset(text, 'x', sizeof text);
    while (frames < 3) {
        struct strv rest;

        rowpack_begin(&pack, "row");
        rowpack_number(&pack, "number", made);
        rowpack_text(&pack, "text", strv_make(text, sizeof text));
        if (!rowpack_is_full(&pack)) {
            rowpack_end(&pack);
            made++;
            continue;
        }
        rest = rowpack_rows(&pack);
        assert_true(rest.n > 0 && rest.n <= ROWPACK_MAX);
        for (; rest.n > 0; read++) {
            assert_string_equal(rowread_begin(&reader, &rest), "row");
            expect_number(&rest, "number", read);
            expect_text_value(&rest, "text", strv_make(text, sizeof text));
            expect_end(&rest);
        }
        rowpack_sent(&pack);
        rowpack_end(&pack);
        frames++;
        assert_int_equal(read, made++);
    }
}

/* A value that a frame cannot carry beside the others is left out; the row stays whole. */
static void a_row_fits_a_frame(void **state)
{
    static char text[ROWPACK_MAX];
    struct strv rest;

    (void)state;
    memset(text, 'x', sizeof text);
    rowpack_begin(&pack, "k");
    assert_true(rowpack_text(&pack, "a", strv_make(text, 40000)));
    assert_false(rowpack_text(&pack, "b", strv_make(text, 30000)));
    assert_false(rowpack_text(&pack, "c", strv_make(text, sizeof text)));
    assert_true(rowpack_number(&pack, "d", 7));
    assert_false(rowpack_is_full(&pack));
    rowpack_end(&pack);
    rest = rowpack_rows(&pack);
    assert_string_equal(rowread_begin(&reader, &rest), "k");
    expect_text_value(&rest, "a", strv_make(text, 40000));
    expect_number(&rest, "d", 7);
    expect_end(&rest);
    assert_int_equal(rest.n, 0);
}

static void names_are_bounded(void **state)
{
    char name[ROWPACK_NAME_MAX + 2];
    struct rowread_value v;
    struct strv rest;

    (void)state;
    rowpack_begin(&pack, "k");
    for (unsigned i = 1; i < ROWPACK_NAMES; i++) {
        snprintf(name, sizeof name, "name%u", i);
        assert_true(rowpack_number(&pack, name, i));
    }
    assert_false(rowpack_number(&pack, "one more", 1));
    assert_true(rowpack_number(&pack, "name999", 1));
    rowpack_end(&pack);
    /* A row that comes then still has its kind. */
    rowpack_begin(&pack, "last");
    assert_true(rowpack_number(&pack, "name1", 7));
    assert_false(rowpack_number(&pack, "one more", 1));
    rowpack_end(&pack);
    rest = rowpack_rows(&pack);
    assert_string_equal(rowread_begin(&reader, &rest), "k");
    while (rowread_next(&reader, &rest, &v) == ROWREAD_VALUE)
        ;
    assert_string_equal(rowread_begin(&reader, &rest), "last");
    expect_number(&rest, "name1", 7);
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    rowpack_reset(&pack);
    rowpack_begin(&pack, "k");
    assert_false(rowpack_number(&pack, name, 1));
    assert_true(rowpack_number(&pack, name + 1, 1));
}

static enum rowread_step last_step(struct strv rest)
{
    enum rowread_step step = ROWREAD_END;
    struct rowread_value v;

    rowread_reset(&reader);
    while (rest.n > 0) {
        if (!rowread_begin(&reader, &rest))
            return ROWREAD_BAD;
        while ((step = rowread_next(&reader, &rest, &v)) == ROWREAD_VALUE)
            ;
        if (step == ROWREAD_BAD)
            return step;
    }
    return step;
}

static const struct {
    const char *name;
    struct strv bytes;
} bad[] = {
    { "a row that does not end", SV_LIT("\x02\x01k") },
    { "a kind that is not there", SV_LIT("\x04\x01k\x00") },
    { "a kind with a value", SV_LIT("\x03\x01k\x00") },
    { "no kind", SV_LIT("\x00") },
    { "a cut name", SV_LIT("\x02\x05k") },
    { "a long name", SV_LIT("\x02\x40kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk\x00") },
    { "a NUL in a name", SV_LIT("\x02\x02k\x00\x00") },
    { "a cut text", SV_LIT("\x02\x01k\x05\x01n\x09text") },
    { "a text longer than memory", SV_LIT("\x02\x01k\x05\x01n\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01t") },
    { "a number of 65 bits", SV_LIT("\x02\x01k\x04\x01n\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02\x00") },
    { "a number of eleven bytes",
      SV_LIT("\x02\x01k\x04\x01n\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00\x00") },
    { "a cut number", SV_LIT("\x02\x01k\x04\x01n\x80") },
    { "a name of the future", SV_LIT("\x02\x01k\x08\x01n\x01\x00") },
};

static void nonsense_is_refused(void **state)
{
    (void)state;
    /* t is the third name */
    assert_int_equal(last_step(SV_LIT("\x02\x01k\x04\x01n\x07\x05\x01t\x02hi\x00")), ROWREAD_BAD);
    assert_int_equal(last_step(SV_LIT("\x02\x01k\x04\x01n\x07\x07\x01t\x02hi\x00")), ROWREAD_END);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (last_step(bad[i].bytes) != ROWREAD_BAD)
            fail_msg("%s was taken", bad[i].name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_of_two_kinds, setup, teardown),
        cmocka_unit_test_setup_teardown(names_go_over_frames, setup, teardown),
        cmocka_unit_test_setup_teardown(a_row_fits_a_frame, setup, teardown),
        cmocka_unit_test_setup_teardown(names_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(nonsense_is_refused, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
