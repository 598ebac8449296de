/* test_entry.c - journal lines and recipient lists */
#include "tests/support/unit.h"

#include "common/ipc/schema.h"
#include "queued/entry.h"
#include "queued/recovery.h"

#include <stdlib.h>
#include <string.h>

#define NONCE "0123456789abcdef0123456789abcdef"
#define OTHER "fedcba9876543210fedcba9876543210"

static struct entry sample(enum entry_kind kind)
{
    return (struct entry){
        .kind = kind,
        .id = 0x123456789abcdef,
        .list = SV("0-3,7"),
        .time = 1763681234,
        .due = 1763684834,
        .attempts = 3,
        .enhanced = SV("4.4.1"),
        .relay = SV("mx[192.0.2.1]:25"),
        .reply = SV("450 no\nnot now 100%"),
        .remote = true,
        .notice = NOTICE_DELAY,
        .segment = 4,
        .offset = 8192,
        .flags = 1,
        .text = SV("- by hand -"),
    };
}

static bool round_trip(const struct entry *e, struct entry *back, char *line, size_t size)
{
    struct buf b;
    size_t n;

    buf_init(&b, 65536);
    entry_print(e, NONCE, &b);
    n = b.len - 1;
    assert_true(b.len < size && b.data[n] == '\n' && !memchr(b.data, '\n', n));
    memcpy(line, b.data, n);
    buf_clear(&b);
    return entry_parse(line, n, NONCE, back);
}

static void every_kind_comes_back(void **state)
{
    static const char kinds[] = "DFSXTNHRVPBMGE=Z";
    char line[4096];

    (void)state;
    for (const char *k = kinds; *k; k++) {
        struct entry e = sample((enum entry_kind) * k), back;

        if (!round_trip(&e, &back, line, sizeof line))
            fail_msg("kind %c does not come back", *k);
        assert_int_equal(back.kind, e.kind);
        if (strchr("DFSXTNHRM", *k))
            assert_true(back.id == e.id);
        if (strchr("DFSXTN", *k))
            assert_true(strv_eq(back.list, e.list));
        if (strchr("FST", *k))
            assert_true(strv_eq(back.reply, e.reply) && strv_eq(back.relay, e.relay) &&
                        strv_eq(back.enhanced, e.enhanced) && back.remote);
        if (*k == 'T')
            assert_true(back.attempts == 3 && back.due == e.due);
        if (strchr("HZ", *k))
            assert_true(strv_eq(back.text, e.text));
        if (strchr("PSZ", *k))
            assert_true(back.flags == 1);
        if (strchr("VG", *k))
            assert_true(back.segment == 4 && back.offset == 8192);
    }
}

static void hostile_words(void **state)
{
    static const char *const words[] = { "",     "-",    "--",   " ",  "a b",         "%",
                                         "%%41", "\r\n", "x\ny", "\t", "\x7f\x80\xff" };
    char line[4096];

    (void)state;
    for (size_t i = 0; i < COUNT(words); i++) {
        struct entry e = sample(ENTRY_FAILED), back;

        e.reply = e.relay = SV(words[i]);
        assert_true(round_trip(&e, &back, line, sizeof line));
        assert_true(strv_eq(back.reply, e.reply) && strv_eq(back.relay, e.relay));
    }
}

static void wrong_lines(void **state)
{
    struct entry e = sample(ENTRY_DEFERRED), back;
    struct buf b;
    char line[4096];

    (void)state;
    buf_init(&b, 65536);
    entry_print(&e, NONCE, &b);
    for (size_t i = 0; i < b.len - 1; i++) {
        memcpy(line, b.data, b.len);
        line[i] = (char)(line[i] ^ 1);
        assert_false(entry_parse(line, b.len - 1, NONCE, &back));
        memcpy(line, b.data, b.len);
        assert_false(entry_parse(line, i, NONCE, &back));
    }
    memcpy(line, b.data, b.len);
    assert_false(entry_parse(line, b.len - 1, OTHER, &back));
    buf_clear(&b);
}

static void lists(void **state)
{
    static const struct {
        const char *text;
        bool ok;
    } cases[] = {
        { "0", true },    { "0-5", true },         { "1,3,5-9", true },    { "", false },
        { ",", false },   { "1,", false },         { "5-1", false },       { "1,1", false },
        { "3,2", false }, { "1-3,3", false },      { "a", false },         { "1-", false },
        { "-1", false },  { "4294967295", false }, { "4294967294", true }, { "1-2-3", false },
    };
    struct buf b;
    struct list_writer w = { .out = &b };
    static const uint32_t in[] = { 0, 1, 2, 5, 7, 8, 100 };
    struct strv rest;
    uint32_t first, last;
    size_t n = 0;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        expect_bool(cases[i].text, list_valid(SV(cases[i].text)), cases[i].ok);
    buf_init(&b, 1000);
    for (size_t i = 0; i < COUNT(in); i++)
        list_write(&w, in[i]);
    list_finish(&w);
    expect_text("list", buf_view(&b), "0-2,5,7-8,100");
    rest = buf_view(&b);
    while (ranges_next(&rest, &first, &last))
        for (uint32_t i = first; i <= last; i++)
            assert_int_equal(i, in[n++]);
    assert_int_equal(n, COUNT(in));
    buf_clear(&b);
}

static void origins(void **state)
{
    static const struct {
        const char *text;
        bool ok;
    } cases[] = {
        { "notice/0000000000001/0-4/failure", true },
        { "notice/0000000000001/0/delay", true },
        { "notice/0000000000001/0/success", true },
        { "notice/0000000000001/0-3/double", true },
        { "notice/0000000000001/0/relayed", false },
        { "notice/0000000000001/0/failure/x", false },
        { "notice/000000000001/0/failure", false },
        { "notice/0000000000001//failure", false },
        { "notice/0000000000001/0", false },
        { "notice/", false },
        { "drop/x", false },
        { "", false },
    };
    struct entry e;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        expect_bool(cases[i].text, origin_notice(SV(cases[i].text), &e), cases[i].ok);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_comes_back),
        cmocka_unit_test(hostile_words),
        cmocka_unit_test(wrong_lines),
        cmocka_unit_test(lists),
        cmocka_unit_test(origins),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
