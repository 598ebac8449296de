/* mailbox.c - addresses in header fields, RFC 5322 sections 3.4 and 4.4 */
#include "common/mail/mailbox.h"

#include "common/mail/domain.h"

static bool refuse(const char **why, const char *text)
{
    if (why)
        *why = text;
    return false;
}

static bool byte_is_fws(char c)
{
    return byte_in_set(c, " \t\r\n");
}

/* Behind the quoted string that begins at i; the end of s when it is not closed. */
static size_t skip_quoted(struct strv s, size_t i)
{
    for (i++; i < s.n && s.p[i] != '"'; i++) {
        if (s.p[i] == '\\')
            i++;
    }
    return i < s.n ? i + 1 : s.n;
}

/* Behind the comment that begins at i. Nesting beyond the limit: the rest is comment. No recursion. */
static size_t skip_comment(struct strv s, size_t i)
{
    unsigned depth = 0;

    for (; i < s.n; i++) {
        if (s.p[i] == '\\') {
            i++;
        } else if (s.p[i] == '(') {
            if (++depth > MAILBOX_COMMENT_DEPTH)
                return s.n;
        } else if (s.p[i] == ')' && --depth == 0) {
            return i + 1;
        }
    }
    return s.n;
}

/* Behind what begins at i and must not be looked into: a quoted string, a comment, a domain literal; or i +
   1. */
static size_t skip_atom(struct strv s, size_t i)
{
    size_t at;

    switch (s.p[i]) {
    case '"': return skip_quoted(s, i);
    case '(': return skip_comment(s, i);
    case '[': return strv_find(strv_from(s, i), ']', &at) ? i + at + 1 : i + 1;
    default: return i + 1;
    }
}

void mailbox_iter_init(struct mailbox_iter *it, struct strv value, unsigned flags)
{
    *it = (struct mailbox_iter){ .value = value, .flags = flags, .group = { "", 0 } };
}

/* Takes the text up to the next top-level comma, or up to what opens or closes a group. *end is that byte,
   0 at the end of the value. */
static struct strv take_element(struct mailbox_iter *it, char *end)
{
    struct strv s = it->value;
    size_t from = it->at, i = it->at;
    bool angle = false;

    *end = '\0';
    while (i < s.n) {
        char c = s.p[i];

        if (c == '<')
            angle = true;
        else if (c == '>')
            angle = false;
        if (!angle && (c == ',' || c == ';' || (c == ':' && it->group.n == 0))) {
            *end = c;
            break;
        }
        i = skip_atom(s, i);
    }
    it->at = i < s.n ? i + 1 : s.n;
    return strv_sub(s, from, i - from);
}

/* What addr-spec collects: words and dots before the '@', text behind it. */
struct spec {
    struct buf local, domain;
    bool in_domain;
    bool word;          /* the last thing was a word: another one needs a dot or '@' between */
    bool gap;           /* blanks or a comment since then */
};

static bool spec_word(struct spec *p, const char **why)
{
    if (p->word && p->gap)
        return refuse(why, "blank inside the address");
    p->word = true;
    p->gap = false;
    return true;
}

/* False when the closing quote is missing. */
static bool add_unquoted(struct strv quoted, struct buf *out)
{
    size_t i = 1;

    for (; i < quoted.n && quoted.p[i] != '"'; i++) {
        if (quoted.p[i] == '\\' && ++i == quoted.n)
            break;
        if (quoted.p[i] == '\t')
            buf_addc(out, ' ');
        else if (quoted.p[i] != '\r' && quoted.p[i] != '\n')
            buf_addc(out, quoted.p[i]);
    }
    return i < quoted.n;
}

static bool spec_step(struct spec *p, struct strv s, size_t i, size_t next, const char **why)
{
    struct buf *to = p->in_domain ? &p->domain : &p->local;

    switch (s.p[i]) {
    case '.':
        p->word = p->gap = false;
        buf_addc(to, '.');
        return true;
    case '@':
        if (p->in_domain)
            return refuse(why, "second @ in the address");
        p->word = p->gap = false;
        p->in_domain = true;
        return true;
    case '"':
        if (p->in_domain)
            return refuse(why, "quotes in the domain");
        if (!add_unquoted(strv_sub(s, i, next - i), to))
            return refuse(why, "quoted local part is not closed");
        return spec_word(p, why);
    case '[':
        buf_addv(to, strv_sub(s, i, next - i));
        return spec_word(p, why);
    default:
        if (byte_in_set(s.p[i], "<>:;,\\)]"))
            return refuse(why, "bad character in the address");
        buf_addc(to, s.p[i]);
        return spec_word(p, why);
    }
}

static bool parse_spec(struct strv s, unsigned flags, struct address *out, const char **why)
{
    struct spec p = { .in_domain = false };
    bool ok = true;

    buf_init(&p.local, ADDRESS_MAX + 1);
    buf_init(&p.domain, ADDRESS_MAX + 1);
    for (size_t i = 0, next; ok && i < s.n; i = next) {
        next = skip_atom(s, i);
        if (byte_is_fws(s.p[i]) || s.p[i] == '(')
            p.gap = true;
        else
            ok = spec_step(&p, s, i, next, why);
    }
    if (ok && (!buf_ok(&p.local) || !buf_ok(&p.domain)))
        ok = refuse(why, "address is too long");
    if (ok && p.in_domain && p.domain.len == 0)
        ok = refuse(why, "empty domain");
    if (ok)
        ok = address_make(buf_view(&p.local), buf_view(&p.domain), flags, out, why);
    buf_clear(&p.local);
    buf_clear(&p.domain);
    return ok;
}

/* The words of a display name, blanks between them made one, comments left out. */
static void add_phrase(struct strv s, struct buf *out)
{
    bool gap = false;

    for (size_t i = 0, next; i < s.n; i = next) {
        next = skip_atom(s, i);
        if (byte_is_fws(s.p[i]) || s.p[i] == '(') {
            gap = true;
            continue;
        }
        if (gap && out->len > 0)
            buf_addc(out, ' ');
        gap = false;
        if (s.p[i] == '"')
            add_unquoted(strv_sub(s, i, next - i), out);
        else
            buf_addv(out, strv_sub(s, i, next - i));
    }
}

/* jdoe@x.org (John Doe): the text of the first comment. */
static void add_comment_name(struct strv s, struct buf *out)
{
    for (size_t i = 0, next; i < s.n; i = next) {
        next = skip_atom(s, i);
        if (s.p[i] == '(' && next - i > 2) {
            add_phrase(strv_trim(strv_sub(s, i + 1, next - i - 2)), out);
            return;
        }
    }
}

/* The first '<' that is not inside something; the '>' that follows it likewise. */
static bool find_byte(struct strv s, size_t from, char c, size_t *at)
{
    for (size_t i = from; i < s.n; i = skip_atom(s, i)) {
        if (s.p[i] == c) {
            *at = i;
            return true;
        }
    }
    return false;
}

static bool only_cfws(struct strv s)
{
    for (size_t i = 0; i < s.n; i = skip_atom(s, i)) {
        if (!byte_is_fws(s.p[i]) && s.p[i] != '(')
            return false;
    }
    return true;
}

/* <@a,@b:c@d>: the route is dropped as in envelopes. */
static void drop_route(struct mailbox *m)
{
    struct strv s = strv_trim(m->spec);
    size_t colon;

    if (s.n == 0 || s.p[0] != '@' || !find_byte(s, 0, ':', &colon))
        return;
    m->spec = strv_from(s, colon + 1);
    m->had_route = true;
}

static bool parse_element(struct strv s, unsigned flags, struct mailbox *m, const char **why)
{
    size_t open, close;

    if (!find_byte(s, 0, '<', &open)) {
        m->spec = strv_trim(s);
        add_comment_name(s, &m->name);
        return parse_spec(m->spec, flags, &m->address, why);
    }
    if (!find_byte(s, open, '>', &close))
        return refuse(why, "address is not closed by >");
    if (!only_cfws(strv_from(s, close + 1)))
        return refuse(why, "text behind >");
    m->spec = strv_sub(s, open + 1, close - open - 1);
    add_phrase(strv_sub(s, 0, open), &m->name);
    drop_route(m);
    return parse_spec(m->spec, flags, &m->address, why);
}

void mailbox_clear(struct mailbox *m)
{
    address_clear(&m->address);
    buf_clear(&m->name);
    *m = (struct mailbox){ .had_route = false };
}

enum mailbox_step mailbox_next(struct mailbox_iter *it, struct mailbox *out, const char **why)
{
    mailbox_clear(out);
    while (it->at < it->value.n) {
        size_t from = it->at;
        char end;
        struct strv element = take_element(it, &end), group = it->group;

        if (end == ':') {
            it->group = strv_trim(element);
            if (it->group.n == 0)
                it->group = strv_sub(it->value, it->at - 1, 1);     /* nameless, but a group */
            continue;
        }
        if (end == ';')
            it->group = strv_make("", 0);
        if (only_cfws(element))
            continue;
        it->last = from;
        out->group = group;
        buf_init(&out->name, MAILBOX_NAME_MAX);
        return parse_element(element, it->flags, out, why) ? MAILBOX_OK : MAILBOX_BAD;
    }
    return MAILBOX_END;
}

static bool name_is_plain(struct strv name)
{
    for (size_t i = 0; i < name.n; i++) {
        unsigned char u = (unsigned char)name.p[i];

        if (u < 0x80 && !byte_is_alnum(u) && !byte_in_set(name.p[i], " !#$%&'*+-/=?^_`{|}~"))
            return false;
    }
    return true;
}

void mailbox_format(struct strv name, const struct address *a, struct buf *out)
{
    bool plain = name_is_plain(name);

    if (name.n == 0) {
        address_format(a, out);
        return;
    }
    if (!plain)
        buf_addc(out, '"');
    for (size_t i = 0; i < name.n; i++) {
        unsigned char u = (unsigned char)name.p[i];

        if (u == '"' || u == '\\')
            buf_addc(out, '\\');
        buf_addc(out, u < 32 || u == 127 ? ' ' : name.p[i]);
    }
    buf_adds(out, plain ? " " : "\" ");
    address_format_path(a, out);
}
