/* fuzz_path.c - what we accept as a path we must be able to write and read back unchanged */
#include "common/mail/path.h"
#include "tests/support/fuzz.h"

static void round_trip(enum path_kind kind, struct strv argument)
{
    struct path a, b;
    struct strv rest, none;
    struct buf out;
    const char *why = NULL;

    if (!path_parse(kind, argument, 0, &a, &rest, &why)) {
        must(why != NULL && address_is_null(&a.address));
        return;
    }
    must(rest.n == 0 || byte_is_blank((unsigned char)rest.p[0]));
    buf_init(&out, 4096);
    buf_adds(&out, kind == PATH_REVERSE ? "FROM:" : "TO:");
    address_format_path(&a.address, &out);
    must(path_parse(kind, buf_view(&out), 0, &b, &none, NULL));
    must(address_eq(&a.address, &b.address) && !b.had_route && none.n == 0);
    path_clear(&a);
    path_clear(&b);
    buf_clear(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const words[] = { "FROM:", "TO:", "FROM:<", "TO:<" };
    struct strv in = strv_make((const char *)data, size);
    struct buf full;

    round_trip(PATH_REVERSE, in);
    round_trip(PATH_FORWARD, in);
    for (int i = 0; i < 4; i++) {
        buf_init(&full, 1 << 22);
        buf_adds(&full, words[i]);
        buf_addv(&full, in);
        round_trip(i % 2 ? PATH_FORWARD : PATH_REVERSE, buf_view(&full));
        buf_clear(&full);
    }
    return 0;
}
