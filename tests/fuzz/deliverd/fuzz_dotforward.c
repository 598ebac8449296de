/* fuzz_dotforward.c - any ~/.forward: targets are bounded, hold no line breaks, are what they look like */
#include "tests/support/fuzz.h"

#include "deliverd/agent/dotforward.h"

static void target_check(struct strv t)
{
    must(t.n > 0 && t.n <= DOTFORWARD_TARGET_MAX + 1);
    for (size_t i = 0; i < t.n; i++)
        must(t.p[i] == '\t' || ((unsigned char)t.p[i] >= ' ' && t.p[i] != 127));
    must(t.p[0] != '|' || t.n > 1);
    must(t.p[0] != '\\' || t.n > 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct strv content = strv_make((const char *)data, size);
    struct dotforward d;
    struct err err = { 0 };

    dotforward_init(&d);
    if (dotforward_parse(content, &d, &err)) {
        must(d.n <= DOTFORWARD_TARGETS_MAX);
        for (size_t i = 0; i < d.n; i++) {
            target_check(dotforward_target(&d, i));
            must(dotforward_has(&d, dotforward_target(&d, i)));
        }
    } else {
        must(err.cls == ERR_CONF && err.text[0]);
    }
    dotforward_clear(&d);
    return 0;
}
