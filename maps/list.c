/* list.c - targets of aliases and virtual entries */
#include "maps/list.h"

#include "common/mail/status.h"

#include <stdio.h>

static const struct strv include = SV_LIT(":include:");

static bool is_separator(char c, unsigned flags)
{
    return c == ',' || ((flags & LIST_BLANKS) && byte_is_blank((unsigned char)c));
}

/* Length of the target at the start of s: up to a separator outside of quotes and brackets. */
static size_t target_length(struct strv s, unsigned flags, bool *closed)
{
    bool quote = false, bracket = false;
    size_t i;

    for (i = 0; i < s.n; i++) {
        char c = s.p[i];

        if (c == '\\' && quote && i + 1 < s.n)
            i++;
        else if (c == '"')
            quote = !quote;
        else if (!quote && c == '<')
            bracket = true;
        else if (!quote && c == '>')
            bracket = false;
        else if (!quote && !bracket && is_separator(c, flags))
            break;
    }
    *closed = !quote && !bracket;
    return i;
}

/* True when one pair of quotes encloses the whole: "|prog", not "a b"@c. */
static bool unquote(struct strv *s)
{
    if (s->n < 2 || s->p[0] != '"' || s->p[s->n - 1] != '"')
        return false;
    for (size_t i = 1; i + 1 < s->n; i++) {
        if (s->p[i] == '\\')
            i++;
        else if (s->p[i] == '"')
            return false;
    }
    *s = strv_sub(*s, 1, s->n - 2);
    return true;
}

/* `Full Name <addr>`: the address is what routes. */
static struct strv in_brackets(struct strv s)
{
    size_t open, close;

    if (!strv_rfind(s, '<', &open) || !strv_rfind(s, '>', &close) || close < open)
        return s;
    return strv_trim(strv_sub(s, open + 1, close - open - 1));
}

bool list_is_include(struct strv text)
{
    return strv_istarts(text, include);
}

static void classify(struct list_item *out, struct strv s)
{
    struct strv inner = s;

    out->quoted = unquote(&inner);
    if (inner.n && inner.p[0] == '|') {
        out->kind = LIST_COMMAND;
        out->text = strv_trim(strv_from(inner, 1));
    } else if (list_is_include(inner)) {
        out->kind = LIST_INCLUDE;
        out->text = strv_trim(strv_from(inner, include.n));
    } else if (strv_is(inner, "/dev/null")) {
        out->kind = LIST_DISCARD;
        out->text = inner;
    } else if (inner.n && inner.p[0] == '/' && !strv_has(inner, '@')) {
        out->kind = LIST_FILE;
        out->text = inner;
    } else if (s.p[0] == '\\' && s.n > 1) {
        out->kind = LIST_FINAL;
        out->text = strv_from(s, 1);
        out->quoted = false;
    } else {
        out->kind = LIST_ADDRESS;
        out->text = in_brackets(s);
        out->quoted = false;
    }
}

bool list_next(struct strv *rest, unsigned flags, struct list_item *out)
{
    while (rest->n) {
        bool closed;
        size_t n = target_length(*rest, flags, &closed);
        struct strv s = strv_trim(strv_sub(*rest, 0, n));

        if (!closed) {
            *out = (struct list_item){ .kind = LIST_BAD, .text = s };
            *rest = strv_from(*rest, rest->n);
            return true;
        }
        *rest = strv_from(*rest, n < rest->n ? n + 1 : n);
        if (!s.n)
            continue;
        *out = (struct list_item){ .kind = LIST_ADDRESS };
        classify(out, s);
        return true;
    }
    return false;
}

/* sendmail's words behind error: (cf/README, "Mailertable and virtusertable"). */
static const struct {
    const char *word, *enhanced;
    int code;
} error_words[] = {
    { "nouser", "5.1.1", 550 },   { "nohost", "5.1.2", 550 }, { "unavailable", "5.3.5", 554 },
    { "protocol", "5.5.0", 554 }, { "usage", "5.6.0", 554 },  { "tempfail", "4.3.0", 451 },
};

static bool take_code(struct strv *s, int *code)
{
    uint64_t n;

    if (s->n < 3 || (s->n > 3 && !byte_is_blank((unsigned char)s->p[3])))
        return false;
    if (!strv_u64(strv_sub(*s, 0, 3), 599, &n) || n < 400)
        return false;
    *code = (int)n;
    *s = strv_trim(strv_from(*s, 3));
    return true;
}

static void set_enhanced(struct list_error *out, const char *text)
{
    snprintf(out->enhanced, sizeof out->enhanced, "%s", text);
}

/* A status of the other class would tell the client two things at once. */
static void fit_class(struct list_error *out)
{
    out->enhanced[0] = out->code < 500 ? '4' : '5';
}

/* sendmail's access tables quote what is to be said. */
static struct strv without_quotes(struct strv s)
{
    bool quoted = s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"';

    return quoted ? strv_trim(strv_sub(s, 1, s.n - 2)) : s;
}

bool list_error_read(struct strv value, struct list_error *out)
{
    struct strv s = strv_trim(value), word;
    struct status st;
    size_t at;

    if (!strv_istarts(s, SV_LIT("error:")))
        return false;
    *out = (struct list_error){ .code = 550 };
    set_enhanced(out, "5.1.1");
    s = without_quotes(strv_trim(strv_from(s, 6)));
    if (strv_find(s, ':', &at) && status_parse(strv_sub(s, 0, at), &st)) {
        status_text(st, out->enhanced);
        out->code = st.cls == 4 ? 451 : 550;
        s = without_quotes(strv_trim(strv_from(s, at + 1)));
    }
    word = strv_sub(s, 0, strv_find(s, ' ', &at) ? at : s.n);
    for (size_t i = 0; i < sizeof error_words / sizeof *error_words; i++) {
        if (!strv_iis(word, error_words[i].word))
            continue;
        out->code = error_words[i].code;
        set_enhanced(out, error_words[i].enhanced);
        s = strv_trim(strv_from(s, word.n));
        break;
    }
    take_code(&s, &out->code);
    if (status_take(s, &st, &s))
        status_text(st, out->enhanced);
    fit_class(out);
    out->text = s;
    return true;
}
