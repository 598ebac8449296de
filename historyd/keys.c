/* keys.c - what a line is found by */
#include "historyd/keys.h"

#include "common/base/hash.h"
#include "common/base/log_read.h"

const char *const key_names[] = {
    "about",   "client", "id",     "login", "message_id", "new", "notice",
    "orig_to", "rcpt",   "sender", "sid",   "to",         NULL,
};

static bool is_key(struct strv name)
{
    for (const char *const *k = key_names; *k; k++) {
        if (strv_is(name, *k))
            return true;
    }
    return false;
}

struct strv key_form(struct strv value, char dst[KEY_TEXT])
{
    size_t n;

    if (value.n >= 2 && value.p[0] == '<' && value.p[value.n - 1] == '>')
        value = strv_sub(value, 1, value.n - 2);
    n = value.n < KEY_TEXT ? value.n : KEY_TEXT;
    for (size_t i = 0; i < n; i++)
        dst[i] = byte_lower(value.p[i]);
    return strv_make(dst, n);
}

uint32_t key_hash(struct strv form)
{
    uint64_t h = hash_stable(form);

    return (uint32_t)(h ^ h >> 32);
}

/* The next key of a line: its form, and that of its domain (empty: it has none). */
static bool key_next(struct strv *rest, char dst[KEY_TEXT], struct strv *form, struct strv *domain)
{
    struct strv name, value;
    char text[KEY_TEXT];
    size_t at;

    while (log_read(rest, &name, &value)) {
        if (!is_key(name))
            continue;
        *form = key_form(strv_make(text, log_value(value, text, sizeof text)), dst);
        *domain = strv_make(NULL, 0);
        if (form->n == 0)
            continue;
        if (strv_rfind(*form, '@', &at) && at > 0)
            *domain = strv_from(*form, at);
        return true;
    }
    return false;
}

size_t keys_of(struct strv text, uint32_t out[KEYS_MAX])
{
    struct strv form, domain;
    char dst[KEY_TEXT];
    size_t n = 0;

    while (n + 2 <= KEYS_MAX && key_next(&text, dst, &form, &domain)) {
        out[n++] = key_hash(form);
        if (domain.n)
            out[n++] = key_hash(domain);
    }
    return n;
}

bool keys_match(struct strv text, const struct strv *forms, size_t n)
{
    struct strv form, domain;
    char dst[KEY_TEXT];

    while (key_next(&text, dst, &form, &domain)) {
        for (size_t i = 0; i < n; i++) {
            if (strv_eq(form, forms[i]) || (domain.n && strv_eq(domain, forms[i])))
                return true;
        }
    }
    return false;
}
