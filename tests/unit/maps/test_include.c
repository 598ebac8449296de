/* test_include.c - :include: lists: which paths may be named, parts of long lists, failures */
#include "tests/support/unit.h"

#include "maps/identity.h"
#include "maps/include.h"

static enum ipc_answer get(struct includes *in, const char *key, struct buf *value, struct err *err)
{
    struct map_value v;
    enum ipc_answer a = includes_get(in, SV(key), &v, err);

    buf_reset(value);
    if (a == ANSWER_FOUND)
        buf_addv(value, v.text);
    return a;
}

static void paths(void **state)
{
    static const char *const bad[] = { "", "/", "x", "./x", "/a/../b", "/a//b", "/a/./b", "a/b", "/a/" };
    struct includes *in = includes_new();
    struct err err = { 0 };

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++)
        if (includes_add(in, SV(bad[i]), &err))
            fail_msg("taken: %s", bad[i]);
    assert_true(includes_add(in, SV("/etc/mail/list"), &err));
    assert_true(includes_add(in, SV("/etc/mail/list"), &err));
    assert_int_equal(includes_count(in), 1);
    assert_string_equal(includes_next(in), "/etc/mail/list");
    assert_null(includes_next(in));
    includes_free(&in);
}

static void answers(void **state)
{
    struct includes *in = includes_new(), *next = includes_new();
    struct err err = { 0 };
    struct buf v;
    bool kept;

    (void)state;
    buf_init(&v, 65536);
    assert_int_equal(get(NULL, ":include:/l", &v, &err), ANSWER_ABSENT);
    assert_true(includes_add_value(in, SV("a, :include:/l, :include:/m"), &err));
    assert_int_equal(get(in, ":include:/l", &v, &err), ANSWER_FAILED);
    assert_true(includes_set(in, SV("/l"), SV("# c\na, b@x.org\n:include:/n\n"), &err));
    assert_int_equal(get(in, ":include:/l", &v, &err), ANSWER_FOUND);
    expect_text("list", buf_view(&v), "a, b@x.org, :include:/n");
    assert_int_equal(includes_count(in), 3);
    assert_true(includes_fail(in, SV("/m"), "No such file", &kept));
    assert_false(kept);
    assert_false(includes_fail(in, SV("/m"), "No such file", &kept));
    assert_true(includes_fail(in, SV("/m"), "Another reason: No such file", &kept));
    assert_int_equal(get(in, ":include:/m", &v, &err), ANSWER_FAILED);
    assert_non_null(strstr(err.text, "No such file"));
    assert_int_equal(get(in, ":include:/other", &v, &err), ANSWER_ABSENT);
    assert_int_equal(get(in, ":include:/l//2", &v, &err), ANSWER_ABSENT);
    assert_int_equal(get(in, ":include:/l//0", &v, &err), ANSWER_ABSENT);
    assert_int_equal(get(in, ":include:/l//x", &v, &err), ANSWER_ABSENT);
    /* a bad line: it says where, and the members in use stay */
    assert_false(includes_set(in, SV("/l"), SV("a\n\"b\n"), &err));
    assert_non_null(strstr(err.text, "/l:2"));
    assert_true(includes_fail(in, SV("/l"), err.text, &kept));
    assert_true(kept);
    assert_int_equal(get(in, ":include:/l", &v, &err), ANSWER_FOUND);
    expect_text("kept", buf_view(&v), "a, b@x.org, :include:/n");
    /* of one that was never good there is nothing to keep */
    assert_false(includes_set(in, SV("/m"), SV("a\n\"b\n"), &err));
    assert_int_equal(get(in, ":include:/m", &v, &err), ANSWER_FAILED);
    /* a new table answers from what was read for the old one, lists in lists included */
    assert_true(includes_set(in, SV("/n"), SV("c\n"), &err));
    assert_true(includes_add(next, SV("/l"), &err));
    includes_adopt(next, in);
    assert_int_equal(get(next, ":include:/l", &v, &err), ANSWER_FOUND);
    assert_int_equal(get(next, ":include:/n", &v, &err), ANSWER_FOUND);
    assert_int_equal(get(in, ":include:/n", &v, &err), ANSWER_ABSENT);
    buf_clear(&v);
    includes_free(&in);
    includes_free(&next);
}

/* What is being written is not read while there is something to go on with. */
static void settling(void **state)
{
    struct includes *in = includes_new();
    struct identity a = { .text = "a", .fresh = true }, b = { .text = "b", .fresh = true };
    struct err err = { 0 };

    (void)state;
    assert_true(includes_add(in, SV("/l"), &err));
    assert_int_equal(includes_look(in, SV("/other"), &a), INCLUDE_SAME);
    assert_int_equal(includes_look(in, SV("/l"), &a), INCLUDE_READ);
    assert_true(includes_set(in, SV("/l"), SV("x\n"), &err));
    assert_int_equal(includes_look(in, SV("/l"), &a), INCLUDE_SAME);
    assert_int_equal(includes_look(in, SV("/l"), &b), INCLUDE_WAIT);
    assert_int_equal(includes_look(in, SV("/l"), &a), INCLUDE_SAME);
    assert_int_equal(includes_look(in, SV("/l"), &b), INCLUDE_READ);
    b.text[0] = 'c';
    assert_int_equal(includes_look(in, SV("/l"), &b), INCLUDE_WAIT);
    b.fresh = false;
    assert_int_equal(includes_look(in, SV("/l"), &b), INCLUDE_READ);
    includes_free(&in);
}

/* A list of 5000 members takes several answers; following them gives every member once. */
static void parts(void **state)
{
    struct includes *in = includes_new();
    struct err err = { 0 };
    struct buf text, v;
    char key[64] = ":include:/big";
    size_t members = 0, parts_n = 0;

    (void)state;
    buf_init(&text, 1u << 20);
    buf_init(&v, 65536);
    for (int i = 0; i < 5000; i++)
        buf_addf(&text, "member-with-a-long-name-%d@example.com\n", i);
    assert_true(includes_add(in, SV("/big"), &err));
    assert_true(includes_set(in, SV("/big"), buf_view(&text), &err));
    while (*key && get(in, key, &v, &err) == ANSWER_FOUND) {
        struct strv rest = buf_view(&v), item;

        assert_true(v.len <= 49152);
        parts_n++;
        key[0] = '\0';
        while (strv_cut(&rest, ',', &item)) {
            if (strv_starts(strv_trim(item), SV(":include:")))
                assert_true(strv_cstr(strv_trim(item), key, sizeof key));
            else
                members++;
        }
    }
    assert_int_equal(members, 5000);
    assert_true(parts_n > 3);
    buf_clear(&text);
    buf_clear(&v);
    includes_free(&in);
}

static void count_limit(void **state)
{
    struct includes *in = includes_new();
    struct err err = { 0 };
    char path[32];

    (void)state;
    for (unsigned i = 0; i < INCLUDES_MAX; i++) {
        snprintf(path, sizeof path, "/l%u", i);
        assert_true(includes_add(in, SV(path), &err));
    }
    assert_false(includes_add(in, SV("/one-more"), &err));
    includes_free(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths),
        cmocka_unit_test(answers),
        cmocka_unit_test(settling),
        cmocka_unit_test(parts),
        cmocka_unit_test(count_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
