/* fuzz_record.c - segments: the scan finds what is whole, never what was not written there */
#include "tests/support/fuzz.h"

#include "queued/record.h"

#include <string.h>

#define NONCE   "0123456789abcdef0123456789abcdef"
#define OTHER   "fedcba9876543210fedcba9876543210"
#define SEGMENT 7u
#define MAX     65536u

static void add(struct buf *b, uint64_t id, struct strv body)
{
    static const char envelope[] = "sender: a@b\nlocal: c@d\n\n";
    struct record_sizes sizes = { sizeof envelope - 1, 0, body.n };
    char line[RECORD_LINE_LEN];
    size_t at = b->len;

    record_line(line, id, &sizes);
    buf_add(b, line, sizeof line);
    buf_add(b, envelope, sizeof envelope - 1);
    buf_adds(b, "\r\n");
    buf_addv(b, body);
    buf_addc(b, '\n');
    record_seal(b->data + at, b->len - at, NONCE, SEGMENT, at);
}

/* The input as it is: whatever is found is what the checks say. */
static void raw(struct strv input)
{
    struct record_scan s = { .bytes = input, .nonce = NONCE, .segment = SEGMENT };
    enum record_scan_step step;
    struct record r, again;
    size_t last = 0;

    while ((step = record_next(&s, &r)) != RECORD_END) {
        must(s.at <= input.n);
        if (step == RECORD_DAMAGE) {
            must(s.damage_len > 0 && s.damage_at + s.damage_len == s.at && s.damage_at >= last);
            continue;
        }
        must(s.at > last && r.len <= s.at);
        must(record_parse(strv_from(input, s.at - r.len), NONCE, SEGMENT, s.at - r.len, &again));
        must(r.envelope.n + r.message.n <= r.len);
        last = s.at;
    }
}

/* Three records whose middle one has the input as its body, and one byte damaged where the input says. What
   a stranger can send: lines of records with the nonce of another segment ('#'), and copies of a whole record
   of this one ('@'). Not the nonce alone: who knows it can forge a record, and a fuzzer that sees the
   checksum compared does so. */
static void carrier(struct strv input)
{
    struct buf b, body;
    struct record r;
    size_t bounds[4] = { 0 }, hit, found = 0;
    uint8_t where[2] = { 0, 0 };

    if (input.n < 2)
        return;
    memcpy(where, input.p, 2);
    buf_init(&b, MAX * 200);
    add(&b, 1, SV_LIT("short"));
    bounds[1] = b.len;
    buf_init(&body, MAX * 150);
    for (size_t i = 2; i < input.n; i++) {
        if (input.p[i] == '#')
            buf_adds(&body, OTHER);
        else if (input.p[i] == '@')
            buf_addv(&body, buf_view(&b));
        else
            buf_addc(&body, input.p[i]);
    }
    for (uint64_t id = 2; id <= 3; id++) {
        add(&b, id, id == 2 ? buf_view(&body) : SV_LIT("short"));
        bounds[id] = b.len;
    }
    hit = ((size_t)where[0] << 8 | where[1]) % b.len;
    b.data[hit] = (char)(b.data[hit] ^ 0x20);
    {
        struct record_scan s = { .bytes = buf_view(&b), .nonce = NONCE, .segment = SEGMENT };
        enum record_scan_step step;

        while ((step = record_next(&s, &r)) != RECORD_END) {
            if (step != RECORD_FOUND)
                continue;
            must(r.id >= 1 && r.id <= 3 && s.at == bounds[r.id] && r.len == bounds[r.id] - bounds[r.id - 1]);
            found++;
        }
    }
    must(found == 2);
    buf_clear(&b);
    buf_clear(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct strv input = strv_make((const char *)data, size);

    if (size > MAX)
        return 0;
    raw(input);
    carrier(input);
    return 0;
}
