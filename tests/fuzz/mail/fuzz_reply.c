/* fuzz_reply.c - hostile replies are read within limits; ours come back as they were, whatever text they
   carry */
#include "common/mail/line.h"
#include "common/mail/reply.h"
#include "tests/support/fuzz.h"

static void read_them(struct strv in)
{
    struct line_reader reader;
    struct strv line;
    size_t consumed;
    struct reply r;
    struct buf joined;

    reply_init(&r);
    buf_init(&joined, 1 << 20);
    line_init(&reader, REPLY_LINE_READ_MAX);
    while (line_next(&reader, in, &line, &consumed) == LINE_OK) {
        enum reply_step step = reply_feed(&r, line);

        must((step == REPLY_BAD) == (reply_error(&r)[0] != '\0'));
        must(r.lines <= REPLY_LINES_MAX && r.text.len <= REPLY_BYTES_MAX);
        buf_reset(&joined);
        reply_text_joined(&r, &joined);
        must_be_printable(buf_view(&joined));
        must(!strv_has(reply_first_line(&r), '\n'));
        if (step == REPLY_BAD)
            break;
        must(r.code >= 200 && r.code <= 599 && (!status_is_set(r.status) || r.status.cls == r.code / 100));
        in = strv_from(in, consumed);
    }
    reply_clear(&r);
    buf_clear(&joined);
}

static void write_one(struct strv in, const char *enhanced)
{
    struct line_reader reader;
    struct strv line, rest;
    size_t consumed;
    enum reply_step step = REPLY_MORE;
    struct buf out;
    struct reply r;
    char text[REPLY_BYTES_MAX / 4];

    if (!strv_cstr(strv_sub(in, 0, 3000), text, sizeof text))
        return;
    buf_init(&out, 1 << 22);
    reply_init(&r);
    reply_write(&out, 550, enhanced, text);
    line_init(&reader, REPLY_LINE_MAX - 2);
    for (rest = buf_view(&out); rest.n > 0; rest = strv_from(rest, consumed)) {
        must(step == REPLY_MORE);       /* one reply, not two */
        must(line_next(&reader, rest, &line, &consumed) == LINE_OK);
        must_be_printable(line);
        step = reply_feed(&r, line);
        if (r.lines == REPLY_LINES_MAX)
            break;
    }
    must(step == REPLY_DONE || r.lines == REPLY_LINES_MAX);
    reply_clear(&r);
    buf_clear(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct strv in = strv_make((const char *)data, size), rest;
    struct status s, again;
    char text[STATUS_TEXT];

    read_them(in);
    write_one(in, NULL);
    write_one(in, "5.7.1");
    if (status_take(in, &s, &rest)) {
        status_text(s, text);
        must(status_parse(SV(text), &again) && strv_starts(in, SV(text)));
    }
    return 0;
}
