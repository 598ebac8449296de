/* body.c - the data of one message on their way in */
#include "smtpd/body.h"

/* dot_decode wants room for two bytes more than its input. */
#define SLACK 2u

void body_begin(struct body *b)
{
    dot_decode_init(&b->dot);
    buf_init(&b->data, BODY_CHUNK);
    b->discard = false;
}

void body_clear(struct body *b)
{
    buf_clear(&b->data);
    b->discard = false;
}

void body_discard(struct body *b)
{
    b->discard = true;
    buf_reset(&b->data);
}

uint64_t body_size(const struct body *b)
{
    return b->dot.decoded;
}

enum body_step body_feed(struct body *b, struct strv in, size_t *used)
{
    *used = 0;
    while (*used < in.n) {
        size_t room, n;
        struct strv part;

        if (b->discard)
            buf_reset(&b->data);
        room = BODY_CHUNK - b->data.len;
        if (room <= SLACK)
            return BODY_FULL;
        part = strv_sub(in, *used, room - SLACK);
        /* One allocation for a small message instead of a growing series. */
        buf_reserve(&b->data, part.n + SLACK);
        if (dot_decode(&b->dot, part, &b->data, &n) == DOT_END) {
            *used += n;
            return BODY_END;
        }
        *used += n;
    }
    return BODY_MORE;
}
