/* fuzz_dot.c - the dot codec: pieces equal the whole, encode and decode are inverse, nothing bare ever
   leaves */
#include "common/mail/dot.h"
#include "tests/support/fuzz.h"

static enum dot_step decode(struct strv in, size_t chunk, struct dot_decoder *d, struct buf *out,
                            size_t *used)
{
    enum dot_step step = DOT_MORE;

    dot_decode_init(d);
    *used = 0;
    while (*used < in.n && step == DOT_MORE) {
        struct strv piece = strv_sub(in, *used, chunk);
        size_t consumed, before = out->len;

        step = dot_decode(d, piece, out, &consumed);
        must(step == DOT_END || consumed == piece.n);
        must(out->len - before <= piece.n + 2);
        *used += consumed;
    }
    must(d->decoded == out->len);
    return step;
}

static bool encode(struct strv in, size_t chunk, struct buf *out)
{
    struct dot_encoder e;

    dot_encode_init(&e);
    for (size_t done = 0; done < in.n;) {
        struct strv piece = strv_sub(in, done, chunk);

        if (!dot_encode(&e, piece, out))
            return false;
        done += piece.n;
    }
    return dot_encode_end(&e, out);
}

static void nothing_bare(struct strv s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\n')
            must(i > 0 && s.p[i - 1] == '\r');
        if (s.p[i] == '\r')
            must(i + 1 < s.n && s.p[i + 1] == '\n');
    }
}

/* Any bytes as wire data. */
static void from_wire(struct strv in, size_t chunk)
{
    struct dot_decoder d, e;
    struct buf a, b, wire;
    size_t used, used_cut;
    enum dot_step step;

    buf_init(&a, 1 << 24);
    buf_init(&b, 1 << 24);
    buf_init(&wire, 1 << 24);
    step = decode(in, SIZE_MAX, &d, &a, &used);
    must(decode(in, chunk, &e, &b, &used_cut) == step && used == used_cut);
    must(strv_eq(buf_view(&a), buf_view(&b)));
    must(d.bare_cr == e.bare_cr && d.bare_lf == e.bare_lf && d.nul == e.nul && d.state == e.state);
    if (step == DOT_END) {
        must(used >= 3 && memcmp(in.p + used - 3, ".\r\n", 3) == 0);
        must(used == 3 || (used >= 5 && memcmp(in.p + used - 5, "\r\n", 2) == 0));
        must(encode(buf_view(&a), chunk, &wire) == (d.bare_cr + d.bare_lf == 0));
    }
    buf_clear(&a);
    buf_clear(&b);
    buf_clear(&wire);
}

/* Any bytes as a message. */
static void from_message(struct strv in, size_t chunk)
{
    struct dot_decoder d;
    struct buf a, b, back;
    size_t used;
    bool ok, eol = in.n == 0 || strv_ends(in, SV_LIT("\r\n"));

    buf_init(&a, 1 << 24);
    buf_init(&b, 1 << 24);
    buf_init(&back, 1 << 24);
    ok = encode(in, SIZE_MAX, &a);
    must(encode(in, chunk, &b) == ok);
    nothing_bare(buf_view(&a));
    nothing_bare(buf_view(&b));
    if (ok) {
        must(strv_eq(buf_view(&a), buf_view(&b)));
        must(decode(buf_view(&a), chunk, &d, &back, &used) == DOT_END && used == a.len);
        must(!d.bare_cr && !d.bare_lf && back.len == in.n + (eol ? 0 : 2));
        must(strv_starts(buf_view(&back), in));
    }
    buf_clear(&a);
    buf_clear(&b);
    buf_clear(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t chunk;
    struct strv in = fuzz_input(data, size, &chunk);

    from_wire(in, chunk);
    from_message(in, chunk);
    return 0;
}
