/* fuzz_text.c - what has a text form comes back from it: addresses, prefixes, base64, identities, log
   values */
#include "common/base/b64.h"
#include "common/base/id.h"
#include "common/base/log.h"
#include "common/base/netaddr.h"
#include "tests/support/fuzz.h"

static void netaddrs(struct strv in)
{
    struct netaddr a, b;
    struct netprefix p, q;
    const char *why = NULL;
    char text[80];

    if (netaddr_parse(in, &a, true)) {
        must(netaddr_parse(strv_make(text, netaddr_text(&a, text, sizeof text)), &b, true));
        must(netaddr_eq_ip(&a, &b) && a.port == b.port);
    }
    if (netaddr_parse_ip(in, &a)) {
        must(netaddr_parse_ip(strv_make(text, netaddr_ip_text(&a, text, sizeof text)), &b));
        must(netaddr_eq_ip(&a, &b));
    }
    if (netaddr_parse_literal(in, &a)) {
        must(netaddr_parse_literal(strv_make(text, netaddr_literal_text(&a, text, sizeof text)), &b));
        must(netaddr_eq_ip(&a, &b));
    }
    if (netprefix_parse(in, &p, &why)) {
        must(netprefix_parse(strv_make(text, netprefix_text(&p, text, sizeof text)), &q, &why));
        must(p.bits == q.bits && netaddr_eq_ip(&p.addr, &q.addr));
        must(netprefix_contains(&p, &p.addr));
    } else {
        must(why != NULL);
    }
}

static void base64(struct strv in)
{
    struct buf text, data;

    buf_init(&text, 1 << 22);
    buf_init(&data, 1 << 22);
    b64_encode(in, &text);
    must(b64_decode(buf_view(&text), &data) && strv_eq(buf_view(&data), in));
    buf_reset(&text);
    buf_reset(&data);
    if (b64_decode(in, &data)) {
        b64_encode(buf_view(&data), &text);
        must(strv_eq(buf_view(&text), in));     /* one value, one text */
    }
    buf_clear(&text);
    buf_clear(&data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct strv in = strv_make((const char *)data, size), rest, word;
    struct kv kv[] = { KV("k", in), KI("n", 1), { .key = NULL } };
    char line[300], id[ID_TEXT_SIZE];
    uint64_t v;

    netaddrs(in);
    base64(in);
    if (id_parse(in, &v)) {
        id_text(v, id);
        must(strv_is(in, id));
    }
    must_be_printable(strv_make(line, log_format(line, sizeof line, "e", kv)));
    for (rest = in; strv_word(&rest, &word);)
        must(word.n > 0);
    return 0;
}
