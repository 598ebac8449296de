/* fuzz_map_source.c - table sources: entries within bounds, the line advances, and an entry that is
   written out in the plainest form is read back the same */
#include "tests/support/fuzz.h"

#include "maps/include.h"
#include "maps/keys.h"
#include "maps/source.h"

static void write_key(enum source_syntax syntax, struct strv key, struct buf *out)
{
    buf_addc(out, '"');
    for (size_t i = 0; i < key.n; i++) {
        if (key.p[i] == '"' || key.p[i] == '\\')
            buf_addc(out, '\\');
        buf_addc(out, key.p[i]);
    }
    buf_adds(out, syntax == SYNTAX_ALIASES ? "\": " : "\" ");
}

static void again(enum source_syntax syntax, struct strv key, struct strv value)
{
    struct source s;
    struct strv k, v;
    struct err err = { 0 };
    struct buf line;

    if (strv_ends(value, SV_LIT("\\")))
        return; /* at the end of a line it would continue */
    buf_init(&line, 1u << 18);
    if (syntax != SYNTAX_INCLUDE)
        write_key(syntax, key, &line);
    buf_addv(&line, value);
    buf_addc(&line, '\n');
    source_init(&s, buf_view(&line), syntax, "t");
    must(source_next(&s, &k, &v, &err) == SOURCE_ENTRY);
    must(strv_eq(k, key) && strv_eq(v, value));
    must(source_next(&s, &k, &v, &err) == SOURCE_END);
    source_clear(&s);
    buf_clear(&line);
}

static void include_content(struct strv text)
{
    struct includes *in = includes_new();
    struct err err = { 0 };
    struct map_value value;
    enum ipc_answer a;

    must(includes_add(in, SV_LIT("/l"), &err));
    if (includes_set(in, SV_LIT("/l"), text, &err)) {
        a = includes_get(in, SV_LIT(":include:/l"), &value, &err);
        must(a == ANSWER_FOUND && value.text.n <= SOURCE_VALUE_MAX);
    } else {
        a = includes_get(in, SV_LIT(":include:/l"), &value, &err);
        must(a == ANSWER_FAILED && err.text[0]);
    }
    must(includes_count(in) <= INCLUDES_MAX);
    includes_free(&in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum source_syntax syntax = size ? (enum source_syntax)(data[0] % 3) : SYNTAX_TEXT;
    struct strv text = size ? strv_make((const char *)data + 1, size - 1) : strv_make("", 0);
    struct source s;
    struct strv key, value;
    struct err err = { 0 };
    enum source_step step;
    unsigned line = 0;

    source_init(&s, text, syntax, "t");
    while ((step = source_next(&s, &key, &value, &err)) == SOURCE_ENTRY) {
        must(s.at > line);
        line = s.at;
        must(key.n <= SOURCE_KEY_MAX && value.n <= SOURCE_VALUE_MAX + SOURCE_KEY_MAX + 256);
        must(syntax == SYNTAX_INCLUDE ? key.n == 0 : key.n > 0 && value.n > 0);
        again(syntax, key, value);
        source_survey(value);
    }
    must(step == SOURCE_END || err.text[0] == 't');
    source_clear(&s);
    if (syntax == SYNTAX_INCLUDE)
        include_content(text);
    return 0;
}
