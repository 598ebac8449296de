/* fuzz_cleanup_message.c - messages cut anywhere: header and body are the message, whole and trickled
   alike; what is stored is the trace field, the header and nothing that the sender could add behind our back
 */
#include "tests/support/fuzz.h"

#include "cleanup/headers.h"
#include "cleanup/service.h"
#include "common/mail/received.h"

static struct cleanup cl;

static struct txn *feed(struct strv text, size_t chunk, bool own)
{
    struct txn *t = txn_new(&cl);

    t->own = own;
    for (size_t at = 0; at < text.n; at += chunk < text.n - at ? chunk : text.n - at)
        txn_data(t, strv_sub(text, at, chunk));
    txn_data_end(t);
    return t;
}

static void same(const struct txn *a, const struct txn *b)
{
    must(txn_is_refused(a) == txn_is_refused(b));
    if (txn_is_refused(a))
        return;
    must(strv_eq(buf_view(&a->head), buf_view(&b->head)));
    must(strv_eq(buf_view(&a->body), buf_view(&b->body)));
    must(a->body_size == b->body_size && a->body.len == a->body_size);
    must(a->received == b->received);
}

static size_t fields_of(struct strv block, struct strv *rest)
{
    struct header_field f;
    size_t n = 0;

    while (header_next(&block, &f))
        n++;
    *rest = block;
    return n;
}

static bool listed(struct strv block)
{
    struct header_field f;

    while (header_next(&block, &f))
        if (strv_istarts(f.name, SV_LIT("List-")))
            return true;
    return false;
}

static void stored(const struct txn *t, bool own)
{
    bool bulk = false;
    struct received trace = {
        .helo = SV_LIT("h"), .by = SV_LIT("mx.own.test"), .uid = -1, .id = SV_LIT("0123456789ABC")
    };
    struct headers_in in = { .block = buf_view(&t->head),
                             .received = &trace,
                             .own = own,
                             .bulk = &bulk,
                             .id = SV_LIT("0123456789ABC"),
                             .hostname = SV_LIT("mx.own.test"),
                             .max_hops = 50 };
    struct strv rest, rest_before;
    struct header_field f;
    struct buf out;
    size_t n;

    buf_init(&out, 1u << 20);
    if (headers_build(&in, &out) == HEADERS_OK) {
        must(!bulk || header_count(in.block, "Precedence") || listed(in.block));
        n = fields_of(buf_view(&out), &rest);
        must(rest.n == 0);
        if (!own) {
            must(n == fields_of(in.block, &rest_before) + 1);
            must(strv_ends(buf_view(&out), in.block));
        } else {
            must(header_count(buf_view(&out), "Date") >= 1 &&
                 header_count(buf_view(&out), "Message-ID") >= 1);
            must(!header_find(buf_view(&out), "Bcc", &f) && !header_find(buf_view(&out), "Resent-Bcc", &f));
        }
    }
    buf_clear(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t chunk;
    struct strv text = fuzz_input(data, size, &chunk);
    struct txn *whole, *cut;

    if (text.n > 512 * 1024)
        return 0;
    whole = feed(text, SIZE_MAX, true);
    cut = feed(text, chunk, true);
    same(whole, cut);
    txn_free(&whole);
    txn_free(&cut);
    whole = feed(text, SIZE_MAX, false);
    cut = feed(text, chunk, false);
    same(whole, cut);
    if (!txn_is_refused(whole)) {
        stored(whole, false);
        stored(whole, true);
    }
    txn_free(&whole);
    txn_free(&cut);
    return 0;
}
