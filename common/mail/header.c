/* header.c - reading RFC 5322 header blocks */
#include "common/mail/header.h"

void header_scan_init(struct header_scan *s)
{
    *s = (struct header_scan){ .line = 0 };
}

/* Length of the field name at the start of the line, 0 when it is no field. */
static size_t field_name_len(struct strv line)
{
    size_t n = 0, i;

    while (n < line.n && line.p[n] > 32 && line.p[n] < 127 && line.p[n] != ':')
        n++;
    i = n;
    while (i < line.n && byte_is_blank((unsigned char)line.p[i]))
        i++;        /* obsolete syntax, RFC 5322 4.5 */
    return n <= HEADER_NAME_MAX && i < line.n && line.p[i] == ':' ? n : 0;
}

static bool is_continuation(struct strv line)
{
    return line.n > 0 && byte_is_blank((unsigned char)line.p[0]);
}

/* Finds the CRLF at or behind from; *at is its CR. */
static bool find_crlf(struct strv s, size_t from, size_t *at)
{
    while (from < s.n) {
        const char *lf = memchr(s.p + from, '\n', s.n - from);

        if (!lf)
            return false;
        if (lf > s.p && lf[-1] == '\r') {
            *at = (size_t)(lf - s.p) - 1;
            return true;
        }
        from = (size_t)(lf - s.p) + 1;
    }
    return false;
}

static enum header_end scan_ended(struct header_scan *s, enum header_end end, size_t len, size_t body)
{
    s->header_len = len;
    s->body_at = body;
    return end;
}

/* One line without its CRLF; HEADER_MORE when it belongs to the header. */
static enum header_end scan_line(struct header_scan *s, struct strv line)
{
    if (is_continuation(line) && s->fields > 0)
        return HEADER_MORE;
    if (field_name_len(line) == 0)
        return HEADER_END_MALFORMED;
    if (++s->fields > HEADER_FIELDS_MAX)
        return HEADER_TOO_BIG;
    return HEADER_MORE;
}

enum header_end header_scan(struct header_scan *s, struct strv so_far)
{
    size_t at;

    while (find_crlf(so_far, s->looked, &at)) {
        enum header_end end;

        if (at + 2 > HEADER_SIZE_MAX)
            return HEADER_TOO_BIG;
        if (at == s->line)
            return scan_ended(s, HEADER_END, at, at + 2);
        end = scan_line(s, strv_sub(so_far, s->line, at - s->line));
        if (end == HEADER_TOO_BIG)
            return end;
        if (end == HEADER_END_MALFORMED)
            return scan_ended(s, end, s->line, s->line);
        s->line = s->looked = at + 2;
    }
    if (so_far.n > HEADER_SIZE_MAX)
        return HEADER_TOO_BIG;
    s->looked = so_far.n;
    return HEADER_MORE;
}

enum header_end header_scan_finish(struct header_scan *s, struct strv whole)
{
    struct strv line = strv_from(whole, s->line);
    enum header_end end;

    if (line.n == 0)
        return scan_ended(s, HEADER_END, whole.n, whole.n);
    end = scan_line(s, line);
    if (end == HEADER_END_MALFORMED)
        return scan_ended(s, end, s->line, s->line);
    return scan_ended(s, end == HEADER_MORE ? HEADER_END : end, whole.n, whole.n);
}

/* Where the field at the start of s ends: behind the first CRLF that no blank follows. */
static size_t field_size(struct strv s)
{
    size_t from = 0, at;

    while (find_crlf(s, from, &at)) {
        if (at + 2 >= s.n || !byte_is_blank((unsigned char)s.p[at + 2]))
            return at + 2;
        from = at + 2;
    }
    return s.n;
}

bool header_next(struct strv *rest, struct header_field *out)
{
    size_t name = field_name_len(*rest), size, colon;

    if (name == 0 || !strv_find(*rest, ':', &colon))
        return false;
    size = field_size(*rest);
    out->whole = strv_sub(*rest, 0, size);
    out->name = strv_sub(*rest, 0, name);
    out->value = strv_from(out->whole, colon + 1);
    if (strv_ends(out->value, SV_LIT("\r\n")))
        out->value.n -= 2;
    *rest = strv_from(*rest, size);
    return true;
}

bool header_find(struct strv block, const char *name, struct header_field *out)
{
    while (header_next(&block, out)) {
        if (strv_iis(out->name, name))
            return true;
    }
    return false;
}

size_t header_count(struct strv block, const char *name)
{
    struct header_field field;
    size_t n = 0;

    while (header_next(&block, &field))
        n += strv_iis(field.name, name);
    return n;
}

bool header_name_ok(struct strv name)
{
    if (name.n == 0 || name.n > HEADER_NAME_MAX)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] <= 32 || name.p[i] >= 127 || name.p[i] == ':')
            return false;
    }
    return true;
}

void header_unfold(struct strv value, struct buf *out)
{
    value = strv_trim(value);
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] == '\r' && i + 1 < value.n && value.p[i + 1] == '\n')
            i++;
        else
            buf_addc(out, value.p[i] == '\r' || value.p[i] == '\n' ? ' ' : value.p[i]);
    }
}

/* Nothing but trace fields tells where an older set begins, or a field that this one has already. */
struct strv header_resent(struct strv block)
{
    static const char *const names[] = {
        "Resent-From", "Resent-Sender",   "Resent-To",         "Resent-Cc",
        "Resent-Bcc",  "Resent-Reply-To", "Resent-Message-ID", "Resent-Date",
    };
    struct strv rest = block;
    const char *begin = NULL, *end = NULL;
    struct header_field f;
    unsigned seen = 0;

    while (header_next(&rest, &f)) {
        unsigned bit = 0;

        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            if (strv_iis(f.name, names[i]))
                bit = 1u << i;
        if ((seen & bit) || (seen && (strv_iis(f.name, "Received") || strv_iis(f.name, "Return-Path"))))
            break;
        if (!bit)
            continue;
        seen |= bit;
        begin = begin ? begin : f.whole.p;
        end = f.whole.p + f.whole.n;
    }
    return begin ? strv_make(begin, (size_t)(end - begin)) : strv_make(block.p, 0);
}
