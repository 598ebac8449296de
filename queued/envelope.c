/* envelope.c - the envelope of a stored message as `key: value` lines (pure) */
#include "queued/envelope.h"

#include "common/base/mem.h"
#include "queued/digits.h"

#include <stdlib.h>

/* One row per line that can stand before the recipients. */
enum kind { TEXT, NUMBER };

static const struct field {
    struct strv key;
    enum kind kind;
    size_t offset;
} fields[] = {
    { { "sid", 3 }, TEXT, offsetof(struct envelope, sid) },
    { { "arrival", 7 }, NUMBER, offsetof(struct envelope, arrival) },
    { { "stored", 6 }, NUMBER, offsetof(struct envelope, stored) },
    { { "since", 5 }, NUMBER, offsetof(struct envelope, since) },
    { { "client", 6 }, TEXT, offsetof(struct envelope, client) },
    { { "client-name", 11 }, TEXT, offsetof(struct envelope, client_name) },
    { { "helo", 4 }, TEXT, offsetof(struct envelope, helo) },
    { { "protocol", 8 }, TEXT, offsetof(struct envelope, protocol) },
    { { "login", 5 }, TEXT, offsetof(struct envelope, login) },
    { { "origin", 6 }, TEXT, offsetof(struct envelope, origin) },
    { { "hold", 4 }, TEXT, offsetof(struct envelope, hold) },
    { { "envid", 5 }, TEXT, offsetof(struct envelope, envid) },
    { { "body-type", 9 }, NUMBER, offsetof(struct envelope, body_type) },
    { { "edited", 6 }, TEXT, offsetof(struct envelope, edited) },
    { { "forwards", 8 }, NUMBER, offsetof(struct envelope, forwards) },
    { { "priority", 8 }, NUMBER, offsetof(struct envelope, priority) },
    { { "ret", 3 }, NUMBER, offsetof(struct envelope, ret) },
};

#define FIELD_COUNT (sizeof fields / sizeof *fields)

void envelope_init(struct envelope *e)
{
    memset(e, 0, sizeof *e);
}

void envelope_reset(struct envelope *e)
{
    struct envelope kept = {
        .rcpts = e->rcpts, .rcpt_cap = e->rcpt_cap, .text = e->text, .text_cap = e->text_cap
    };

    *e = kept;
}

void envelope_clear(struct envelope *e)
{
    free(e->rcpts);
    free(e->text);
    envelope_init(e);
}

struct envelope_rcpt *envelope_add(struct envelope *e)
{
    if (e->rcpt_n == e->rcpt_cap) {
        e->rcpt_cap = e->rcpt_cap ? e->rcpt_cap * 2 : 4;
        e->rcpts = mem_resize(e->rcpts, e->rcpt_cap, sizeof *e->rcpts);
    }
    memset(&e->rcpts[e->rcpt_n], 0, sizeof *e->rcpts);
    return &e->rcpts[e->rcpt_n++];
}

static bool byte_is_plain(unsigned char c, bool blanks)
{
    return c != '%' && c != 0x7f && (blanks ? c > ' ' : c >= ' ');
}

void envelope_escape(struct strv value, bool blanks, struct buf *out)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t start = 0;

    for (size_t i = 0; i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];

        if (byte_is_plain(c, blanks))
            continue;
        buf_add(out, value.p + start, i - start);
        buf_addc(out, '%');
        buf_addc(out, hex[c >> 4]);
        buf_addc(out, hex[c & 15]);
        start = i + 1;
    }
    buf_add(out, value.p + start, value.n - start);
}

bool envelope_unescape(char *p, size_t *n)
{
    char *from = *n ? memchr(p, '%', *n) : NULL, *to = from, *end = p + *n;

    while (from && from < end) {
        uint8_t byte;

        if (*from != '%') {
            *to++ = *from++;
            continue;
        }
        if (end - from < 3 || !strv_hex(strv_make(from + 1, 2), &byte, 1))
            return false;
        *to++ = (char)byte;
        from += 3;
    }
    if (to)
        *n = (size_t)(to - p);
    return true;
}

static void text_line(struct buf *out, const char *key, struct strv value)
{
    if (value.n == 0)
        return;
    buf_adds(out, key);
    buf_add(out, ": ", 2);
    envelope_escape(value, false, out);
    buf_addc(out, '\n');
}

static void number_add(struct buf *out, uint64_t v)
{
    char digits[DIGITS_MAX];

    buf_add(out, digits, digits_u64(digits, v));
}

static void number_line(struct buf *out, const char *key, uint64_t v)
{
    if (v == 0)
        return;
    buf_adds(out, key);
    buf_add(out, ": ", 2);
    number_add(out, v);
    buf_addc(out, '\n');
}

void envelope_print_head(const struct envelope *e, struct buf *out)
{
    /* Always there: an empty value is the null reverse-path, never a forgotten line. */
    buf_add(out, "sender: ", 8);
    envelope_escape(e->sender, false, out);
    buf_addc(out, '\n');
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        const void *at = (const char *)e + fields[i].offset;

        if (fields[i].kind == TEXT)
            text_line(out, fields[i].key.p, *(const struct strv *)at);
        else
            number_line(out, fields[i].key.p, *(const uint64_t *)at);
    }
    if (e->big)
        buf_addf(out, "big: %llu %08x\n", (unsigned long long)e->big_size, e->big_crc);
}

void envelope_print_rcpt(const struct envelope_rcpt *r, struct buf *out)
{
    text_line(out, r->local ? "local" : "remote", r->to);
    text_line(out, "original", r->original);
    text_line(out, "orcpt", r->orcpt);
    text_line(out, "target", r->target);
    text_line(out, "also", r->also);
    number_line(out, "notify", r->notify);
}

void envelope_print_end(struct buf *out)
{
    buf_addc(out, '\n');
}

void envelope_print(const struct envelope *e, struct buf *out)
{
    envelope_print_head(e, out);
    for (size_t i = 0; i < e->rcpt_n; i++)
        envelope_print_rcpt(&e->rcpts[i], out);
    envelope_print_end(out);
}

static bool line_big(struct envelope *e, struct strv value)
{
    struct strv size;

    if (!strv_word(&value, &size) || !strv_u64(size, INT64_MAX, &e->big_size))
        return false;
    value = strv_trim(value);
    if (value.n != 8 || !digits_hex32_read(value.p, &e->big_crc))
        return false;
    e->big = true;
    return true;
}

/* Lines about the recipient before them. */
static bool line_rcpt(struct envelope *e, struct strv key, struct strv value)
{
    struct envelope_rcpt *r = e->rcpt_n ? &e->rcpts[e->rcpt_n - 1] : NULL;

    if (strv_eq(key, SV_LIT("local")) || strv_eq(key, SV_LIT("remote"))) {
        r = envelope_add(e);
        r->local = key.p[0] == 'l';
        r->to = value;
        return value.n > 0;
    }
    if (!r)
        return false;
    if (strv_eq(key, SV_LIT("original")))
        r->original = value;
    else if (strv_eq(key, SV_LIT("orcpt")))
        r->orcpt = value;
    else if (strv_eq(key, SV_LIT("target")))
        r->target = value;
    else if (strv_eq(key, SV_LIT("also")))
        r->also = value;
    else
        return strv_u64(value, 31, &r->notify);
    return true;
}

static const struct field *field_find(struct strv key)
{
    for (size_t i = 0; i < FIELD_COUNT; i++)
        if (strv_eq(key, fields[i].key))
            return &fields[i];
    return NULL;
}

static bool line_take(struct envelope *e, struct strv key, struct strv value, bool *sender)
{
    const struct field *f;
    void *at;

    if (strv_eq(key, SV_LIT("local")) || strv_eq(key, SV_LIT("remote")) || strv_eq(key, SV_LIT("original")) ||
        strv_eq(key, SV_LIT("orcpt")) || strv_eq(key, SV_LIT("target")) || strv_eq(key, SV_LIT("notify")) ||
        strv_eq(key, SV_LIT("also")))
        return line_rcpt(e, key, value);
    if (strv_eq(key, SV_LIT("sender"))) {
        e->sender = value;
        *sender = true;
        return true;
    }
    if (strv_eq(key, SV_LIT("big")))
        return line_big(e, value);
    f = field_find(key);
    if (!f)
        return true;
    at = (char *)e + f->offset;
    if (f->kind == NUMBER)
        return strv_u64(value, INT64_MAX, at);
    *(struct strv *)at = value;
    return true;
}

/* "key: value" of one line; the value is decoded in place. */
static bool line_split(char *line, size_t n, struct strv *key, struct strv *value)
{
    char *colon = n ? memchr(line, ':', n) : NULL;
    size_t left;

    if (!colon || colon == line || colon + 1 >= line + n || colon[1] != ' ')
        return false;
    left = (size_t)(line + n - colon) - 2;
    if (!envelope_unescape(colon + 2, &left))
        return false;
    *key = strv_make(line, (size_t)(colon - line));
    *value = strv_make(colon + 2, left);
    return true;
}

bool envelope_parse(struct strv text, struct envelope *e, struct err *err)
{
    bool sender = false;
    char *p, *end;

    envelope_reset(e);
    if (text.n == 0 || text.n > ENVELOPE_MAX)
        return err_set(err, ERR_PROTO, "envelope of %zu bytes", text.n);
    if (text.n > e->text_cap) {
        e->text_cap = text.n + text.n / 2;
        e->text = mem_resize(e->text, e->text_cap, 1);
    }
    memcpy(e->text, text.p, text.n);
    p = e->text;
    end = p + text.n;
    for (unsigned line = 1; p < end; line++) {
        char *lf = memchr(p, '\n', (size_t)(end - p));
        struct strv key, value;

        if (!lf)
            return err_set(err, ERR_PROTO, "envelope line %u does not end", line);
        if (lf == p) {
            if (lf + 1 != end)
                return err_set(err, ERR_PROTO, "envelope goes on behind its empty line");
            if (!sender || e->rcpt_n == 0)
                return err_set(err, ERR_PROTO, "envelope without %s", sender ? "recipients" : "a sender");
            return true;
        }
        if (!line_split(p, (size_t)(lf - p), &key, &value) || !line_take(e, key, value, &sender))
            return err_set(err, ERR_PROTO, "envelope line %u is not right", line);
        p = lf + 1;
    }
    return err_set(err, ERR_PROTO, "envelope without its empty line");
}
