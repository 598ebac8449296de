/* fuzz_envelope.c - envelopes: what is read prints to itself, and no value makes a line */
#include "tests/support/fuzz.h"

#include "queued/envelope.h"

#include <string.h>

static void texts_settle(struct strv input)
{
    struct envelope e, back;
    struct buf first, second;

    envelope_init(&e);
    envelope_init(&back);
    if (envelope_parse(input, &e, NULL)) {
        buf_init(&first, ENVELOPE_MAX);
        buf_init(&second, ENVELOPE_MAX);
        envelope_print(&e, &first);
        must(envelope_parse(buf_view(&first), &back, NULL));
        envelope_print(&back, &second);
        must(strv_eq(buf_view(&first), buf_view(&second)));
        must(e.rcpt_n == back.rcpt_n && strv_eq(e.sender, back.sender) && strv_eq(e.origin, back.origin));
        buf_clear(&first);
        buf_clear(&second);
    }
    envelope_clear(&e);
    envelope_clear(&back);
}

/* The input, cut into values. */
static void values_come_back(struct strv input)
{
    struct envelope e, back;
    struct strv rest = input, value;
    struct buf text;

    envelope_init(&e);
    envelope_init(&back);
    if (strv_cut(&rest, '|', &value))
        e.sender = value;
    if (strv_cut(&rest, '|', &value))
        e.helo = value;
    if (strv_cut(&rest, '|', &value))
        e.origin = value;
    while (strv_cut(&rest, '|', &value)) {
        struct envelope_rcpt *r;

        if (value.n == 0)
            continue;
        r = envelope_add(&e);
        r->to = value;
        r->local = value.n % 2;
        r->original = strv_from(value, 1);
    }
    if (e.rcpt_n) {
        buf_init(&text, ENVELOPE_MAX);
        envelope_print(&e, &text);
        must(envelope_parse(buf_view(&text), &back, NULL));
        must(strv_eq(back.sender, e.sender) && strv_eq(back.helo, e.helo) && strv_eq(back.origin, e.origin));
        must(back.rcpt_n == e.rcpt_n);
        for (size_t i = 0; i < e.rcpt_n; i++)
            must(strv_eq(back.rcpts[i].to, e.rcpts[i].to) && back.rcpts[i].local == e.rcpts[i].local &&
                 strv_eq(back.rcpts[i].original, e.rcpts[i].original));
        buf_clear(&text);
    }
    envelope_clear(&e);
    envelope_clear(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct strv input = strv_make((const char *)data, size);

    texts_settle(input);
    values_come_back(input);
    return 0;
}
