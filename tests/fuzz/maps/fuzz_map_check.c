/* fuzz_map_check.c - any bytes as the source of a table: the look at it ends, and its lines exist */
#include "tests/support/fuzz.h"

#include "maps/check.h"

struct seen {
    size_t lines, said;
};

static void on_say(void *arg, enum check_level level, unsigned line, const char *text)
{
    struct seen *s = arg;

    must(level <= CHECK_ERROR && line >= 1 && line <= s->lines && text[0]);
    s->said++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct strv text = strv_make((const char *)data, size);
    struct seen seen = { .lines = 1 };

    for (size_t i = 0; i < size; i++)
        seen.lines += data[i] == '\n';
    for (int aliases = 0; aliases < 2; aliases++) {
        struct map_check c = { .aliases = aliases, .file = "f", .say = on_say, .arg = &seen };

        map_check_text(&c, text);
        must(c.duplicates <= c.entries && c.errors + c.faults <= seen.said);
    }
    map_check_is_aliases(text);
    return 0;
}
