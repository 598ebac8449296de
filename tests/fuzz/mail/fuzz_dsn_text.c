/* fuzz_dsn_text.c - a file of templates, and notices made with it: no broken line, no foreign field */
#include "common/mail/dsn.h"
#include "common/mail/header.h"

#include "tests/support/fuzz.h"

static void fill(const struct dsn_texts *texts, struct strv foreign)
{
    struct dsn_rcpt rcpt = {
        .rcpt = foreign,
        .remote_mta = foreign,
        .diagnostic = foreign,
        .reason = foreign,
        .action = DSN_DELAYED,
    };
    struct dsn d = {
        .hostname = SV_LIT("mx"),
        .to = SV_LIT("a@b"),
        .notice_id = SV_LIT("N"),
        .original_id = SV_LIT("O"),
        .rcpts = &rcpt,
        .rcpt_count = 1,
        .header = SV_LIT("A: b\r\n"),
        .texts = texts,
        .postmaster = foreign,
    };
    struct buf out;
    bool eight;
    size_t fields = 0;
    struct header_scan s;
    struct header_field f;
    struct strv block;

    for (int i = 0; i < 5; i++) {
        rcpt.action = (enum dsn_action)i;
        buf_init(&out, 1 << 24);
        must(dsn_compose(&d, &out, &eight) && !eight);
        for (size_t k = 0, line = 0; k < out.len; k++, line++) {
            must(out.data[k] != '\0' && (unsigned char)out.data[k] < 0x80);
            if (out.data[k] != '\n')
                continue;
            must(k > 0 && out.data[k - 1] == '\r' && line <= HEADER_LINE_HARD + 1);
            line = (size_t)-1;
        }
        header_scan_init(&s);
        must(header_scan(&s, buf_view(&out)) == HEADER_END);
        block = strv_sub(buf_view(&out), 0, s.header_len);
        for (fields = 0; header_next(&block, &f);)
            fields++;
        must(fields == 8);
        buf_clear(&out);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t chunk;
    struct strv in = fuzz_input(data, size, &chunk);
    struct dsn_texts *texts = dsn_texts_read(in, NULL, NULL);

    if (texts)
        fill(texts, strv_sub(in, 0, 300));
    dsn_texts_free(&texts);
    return 0;
}
