/* fuzz_line.c - lines do not depend on how the bytes arrive, and hold no CR, LF or NUL */
#include "common/mail/line.h"
#include "tests/support/fuzz.h"

/* The lines and results as bytes. */
static void transcript(struct strv in, size_t max, size_t chunk, struct buf *out)
{
    struct line_reader r;
    struct buf pending;
    size_t fed = 0;

    buf_init(&pending, 1 << 22);
    line_init(&r, max);
    for (;;) {
        struct strv line, piece;
        size_t consumed;
        enum line_result result = line_next(&r, buf_view(&pending), &line, &consumed);

        must(consumed <= pending.len && (result == LINE_NONE || consumed > 0));
        must(result != LINE_OK || line.n <= max);
        must(!strv_has(line, '\n') && !strv_has(line, '\r') && (result != LINE_OK || !strv_has(line, '\0')));
        buf_addv(out, line);
        buf_drop(&pending, consumed);
        if (result != LINE_NONE)
            buf_addf(out, "[%d]", (int)result);
        must(result != LINE_NONE || pending.len <= max + 1);    /* what a peer can make us keep */
        if (result == LINE_FLOOD || (result == LINE_NONE && fed == in.n))
            break;
        if (result != LINE_NONE)
            continue;
        piece = strv_sub(in, fed, chunk);
        buf_addv(&pending, piece);
        fed += piece.n;
    }
    buf_clear(&pending);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t chunk;
    struct strv in = fuzz_input(data, size, &chunk);
    struct buf whole, cut;

    for (size_t max = 0; max < 200; max += 50) {
        buf_init(&whole, 1 << 22);
        buf_init(&cut, 1 << 22);
        transcript(in, max, SIZE_MAX, &whole);
        transcript(in, max, chunk, &cut);
        must(strv_eq(buf_view(&whole), buf_view(&cut)));
        buf_clear(&whole);
        buf_clear(&cut);
    }
    return 0;
}
