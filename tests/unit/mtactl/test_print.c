/* test_print.c - what is printed is safe for a terminal and right for a parser; the columns of mailq */
#include "tests/support/unit.h"

#include "mtactl/mailq.h"
#include "mtactl/print.h"

#include <stdlib.h>

static void foreign_bytes(void **state)
{
    static const struct {
        const char *in, *safe, *json;
    } cases[] = {
        { "plain", "plain", "\"plain\"" },
        { "\x1b[31m\r\n", "\\x1b[31m\\x0d\\x0a", "\"\\u001b[31m\\u000d\\u000a\"" },
        { "a\"b\\c", "a\"b\\c", "\"a\\\"b\\\\c\"" },
        { "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f", "\"gr\xc3\xbc\xc3\x9f\"" },
        { "\xc2\x9b"
          "31m",
          "\\xc2\\x9b31m", "\"\\u00c2\\u009b31m\"" },
        { "\xff\xc3", "\\xff\\xc3", "\"\\u00ff\\u00c3\"" },
        { "\x7f", "\\x7f", "\"\\u007f\"" },
        { "", "", "\"\"" },
    };
    struct buf b;

    (void)state;
    buf_init(&b, 4096);
    for (size_t i = 0; i < COUNT(cases); i++) {
        buf_reset(&b);
        print_safe(&b, SV(cases[i].in));
        expect_text("safe", buf_view(&b), cases[i].safe);
        buf_reset(&b);
        print_json_string(&b, SV(cases[i].in));
        expect_text("json", buf_view(&b), cases[i].json);
    }
    buf_clear(&b);
}

static void ages_and_sizes(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 4096);
    print_age(&b, 59);
    buf_addc(&b, ' ');
    print_age(&b, 3599);
    buf_addc(&b, ' ');
    print_age(&b, 3600);
    buf_addc(&b, ' ');
    print_age(&b, 90000);
    buf_addc(&b, ' ');
    print_size(&b, 1023);
    buf_addc(&b, ' ');
    print_size(&b, 1536);
    expect_text("all", buf_view(&b), "59s 59m 59s 1h 0m 1d 1h 1023 B 1.5 KiB");
    buf_clear(&b);
}

static void tables_have_straight_columns(void **state)
{
    struct rows rows = { 0 };
    struct row *r = rows_add(&rows, "x");
    struct buf b;

    (void)state;
    row_put(r, "name", SV("a"));
    row_put_number(r, "n", 5);
    r = rows_add(&rows, "x");
    row_put(r, "name", SV("longer"));
    row_put_number(r, "n", 12345);
    rows_add(&rows, "y");
    buf_init(&b, 4096);
    assert_int_equal(print_table(&b, &rows, 0), 2);
    expect_text("table", buf_view(&b), "name    n\na       5\nlonger  12345\n");
    buf_reset(&b);
    print_json_row(&b, &rows.list[1]);
    expect_text("json", buf_view(&b), "{\"kind\":\"x\",\"name\":\"longer\",\"n\":12345}");
    buf_clear(&b);
    rows_clear(&rows);
}

static void message(struct mailq_view *v, const char *id, const char *state, const char *sender)
{
    struct rows rows = { 0 };
    struct row *r = rows_add(&rows, "message");

    row_put(r, "id", SV(id));
    row_put(r, "state", SV(state));
    row_put_number(r, "size", 1500);
    row_put_number(r, "arrival", 1795224566);
    row_put(r, "sender", SV(sender));
    mailq_row(v, r);
    rows_clear(&rows);
}

static void recipient(struct mailq_view *v, const char *to, const char *state, const char *reason)
{
    struct rows rows = { 0 };
    struct row *r = rows_add(&rows, "recipient");

    row_put(r, "recipient", SV(to));
    row_put(r, "state", SV(state));
    row_put(r, "reason", SV(reason));
    mailq_row(v, r);
    rows_clear(&rows);
}

static void columns_of_mailq(void **state)
{
    struct buf b;
    struct mailq_view v = { .out = &b };

    (void)state;
    setenv("TZ", "UTC", 1);
    buf_init(&b, 65536);
    message(&v, "0S9TMGJ4R4PWR", "deferred", "me@demo.test");
    recipient(&v, "a@remote.test", "deferred", "connect: refused\x1b");
    recipient(&v, "b@other.test", "active", "");
    message(&v, "0S9TMGJ5C4PWS", "running", "");
    recipient(&v, "c@remote.test", "running", "");
    message(&v, "0S9TMGJ5G4PWS", "held", "x@demo.test");
    recipient(&v, "d@remote.test", "failed", "550 no");
    mailq_end(&v);
    expect_text("mailq", buf_view(&b),
                "-Queue ID-      --Size-- ---Arrival Time---- -Sender/Recipient------\n"
                "0S9TMGJ4R4PWR       1500 Sat Nov 21 01:29:26 me@demo.test\n"
                "      (Deferred: connect: refused\\x1b)\n"
                "                                             a@remote.test\n"
                "                                             b@other.test\n"
                "\n"
                "0S9TMGJ5C4PWS*      1500 Sat Nov 21 01:29:26 MAILER-DAEMON\n"
                "                                             c@remote.test\n"
                "\n"
                "0S9TMGJ5G4PWS!      1500 Sat Nov 21 01:29:26 x@demo.test\n"
                "      (Failed: 550 no)\n"
                "                                             d@remote.test\n"
                "\n"
                "-- 5 Kbytes in 3 Requests.\n"
                "\t\tTotal requests: 3\n");
    buf_clear(&b);
}

static void empty_queue(void **state)
{
    struct buf b;
    struct mailq_view v = { .out = &b };

    (void)state;
    buf_init(&b, 4096);
    mailq_end(&v);
    expect_text("mailq", buf_view(&b), "Mail queue is empty\n\t\tTotal requests: 0\n");
    buf_clear(&b);
}

/* A row as it came is a view; one that is kept lies in one piece, what is put to it afterwards does not, and
   both go. */
static void a_row_that_came(void **state)
{
    struct rowpack pack;
    struct rowread reader;
    struct rows rows = { 0 };
    struct row r = { 0 };
    struct strv rest;
    struct buf b;

    (void)state;
    buf_init(&b, 4096);
    rowpack_init(&pack);
    rowread_init(&reader);
    for (unsigned twice = 0; twice < 2; twice++) {
        rowpack_begin(&pack, "k");
        for (unsigned i = 0; i < 15; i++) {
            if (i % 3)
                rowpack_text(&pack, "n", strv_make("\"x\"", i % 3 == 1 ? 0 : 3));
            else
                rowpack_number(&pack, "n", i ? UINT64_MAX : 0);
        }
        rowpack_end(&pack);
    }
    rest = rowpack_rows(&pack);
    assert_true(row_read(&r, &reader, &rest));
    assert_int_equal(r.n, 15);
    rows_take(&rows, &r);
    assert_true(row_read(&r, &reader, &rest));
    assert_int_equal(rest.n, 0);
    assert_int_equal(r.n, 15);
    memset(pack.bytes.data, 'X', pack.bytes.len); /* what was taken is its own */
    row_clear(&r);
    rowread_clear(&reader);
    rowpack_clear(&pack);
    row_put(&rows.list[0], "own", SV_LIT("text"));
    assert_int_equal(row_text(&rows.list[0], "own").n, 4);
    rows.list[0].n = 4; /* enough to read */
    print_json_row(&b, &rows.list[0]);
    expect_text("json", buf_view(&b),
                "{\"kind\":\"k\",\"n\":0,\"n\":\"\",\"n\":\"\\\"x\\\"\",\"n\":18446744073709551615}");
    rows.list[0].n = 16;
    rows_clear(&rows);
    buf_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(foreign_bytes),
        cmocka_unit_test(a_row_that_came),
        cmocka_unit_test(ages_and_sizes),
        cmocka_unit_test(tables_have_straight_columns),
        cmocka_unit_test(columns_of_mailq),
        cmocka_unit_test(empty_queue),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
