/* domain.c - syntax of domain names */
#include "common/mail/domain.h"

static bool refuse(const char **why, const char *text)
{
    if (why)
        *why = text;
    return false;
}

static bool label_byte_ok(char c, unsigned flags)
{
    unsigned char u = (unsigned char)c;

    return byte_is_alnum(u) || c == '-' || c == '_' || (u >= 0x80 && (flags & DOMAIN_UTF8));
}

static bool label_ok(struct strv label, unsigned flags, const char **why)
{
    if (label.n == 0)
        return refuse(why, "empty label in the domain");
    if (label.n > DOMAIN_LABEL_MAX)
        return refuse(why, "label of the domain is too long");
    if (label.p[0] == '-' || label.p[label.n - 1] == '-')
        return refuse(why, "label of the domain begins or ends with a hyphen");
    for (size_t i = 0; i < label.n; i++) {
        if (!label_byte_ok(label.p[i], flags))
            return refuse(why, "bad character in the domain");
    }
    return true;
}

static bool all_digits(struct strv s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!byte_is_digit((unsigned char)s.p[i]))
            return false;
    }
    return true;
}

bool domain_ok(struct strv s, unsigned flags, const char **why)
{
    struct strv rest = s, label = { "", 0 };

    if (s.n == 0)
        return refuse(why, "empty domain");
    if (s.n > DOMAIN_MAX)
        return refuse(why, "domain is too long");
    while (strv_cut(&rest, '.', &label)) {
        if (!label_ok(label, flags, why))
            return false;
    }
    if (all_digits(label))
        return refuse(why, "no such top-level domain can exist");
    if (!utf8_ok(s))
        return refuse(why, "domain is not UTF-8");
    return true;
}

bool helo_ok(struct strv s)
{
    bool literal = s.n > 2 && s.p[0] == '[' && s.p[s.n - 1] == ']';

    if (s.n == 0 || s.n > DOMAIN_MAX)
        return false;
    if (literal)
        s = strv_sub(s, 1, s.n - 2);
    for (size_t i = 0; i < s.n; i++) {
        if (!byte_is_alnum((unsigned char)s.p[i]) && !byte_in_set(s.p[i], literal ? "-._:%" : "-._:"))
            return false;
    }
    return true;
}

struct strv domain_parent(struct strv s)
{
    size_t at;

    return strv_find(s, '.', &at) ? strv_from(s, at + 1) : strv_make("", 0);
}

bool domain_is_under(struct strv s, struct strv top)
{
    if (top.n == 0 || !strv_iends(s, top))
        return false;
    return s.n == top.n || s.p[s.n - top.n - 1] == '.';
}

void domain_lower(struct strv s, struct buf *out)
{
    char *to = buf_reserve(out, s.n);

    if (!to)
        return;
    for (size_t i = 0; i < s.n; i++)
        to[i] = byte_lower(s.p[i]);
    buf_commit(out, s.n);
}
