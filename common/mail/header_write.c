/* header_write.c - writing header fields and new blocks */
#include "common/base/b64.h"
#include "common/base/clock.h"
#include "common/mail/header.h"

/* A run of blanks longer than this becomes one: folding cannot break it, and a line of blanks alone would be
   the obsolete syntax of RFC 5322 4.2. */
#define BLANKS_MAX 40

/* One line of text: line breaks and tabs become blanks, controls '?'. */
static void clean_value(struct strv value, struct buf *out)
{
    size_t blanks = 0;

    value = strv_trim(value);
    for (size_t i = 0; i < value.n; i++) {
        unsigned char u = (unsigned char)value.p[i];
        bool eol = u == '\r' || u == '\n';

        if (eol || u == ' ' || u == '\t') {
            if (eol && i > 0 && (value.p[i - 1] == '\r' || value.p[i - 1] == '\n'))
                continue;
            blanks++;
            buf_addc(out, ' ');
            continue;
        }
        if (blanks > BLANKS_MAX)
            buf_cut(out, out->len - blanks + 1);
        blanks = 0;
        buf_addc(out, u < 32 || u == 127 ? '?' : value.p[i]);
    }
}

/* The blanks and the word at the start of s. */
static size_t token_size(struct strv s)
{
    size_t n = 0;

    while (n < s.n && s.p[n] == ' ')
        n++;
    while (n < s.n && s.p[n] != ' ')
        n++;
    return n;
}

/* A word longer than a line may be: broken by force, but never inside a UTF-8 sequence. */
static size_t add_pieces(struct buf *out, struct strv token, size_t col)
{
    while (col + token.n > HEADER_LINE_HARD) {
        size_t n = HEADER_LINE_HARD - col;

        for (int back = 0; back < 3 && n > 1 && ((unsigned char)token.p[n] & 0xc0) == 0x80; back++)
            n--;
        buf_addv(out, strv_sub(token, 0, n));
        buf_adds(out, "\r\n ");
        token = strv_from(token, n);
        col = 1;
    }
    buf_addv(out, token);
    return col + token.n;
}

static void add_folded(struct buf *out, struct strv text, size_t col)
{
    bool first = true;

    while (text.n > 0) {
        struct strv token = strv_sub(text, 0, token_size(text));
        size_t limit = first ? HEADER_LINE_HARD : HEADER_LINE_SOFT;

        if (col + token.n > limit) {
            buf_adds(out, "\r\n");
            col = 0;
        }
        col = add_pieces(out, token, col);
        text = strv_from(text, token.n);
        first = false;
    }
}

bool header_add(struct buf *out, const char *name, struct strv value)
{
    struct buf clean;

    if (!header_name_ok(SV(name)))
        return false;
    buf_init(&clean, value.n + 1);
    buf_addc(&clean, ' ');
    clean_value(value, &clean);
    buf_adds(out, name);
    buf_addc(out, ':');
    add_folded(out, clean.len > 1 ? buf_view(&clean) : strv_make("", 0), strlen(name) + 1);
    buf_adds(out, "\r\n");
    buf_clear(&clean);
    return true;
}

/* The byte is not the first of a character: a word must not end before it. */
static bool is_inside(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

void header_encode(struct strv text, struct buf *out)
{
    bool plain = true;

    /* Foreign words that look like encoded ones would be shown as what they hide. */
    for (size_t i = 0; i < text.n; i++)
        plain &= (unsigned char)text.p[i] < 0x80 && !(text.p[i] == '?' && i > 0 && text.p[i - 1] == '=');
    if (plain) {
        buf_addv(out, text);
        return;
    }
    /* An encoded word has at most 75 characters: 45 bytes make 60. */
    for (size_t i = 0, n; i < text.n; i += n) {
        n = text.n - i < 45 ? text.n - i : 45;
        while (n > 42 && i + n < text.n && is_inside(text.p[i + n]))
            n--;
        buf_adds(out, i ? " =?utf-8?B?" : "=?utf-8?B?");
        b64_encode(strv_sub(text, i, n), out);
        buf_adds(out, "?=");
    }
}

size_t header_copy_without(struct strv block, const char *name, struct buf *out)
{
    struct header_field field;
    size_t left_out = 0;

    while (header_next(&block, &field)) {
        if (strv_iis(field.name, name))
            left_out++;
        else
            buf_addv(out, field.whole);
    }
    return left_out;
}

void header_add_date(struct buf *out, int64_t wall_ms)
{
    char text[64];

    clock_rfc5322(wall_ms, text, sizeof text);
    buf_addf(out, "Date: %s\r\n", text);
}

void header_add_message_id(struct buf *out, struct strv id, struct strv host)
{
    buf_addf(out, "Message-ID: <%.*s@%.*s>\r\n", (int)id.n, id.p, (int)host.n, host.p);
}
