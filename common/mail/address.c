/* address.c - RFC 5321 Mailbox: parsing, writing, comparing */
#include "common/mail/address.h"

#include "common/base/mem.h"
#include "common/mail/domain.h"

#include <stdlib.h>

static bool refuse(const char **why, const char *text)
{
    if (why)
        *why = text;
    return false;
}

/* atext of RFC 5322 3.2.3 */
static bool byte_is_atext(char c, unsigned flags)
{
    unsigned char u = (unsigned char)c;

    return byte_is_alnum(u) || byte_in_set(c, "!#$%&'*+-/=?^_`{|}~") || (u >= 0x80 && (flags & ADDRESS_UTF8));
}

bool address_local_is_dotstring(struct strv local, unsigned flags)
{
    bool after_dot = true;

    for (size_t i = 0; i < local.n; i++) {
        if (local.p[i] == '.') {
            if (after_dot)
                return false;
            after_dot = true;
        } else if (byte_is_atext(local.p[i], flags)) {
            after_dot = false;
        } else {
            return false;
        }
    }
    return !after_dot;
}

/* Size of the local part in written form. */
static size_t local_written_size(struct strv local)
{
    size_t n = local.n;

    if (address_local_is_dotstring(local, ADDRESS_UTF8))
        return n;
    for (size_t i = 0; i < local.n; i++)
        n += local.p[i] == '"' || local.p[i] == '\\';
    return n + 2;
}

static bool local_ok(struct strv local, unsigned flags, const char **why)
{
    if (local.n == 0)
        return refuse(why, "empty local part");
    for (size_t i = 0; i < local.n; i++) {
        unsigned char u = (unsigned char)local.p[i];

        if (u >= 0x80 && !(flags & ADDRESS_UTF8))
            return refuse(why, "non-ASCII character in the local part");
        if (u < 0x80 && !byte_is_print(u))
            return refuse(why, "control character in the local part");
    }
    if (!utf8_ok(local))
        return refuse(why, "local part is not UTF-8");
    return true;
}

static void address_store(enum address_kind kind, struct strv local, struct strv domain, struct address *out)
{
    char *mem = mem_new(local.n + domain.n + 1);

    memcpy(mem, local.p, local.n);
    for (size_t i = 0; i < domain.n; i++)
        mem[local.n + i] = byte_lower(domain.p[i]);
    out->kind = kind;
    out->local = strv_make(mem, local.n);
    out->domain = strv_make(mem + local.n, domain.n);
    out->mem = mem;
}

/* "[tag:text]" of RFC 5321 4.1.3: nobody delivers there, but the syntax is right. */
static bool general_literal_ok(struct strv s)
{
    struct strv rest = strv_sub(s, 1, s.n - 2), tag;

    if (!strv_cut(&rest, ':', &tag) || tag.n == 0 || !rest.p || rest.n == 0)
        return false;
    if (strv_iis(tag, "IPv6") || !byte_is_alnum((unsigned char)tag.p[tag.n - 1]))
        return false;
    for (size_t i = 0; i < tag.n; i++) {
        if (!byte_is_alnum((unsigned char)tag.p[i]) && tag.p[i] != '-')
            return false;
    }
    for (size_t i = 0; i < rest.n; i++) {
        if (rest.p[i] <= 32 || rest.p[i] >= 127 || byte_in_set(rest.p[i], "[\\]"))
            return false;
    }
    return true;
}

static bool make_literal(struct strv local, struct strv text, struct address *out, const char **why)
{
    char canonical[NETADDR_TEXT];
    struct netaddr ip = { .family = AF_UNSPEC };
    struct strv domain = text;

    if (text.n < 3 || text.p[text.n - 1] != ']')
        return refuse(why, "address literal is not closed");
    if (netaddr_parse_literal(text, &ip))
        domain = strv_make(canonical, netaddr_literal_text(&ip, canonical, sizeof canonical));
    else if (!general_literal_ok(text))
        return refuse(why, "bad address literal");
    if (local_written_size(local) + 1 + domain.n > ADDRESS_MAX)
        return refuse(why, "address is too long");
    address_store(ADDRESS_LITERAL, local, domain, out);
    out->ip = ip;
    if (ip.family != AF_UNSPEC)
        memcpy(out->mem + local.n, canonical, domain.n);    /* "[IPv6:" keeps its capitals */
    return true;
}

bool address_make(struct strv local, struct strv domain, unsigned flags, struct address *out,
                  const char **why)
{
    *out = (struct address){ .kind = ADDRESS_NULL };
    if (!local_ok(local, flags, why))
        return false;
    if (domain.n == 0) {
        if (!(flags & ADDRESS_LOCAL_OK))
            return refuse(why, "address has no domain");
        /* As a key of a table it would look like an address with a domain. */
        if (strv_has(local, '@'))
            return refuse(why, "address has no domain, but an @ in quotes");
        if (local_written_size(local) > ADDRESS_MAX)
            return refuse(why, "address is too long");
        address_store(ADDRESS_LOCAL, local, domain, out);
        return true;
    }
    if (domain.p[0] == '[')
        return make_literal(local, domain, out, why);
    if (!domain_ok(domain, flags & ADDRESS_UTF8 ? DOMAIN_UTF8 : 0, why))
        return false;
    if (local_written_size(local) + 1 + domain.n > ADDRESS_MAX)
        return refuse(why, "address is too long");
    address_store(ADDRESS_DOMAIN, local, domain, out);
    return true;
}

struct scratch {
    char p[ADDRESS_MAX + 1];
    size_t n;
};

static bool scratch_add(struct scratch *s, char c, const char **why)
{
    if (s->n == sizeof s->p)
        return refuse(why, "address is too long");
    s->p[s->n++] = c;
    return true;
}

/* Reads a Quoted-string at the start of *text into local. */
static bool take_quoted(struct strv *text, struct scratch *local, const char **why)
{
    size_t i = 1;

    while (i < text->n && text->p[i] != '"') {
        if (text->p[i] == '\\' && ++i == text->n)
            break;
        if (!scratch_add(local, text->p[i], why))
            return false;
        i++;
    }
    if (i >= text->n)
        return refuse(why, "quoted local part is not closed");
    *text = strv_from(*text, i + 1);
    return true;
}

static bool take_dotstring(struct strv *text, struct scratch *local, unsigned flags, const char **why)
{
    size_t i = 0;

    while (i < text->n && text->p[i] != '@') {
        if (text->p[i] != '.' && !byte_is_atext(text->p[i], flags))
            return refuse(why, "bad character in the local part");
        if (!scratch_add(local, text->p[i], why))
            return false;
        i++;
    }
    if (i == 0)
        return refuse(why, "empty local part");
    if (!address_local_is_dotstring(strv_make(local->p, local->n), flags))
        return refuse(why, "misplaced dot in the local part");
    *text = strv_from(*text, i);
    return true;
}

bool address_parse(struct strv text, unsigned flags, struct address *out, const char **why)
{
    struct scratch local = { .n = 0 };
    bool ok;

    *out = (struct address){ .kind = ADDRESS_NULL };
    if (text.n == 0)
        return refuse(why, "empty address");
    ok = text.p[0] == '"' ? take_quoted(&text, &local, why) : take_dotstring(&text, &local, flags, why);
    if (!ok)
        return false;
    if (text.n == 0)
        return address_make(strv_make(local.p, local.n), strv_make("", 0), flags, out, why);
    if (text.p[0] != '@')
        return refuse(why, "text behind the quoted local part");
    if (text.n == 1)
        return refuse(why, "empty domain");
    return address_make(strv_make(local.p, local.n), strv_from(text, 1), flags, out, why);
}

void address_clear(struct address *a)
{
    free(a->mem);
    *a = (struct address){ .kind = ADDRESS_NULL };
}

void address_copy(const struct address *from, struct address *to)
{
    *to = *from;
    if (from->kind == ADDRESS_NULL)
        return;
    to->mem = mem_copy(from->mem, from->local.n + from->domain.n + 1);
    to->local.p = to->mem;
    to->domain.p = to->mem + to->local.n;
}

void address_format(const struct address *a, struct buf *out)
{
    if (a->kind == ADDRESS_NULL)
        return;
    if (address_local_is_dotstring(a->local, ADDRESS_UTF8)) {
        buf_addv(out, a->local);
    } else {
        buf_addc(out, '"');
        for (size_t i = 0; i < a->local.n; i++) {
            if (a->local.p[i] == '"' || a->local.p[i] == '\\')
                buf_addc(out, '\\');
            buf_addc(out, a->local.p[i]);
        }
        buf_addc(out, '"');
    }
    if (a->kind != ADDRESS_LOCAL) {
        buf_addc(out, '@');
        buf_addv(out, a->domain);
    }
}

void address_format_path(const struct address *a, struct buf *out)
{
    buf_addc(out, '<');
    address_format(a, out);
    buf_addc(out, '>');
}

void address_key(const struct address *a, struct buf *out)
{
    domain_lower(a->local, out);
    if (a->kind == ADDRESS_DOMAIN || a->kind == ADDRESS_LITERAL) {
        buf_addc(out, '@');
        domain_lower(a->domain, out);
    }
}

bool address_eq(const struct address *a, const struct address *b)
{
    return a->kind == b->kind && strv_eq(a->local, b->local) && strv_eq(a->domain, b->domain);
}

bool address_ieq(const struct address *a, const struct address *b)
{
    return a->kind == b->kind && strv_ieq(a->local, b->local) && strv_eq(a->domain, b->domain);
}

bool address_is_null(const struct address *a)
{
    return a->kind == ADDRESS_NULL;
}

bool address_is_postmaster(const struct address *a)
{
    return a->kind != ADDRESS_NULL && strv_iis(a->local, "postmaster");
}

bool address_is_root(const struct address *a)
{
    return a->kind != ADDRESS_NULL && strv_iis(a->local, "root");
}

bool address_is_mailer_daemon(const struct address *a)
{
    return a->kind != ADDRESS_NULL && strv_iis(a->local, "mailer-daemon");
}

bool address_local_is_routed(struct strv local)
{
    return strv_has(local, '%') || strv_has(local, '!') || strv_has(local, '@');
}

bool address_split_extension(struct strv local, struct strv separators, struct strv *base, struct strv *ext)
{
    *base = local;
    *ext = strv_make("", 0);
    if (strv_has(separators, '-') &&
        (strv_istarts(local, SV_LIT("owner-")) || strv_iends(local, SV_LIT("-request")) ||
         strv_iis(local, "mailer-daemon")))
        return false;
    for (size_t i = 1; i < local.n; i++) {
        if (!strv_has(separators, local.p[i]))
            continue;
        *base = strv_sub(local, 0, i);
        *ext = strv_from(local, i + 1);
        return true;
    }
    return false;
}
