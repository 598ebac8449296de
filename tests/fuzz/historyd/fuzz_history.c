/* fuzz_history.c - what daemons send, and blocks as they are on disk: read within bounds, kept as they came,
   and every line is found by each of its keys */
#include "common/base/log_read.h"
#include "historyd/block.h"
#include "historyd/feed.h"
#include "historyd/keys.h"
#include "tests/support/fuzz.h"

static void must_find(struct strv text, const struct block_view *v)
{
    uint32_t keys[KEYS_MAX];
    size_t n = keys_of(text, keys);
    struct strv rest = text, name, value;
    char plain[4096], dst[KEY_TEXT];

    must(n <= KEYS_MAX);
    for (size_t i = 0; i < n; i++)
        must(block_has(v, keys[i]));
    while (log_read(&rest, &name, &value)) {
        struct strv form;

        must(name.n > 0 && value.n <= text.n);
        must(log_value(value, plain, sizeof plain) <= sizeof plain);
        if (!strv_is(name, "id"))
            continue;
        form = key_form(strv_make(plain, log_value(value, plain, KEY_TEXT)), dst);
        must(form.n == 0 || keys_match(text, &form, 1));
    }
}

static void feed(struct strv in)
{
    static char bytes[BLOCK_SIZE];
    struct block b;
    struct block_view v;
    struct line line = { .role = 1 }, back;
    struct strv rest = in, lines;
    uint32_t n = 0;

    block_init(&b);
    while (feed_next(&rest, &line) == FEED_LINE && block_add(&b, &line))
        n++;
    block_write(&b, bytes);
    must(block_view(strv_make(bytes, BLOCK_SIZE), &v) && block_sound(strv_make(bytes, BLOCK_SIZE)) &&
         v.line_n == n);
    rest = in;
    lines = v.lines;
    while (n-- > 0) {
        must(feed_next(&rest, &line) == FEED_LINE && block_next(&lines, &back));
        must(strv_eq(line.text, back.text) && line.ms == back.ms && line.level == back.level);
        must_find(back.text, &v);
    }
    must(!block_next(&lines, &back));
    block_clear(&b);
}

/* Damage that the checksum did not see. */
static void disk(struct strv in)
{
    static char bytes[BLOCK_SIZE];
    struct block_view v;
    struct line line;

    memset(bytes, 0, sizeof bytes);
    memcpy(bytes, in.p, in.n < BLOCK_SIZE ? in.n : BLOCK_SIZE);
    if (!block_view(strv_make(bytes, BLOCK_SIZE), &v))
        return;
    block_has(&v, 12345);
    while (block_next(&v.lines, &line))
        keys_match(line.text, &line.text, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct strv in = strv_make((const char *)data, size);
    struct strv name, value;

    feed(in);
    disk(in);
    while (log_read(&in, &name, &value))
        must(name.n > 0);
    return 0;
}
