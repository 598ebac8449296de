/* dropfile.c - the file that postdrop leaves in drop/ (pure) */
#include "common/mail/dropfile.h"

#include "common/base/mem.h"
#include "common/mail/address.h"

#include <stdlib.h>

#define FIRST_LINE "mansio-drop: 1\n"

enum kind { TEXT, ADDRESS, NUMBER };

/* Every line but the first and those of recipients; each at most once. */
static const struct row {
    struct strv key;
    enum kind kind;
    size_t offset;
    uint64_t max;
} rows[] = {
    { { "sender", 6 }, ADDRESS, offsetof(struct drop_head, sender), 0 },
    { { "name", 4 }, TEXT, offsetof(struct drop_head, name), 0 },
    { { "login", 5 }, TEXT, offsetof(struct drop_head, login), 0 },
    { { "envid", 5 }, TEXT, offsetof(struct drop_head, envid), 256 },
    { { "notify", 6 }, NUMBER, offsetof(struct drop_head, notify), 15 },
    { { "ret", 3 }, NUMBER, offsetof(struct drop_head, ret), 2 },
    { { "warning", 7 }, TEXT, offsetof(struct drop_head, warning), 600 },
    { { "verbose", 7 }, NUMBER, offsetof(struct drop_head, verbose), 1 },
};

#define ROWS (sizeof rows / sizeof *rows)

void drop_head_clear(struct drop_head *h)
{
    free(h->rcpts);
    *h = (struct drop_head){ .rcpts = NULL };
}

void drop_head_rcpt(struct drop_head *h, struct strv rcpt)
{
    if (h->rcpt_n == h->rcpt_cap) {
        h->rcpt_cap = h->rcpt_cap ? h->rcpt_cap * 2 : 8;
        h->rcpts = mem_resize(h->rcpts, h->rcpt_cap, sizeof *h->rcpts);
    }
    h->rcpts[h->rcpt_n++] = rcpt;
}

static bool text_ok(struct strv key, struct strv value, size_t max, struct err *err)
{
    if (value.n > max)
        return err_set(err, ERR_PERM, "%.*s of %zu bytes, at most %zu are allowed", (int)key.n, key.p,
                       value.n, max);
    for (size_t i = 0; i < value.n; i++)
        if ((unsigned char)value.p[i] < ' ' || value.p[i] == 0x7f)
            return err_set(err, ERR_PERM, "%.*s has a control character in it", (int)key.n, key.p);
    return true;
}

static bool address_ok(struct strv key, struct strv value, struct err *err)
{
    struct address a;
    const char *why;

    if (!text_ok(key, value, DROP_VALUE_MAX, err))
        return false;
    if (!address_parse(value, ADDRESS_LOCAL_OK, &a, &why))
        return err_set(err, ERR_PERM, "%.*s \"%.*s\": %s", (int)key.n, key.p,
                       (int)(value.n > 80 ? 80 : value.n), value.p, why);
    address_clear(&a);
    return true;
}

static bool value_ok(const struct row *r, struct strv value, struct err *err)
{
    if (r->kind == ADDRESS && value.n)
        return address_ok(r->key, value, err);
    return text_ok(r->key, value, r->max ? (size_t)r->max : DROP_VALUE_MAX, err);
}

static void line(struct buf *out, struct strv key, struct strv value)
{
    buf_addv(out, key);
    buf_add(out, ": ", 2);
    buf_addv(out, value);
    buf_addc(out, '\n');
}

static bool row_print(const struct row *r, const struct drop_head *h, struct buf *out, struct err *err)
{
    const void *at = (const char *)h + r->offset;

    if (r->kind == NUMBER) {
        uint64_t v = *(const uint64_t *)at;

        if (v)
            buf_addf(out, "%s: %llu\n", r->key.p, (unsigned long long)v);
        return true;
    }
    /* Always there: an empty sender is the null reverse-path, never a forgotten line. */
    if (r->kind == ADDRESS || ((const struct strv *)at)->n)
        line(out, r->key, *(const struct strv *)at);
    return value_ok(r, *(const struct strv *)at, err);
}

bool drop_head_print(const struct drop_head *h, struct buf *out, struct err *err)
{
    if (h->rcpt_n == 0 || h->rcpt_n > DROP_RCPTS_MAX)
        return err_set(err, ERR_PERM, "%zu recipients, 1 to %u are allowed", h->rcpt_n, DROP_RCPTS_MAX);
    buf_adds(out, FIRST_LINE);
    for (size_t i = 0; i < ROWS; i++)
        if (!row_print(&rows[i], h, out, err))
            return false;
    for (size_t i = 0; i < h->rcpt_n; i++) {
        if (!address_ok(SV_LIT("rcpt"), h->rcpts[i], err))
            return false;
        line(out, SV_LIT("rcpt"), h->rcpts[i]);
    }
    buf_addc(out, '\n');
    return buf_ok(out) || err_set(err, ERR_PERM, "the envelope is too large");
}

/* ---- reading ---- */

static const struct row *row_find(struct strv key)
{
    for (size_t i = 0; i < ROWS; i++)
        if (strv_eq(key, rows[i].key))
            return &rows[i];
    return NULL;
}

static bool rcpt_take(struct drop_head *h, struct strv value, struct err *err)
{
    if (!address_ok(SV_LIT("rcpt"), value, err))
        return false;
    if (h->rcpt_n >= DROP_RCPTS_MAX)
        return err_set(err, ERR_PERM, "more than %u recipients", DROP_RCPTS_MAX);
    drop_head_rcpt(h, value);
    return true;
}

static bool line_take(struct drop_head *h, struct strv text, unsigned *seen, struct err *err)
{
    const struct row *r;
    struct strv key, value;
    size_t colon;
    void *at;

    if (!strv_find(text, ':', &colon) || colon + 1 >= text.n || text.p[colon + 1] != ' ')
        return err_set(err, ERR_PERM, "a line of the envelope is not `key: value`");
    key = strv_sub(text, 0, colon);
    value = strv_from(text, colon + 2);
    if (strv_is(key, "rcpt"))
        return rcpt_take(h, value, err);
    r = row_find(key);
    if (!r || *seen & 1u << (r - rows))
        return err_set(err, ERR_PERM, "a line of the envelope is unknown, or there twice");
    *seen |= 1u << (r - rows);
    if (!value_ok(r, value, err))
        return false;
    at = (char *)h + r->offset;
    if (r->kind == NUMBER)
        return strv_u64(value, r->max, at) ||
               err_set(err, ERR_PERM, "%s is no number up to %llu", r->key.p, (unsigned long long)r->max);
    *(struct strv *)at = value;
    return true;
}

/* Says what is wrong as soon as it can be known, so that nobody waits for the end of endless lines. */
static bool not_yet(struct strv text, struct err *err)
{
    size_t n = text.n < sizeof FIRST_LINE - 1 ? text.n : sizeof FIRST_LINE - 1;

    if (memcmp(text.p, FIRST_LINE, n) != 0)
        return err_set(err, ERR_PERM, "this is no file of postdrop's");
    if (text.n >= DROP_HEAD_MAX)
        return err_set(err, ERR_PERM, "the envelope is too large");
    err_clear(err);
    return false;
}

bool drop_head_parse(struct strv text, struct drop_head *out, size_t *size, struct err *err)
{
    struct strv first = SV_LIT(FIRST_LINE), rest;
    const char *end;
    unsigned seen = 0;
    size_t at;

    drop_head_clear(out);
    end = text.n ? memmem(text.p, text.n < DROP_HEAD_MAX ? text.n : DROP_HEAD_MAX, "\n\n", 2) : NULL;
    if (!strv_starts(text, first) || !end)
        return not_yet(text, err);
    *size = (size_t)(end - text.p) + 2;
    rest = strv_sub(text, first.n, *size - 1 - first.n);
    while (rest.n) {
        if (!strv_find(rest, '\n', &at))
            at = rest.n;
        if (!line_take(out, strv_sub(rest, 0, at), &seen, err))
            return false;
        rest = strv_from(rest, at + 1);
    }
    if (!(seen & 1))
        return err_set(err, ERR_PERM, "there is no sender");
    return out->rcpt_n > 0 || err_set(err, ERR_PERM, "there are no recipients");
}
