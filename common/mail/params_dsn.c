/* params_dsn.c - NOTIFY, RET, ENVID and ORCPT (RFC 3461 4), read and written */
#include "common/mail/params.h"

static const struct {
    const char *word;
    uint64_t bit;
} notify_words[] = {
    { "NEVER", PARAM_NOTIFY_NEVER },
    { "SUCCESS", PARAM_NOTIFY_SUCCESS },
    { "FAILURE", PARAM_NOTIFY_FAILURE },
    { "DELAY", PARAM_NOTIFY_DELAY },
};

#define NOTIFY_WORDS (sizeof notify_words / sizeof *notify_words)

bool param_notify(struct strv value, uint64_t *out)
{
    struct strv word;
    uint64_t bits = 0;

    while (value.p && strv_cut(&value, ',', &word)) {
        size_t i = 0;

        /* 4.1: 1#element of RFC 822 2.7, which allows null elements. */
        if (word.n == 0)
            continue;
        while (i < NOTIFY_WORDS && !strv_iis(word, notify_words[i].word))
            i++;
        if (i == NOTIFY_WORDS)
            return false;
        bits |= notify_words[i].bit;
    }
    /* 4.1: NEVER with anything else is an error. */
    if (bits == 0 || ((bits & PARAM_NOTIFY_NEVER) && bits != PARAM_NOTIFY_NEVER))
        return false;
    *out = bits;
    return true;
}

void param_notify_write(uint64_t notify, struct buf *out)
{
    bool first = true;

    for (size_t i = 0; i < NOTIFY_WORDS; i++) {
        if (!(notify & notify_words[i].bit))
            continue;
        if (!first)
            buf_addc(out, ',');
        buf_adds(out, notify_words[i].word);
        first = false;
    }
}

bool param_ret(struct strv value, uint64_t *out)
{
    if (!strv_iis(value, "FULL") && !strv_iis(value, "HDRS"))
        return false;
    *out = strv_iis(value, "FULL") ? 1 : 2;
    return true;
}

/* 4.2, 4.4: what must not be encoded at all (a local sender's -V may hold anything). */
static bool printable(struct strv text)
{
    for (size_t i = 0; i < text.n; i++) {
        if ((unsigned char)text.p[i] < ' ' || (unsigned char)text.p[i] > '~')
            return false;
    }
    return true;
}

/* Decodes behind what out holds; takes it back when it is not printable. xtext may be empty. */
static bool add_printable(struct strv value, struct buf *out)
{
    size_t from = out->len;

    if (!xtext_decode(value, out))
        return false;
    if (printable(strv_from(buf_view(out), from)))
        return true;
    buf_cut(out, from);
    return false;
}

bool param_envid(struct strv value, struct buf *out)
{
    return value.n > 0 && value.n <= PARAM_ENVID_MAX && add_printable(value, out);
}

/* addr-type is an atom (RFC 822 3.3). */
static bool type_ok(struct strv type)
{
    for (size_t i = 0; i < type.n; i++) {
        unsigned char u = (unsigned char)type.p[i];

        if (u <= ' ' || u >= 127 || strchr("()<>@,;:\\\".[]", u))
            return false;
    }
    return type.n > 0;
}

bool param_orcpt(struct strv value, struct buf *out)
{
    size_t at, from = out->len;

    if (value.n > PARAM_ORCPT_MAX || !strv_find(value, ';', &at) || !type_ok(strv_sub(value, 0, at)))
        return false;
    buf_addv(out, strv_sub(value, 0, at + 1));
    if (add_printable(strv_from(value, at + 1), out))
        return true;
    buf_cut(out, from);
    return false;
}

/* What is too long is left out, never cut. */
static bool fits(struct buf *out, size_t from, size_t max)
{
    if (buf_ok(out) && out->len - from <= max)
        return true;
    buf_cut(out, from);
    return false;
}

bool param_envid_write(struct strv envid, struct buf *out)
{
    size_t from = out->len;

    if (!printable(envid))
        return false;
    xtext_encode(envid, out);
    return fits(out, from, PARAM_ENVID_MAX);
}

bool param_orcpt_write(struct strv orcpt, struct buf *out)
{
    size_t at, from = out->len;

    if (!strv_find(orcpt, ';', &at) || !type_ok(strv_sub(orcpt, 0, at)) || !printable(orcpt))
        return false;
    buf_addv(out, strv_sub(orcpt, 0, at + 1));
    /* 5.2.1 (d): it stays what it was, blanks and case included. */
    xtext_encode(strv_from(orcpt, at + 1), out);
    return fits(out, from, PARAM_ORCPT_MAX);
}
