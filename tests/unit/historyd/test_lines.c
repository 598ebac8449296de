/* test_lines.c - what daemons send, what lines are found by, blocks; the table of events */
#include "common/base/log.h"
#include "common/base/log_read.h"
#include "common/base/mem.h"
#include "common/proc/feed.h"
#include "historyd/block.h"
#include "historyd/feed.h"
#include "historyd/keys.h"
#include "tests/support/unit.h"

#include <stdlib.h>

static const char *const odd[] = { "",    "plain", "a b", "a\"b\\c", "\r\n\t", "\x01\x7f\xff",
                                   "x=y", "...",   "\\",  "\"" };

static void what_was_written_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(odd); i++) {
        char line[4096], plain[64];
        const struct kv kv[] = { KS("first", odd[i]), KI("n", 7), KS("last", "z"), { .key = NULL } };
        struct strv rest = strv_make(line, log_format(line, sizeof line, "a.b.c", kv)), key, value;

        assert_true(log_read(&rest, &key, &value));
        expect_text("event", value, "a.b.c");
        assert_true(log_read(&rest, &key, &value));
        expect_text("key", key, "first");
        expect_text("value", strv_make(plain, log_value(value, plain, sizeof plain)), odd[i]);
        assert_true(log_read(&rest, &key, &value));
        expect_text("number", value, "7");
        assert_true(log_read(&rest, &key, &value));
        expect_text("last", value, "z");
        assert_false(log_read(&rest, &key, &value));
    }
}

static void what_is_no_line_ends(void **state)
{
    static const char *const bad[] = {
        "", " ", "x", "=y", "k=\"open", "k=\"a\"b", "k=\"\\", "\"k\"=v", "k =v"
    };
    struct strv key, value;

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct strv rest = SV(bad[i]);

        expect_bool(bad[i], log_read(&rest, &key, &value), false);
    }
}

static size_t frame_put(char *dst, uint8_t level, int64_t ms, const char *text)
{
    size_t n = strlen(text);

    dst[0] = (char)(n >> 8);
    dst[1] = (char)n;
    dst[2] = (char)level;
    for (unsigned i = 0; i < 8; i++)
        dst[3 + i] = (char)((uint64_t)ms >> (56 - 8 * i));
    memcpy(dst + FEED_HEAD, text, n);
    return FEED_HEAD + n;
}

static void frames(void **state)
{
    char bytes[512];
    size_t n = frame_put(bytes, LOG_LV_INFO, 1234567890123, "event=a.b id=X"), one = n;
    struct strv rest;
    struct line line;

    (void)state;
    n += frame_put(bytes + n, LOG_LV_WARN, 5, "event=c");
    rest = strv_make(bytes, n);
    assert_int_equal(feed_next(&rest, &line), FEED_LINE);
    expect_text("first", line.text, "event=a.b id=X");
    assert_true(line.ms == 1234567890123 && line.level == LOG_LV_INFO);
    assert_int_equal(feed_next(&rest, &line), FEED_LINE);
    expect_text("second", line.text, "event=c");
    assert_int_equal(feed_next(&rest, &line), FEED_END);
    for (size_t cut = 1; cut < one; cut++) {
        rest = strv_make(bytes, cut);
        assert_int_equal(feed_next(&rest, &line), FEED_BROKEN);
    }
}

static void frames_that_none_of_ours_sends(void **state)
{
    static const struct {
        const char *text;
        uint8_t level;
        int64_t ms;
    } bad[] = { { "x", 0, 0 },
                { "event=a\n", 0, 0 },
                { "event=\x80", 0, 0 },
                { "event=a", 9, 0 },
                { "event=a", 0, -1 } };
    struct line line;
    char bytes[256];

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct strv rest = strv_make(bytes, frame_put(bytes, bad[i].level, bad[i].ms, bad[i].text));

        assert_int_equal(feed_next(&rest, &line), FEED_BROKEN);
    }
}

static bool found(const char *text, const char *key)
{
    uint32_t keys[KEYS_MAX];
    char dst[KEY_TEXT];
    struct strv form = key_form(SV(key), dst);
    size_t n = keys_of(SV(text), keys);
    bool by_hash = false;

    for (size_t i = 0; i < n; i++)
        by_hash = by_hash || keys[i] == key_hash(form);
    assert_int_equal(by_hash, keys_match(SV(text), &form, 1));
    return by_hash;
}

static void lines_are_found_by(void **state)
{
    static const char text[] =
        "event=x id=0S9T6Z2G451B9 sender=A.B@Example.COM to=\"\\\"odd box\\\"@b.example\" "
        "message_id=<Abc$1@h.example> client=192.0.2.7 relay=mx.c.example reply=\"d@e.example no\"";

    (void)state;
    expect_bool("id", found(text, "0S9T6Z2G451B9"), true);
    expect_bool("id in lower case", found(text, "0s9t6z2g451b9"), true);
    expect_bool("sender", found(text, "a.b@example.com"), true);
    expect_bool("its domain", found(text, "@EXAMPLE.com"), true);
    expect_bool("quoted", found(text, "\"odd box\"@b.example"), true);
    expect_bool("Message-ID", found(text, "<abc$1@h.example>"), true);
    expect_bool("without brackets", found(text, "ABC$1@h.example"), true);
    expect_bool("client", found(text, "192.0.2.7"), true);
    expect_bool("relay", found(text, "mx.c.example"), false);
    expect_bool("words", found(text, "d@e.example"), false);
    expect_bool("null sender", found("event=x sender=<> id=Q", ""), false);
}

static void blocks(void **state)
{
    char text[128], dst[KEY_TEXT], *bytes = mem_new(BLOCK_SIZE);
    struct block_view v;
    struct block b;
    struct line line = { .role = 3, .index = 1, .level = LOG_LV_INFO };
    uint32_t n = 0;
    struct strv rest;

    (void)state;
    block_init(&b);
    do {
        snprintf(text, sizeof text, "event=x id=ID%u sender=u%u@x.example", n, n % 7);
        line.text = SV(text);
        line.ms = 1000 + n;
    } while (block_add(&b, &line) && ++n);
    assert_true(n > 500);
    block_write(&b, bytes);
    assert_true(block_view(strv_make(bytes, BLOCK_SIZE), &v) && block_sound(strv_make(bytes, BLOCK_SIZE)));
    assert_true(v.line_n == n && v.first_ms == 1000 && v.last_ms == 1000 + n - 1);
    for (uint32_t i = 0; i < n; i += 50) {
        snprintf(text, sizeof text, "id%u", i);
        assert_true(block_has(&v, key_hash(key_form(SV(text), dst))));
    }
    assert_false(block_has(&v, key_hash(SV("nobody"))));
    rest = v.lines;
    for (uint32_t i = 0; i < n; i++)
        assert_true(block_next(&rest, &line) && line.ms == 1000 + i && line.role == 3);
    assert_false(block_next(&rest, &line));
    bytes[BLOCK_HEAD + 100] ^= 1;
    assert_false(block_sound(strv_make(bytes, BLOCK_SIZE)));
    bytes[0] ^= 1;
    assert_false(block_view(strv_make(bytes, BLOCK_SIZE), &v));
    block_clear(&b);
    free(bytes);
}

/* Every event is in the catalogue, with a key that it is found by. */
static void events_stand_in_the_catalogue(void **state)
{
    FILE *f = fopen("docs/LOGGING.md", "r");
    static char line[8192];
    unsigned met = 0, events = 0;

    (void)state;
    assert_non_null(f);
    for (const char *const *e = feed_events; *e; e++, events++) {
        if (e != feed_events)
            assert_true(strcmp(e[-1], e[0]) < 0);
        assert_true(feed_wants(LOG_LV_INFO, *e));
        assert_false(feed_wants(LOG_LV_DEBUG, *e));
    }
    assert_false(feed_wants(LOG_LV_INFO, "smtp.session.ended"));
    while (fgets(line, sizeof line, f)) {
        for (const char *const *e = feed_events; *e; e++) {
            char mark[80];
            bool key = false;

            snprintf(mark, sizeof mark, "| `%s` |", *e);
            if (strncmp(line, mark, strlen(mark)) != 0)
                continue;
            for (const char *const *k = key_names; *k && !key; k++) {
                snprintf(mark, sizeof mark, "`%s`", *k);
                key = strstr(line, mark) != NULL;
            }
            expect_bool(*e, key, true);
            met++;
        }
    }
    fclose(f);
    assert_int_equal(met, events);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(what_is_no_line_ends),
        cmocka_unit_test(frames),
        cmocka_unit_test(frames_that_none_of_ours_sends),
        cmocka_unit_test(lines_are_found_by),
        cmocka_unit_test(blocks),
        cmocka_unit_test(events_stand_in_the_catalogue),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
