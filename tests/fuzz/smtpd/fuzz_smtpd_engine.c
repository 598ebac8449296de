/* fuzz_smtpd_engine.c - a session cut in any way gives the same replies and the same messages; cleanup never
   sees an end without a beginning (the harness aborts) */
#include "harness.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
    size_t piece;
    unsigned delay;
    bool flaps;
} cuts[] = { { 0, 0, false }, { 1, 0, false }, { 7, 3, true } };

struct outcome {
    struct buf text;
    unsigned accepted;
    uint64_t bytes;
    bool closed;
};

static void run(struct harness *h, struct strv in, bool own, size_t cut, struct outcome *o)
{
    harness_again(h, own ? "127.0.0.1" : "192.0.2.1");
    h->delay = cuts[cut].delay;
    h->flaps = cuts[cut].flaps;
    h->up = !h->flaps;
    harness_run(h, in, cuts[cut].piece);
    buf_init(&o->text, 1u << 24);
    buf_addv(&o->text, harness_transcript(h));
    o->accepted = h->accepted;
    o->bytes = h->bytes;
    o->closed = harness_closed(h);
    if (h->accepted > h->ends || h->ends > h->opens)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct harness h;
    static bool ready;
    struct outcome whole, other;
    struct strv in;
    bool own;

    if (size < 1 || size > 200000)
        return 0;
    if (!ready) {
        harness_quiet();
        harness_init(&h, "192.0.2.1");
        ready = true;
    }
    own = data[0] & 1;
    in = strv_make((const char *)data + 1, size - 1);
    h.service.strict_sync = false;
    run(&h, in, own, 0, &whole);
    for (size_t i = 1; i < sizeof cuts / sizeof *cuts; i++) {
        run(&h, in, own, i, &other);
        if (!strv_eq(buf_view(&whole.text), buf_view(&other.text)) || whole.accepted != other.accepted ||
            whole.bytes != other.bytes || whole.closed != other.closed)
            abort();
        buf_clear(&other.text);
    }
    buf_clear(&whole.text);
    /* As in life; here the cuts matter, because a group shows who did not wait. */
    h.service.strict_sync = true;
    run(&h, in, own, 0, &other);
    buf_clear(&other.text);
    return 0;
}
