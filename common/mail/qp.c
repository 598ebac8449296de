/* qp.c - quoted-printable, RFC 2045 section 6.7 */
#include "common/mail/qp.h"

#define LINE_MAX_CHARS 76 /* rule 5, with the "=" of a soft line break */

static bool is_eol(struct strv text, size_t at)
{
    return at + 1 < text.n && text.p[at] == '\r' && text.p[at + 1] == '\n';
}

/* Rule 3: a blank at the end of a line would be lost on the way. */
static bool is_literal(struct strv text, size_t at)
{
    unsigned char u = (unsigned char)text.p[at];

    if (u == ' ' || u == '\t')
        return at + 1 < text.n && !is_eol(text, at + 1);
    return u > 32 && u < 127 && u != '=';
}

void qp_encode(struct strv text, struct buf *out)
{
    size_t col = 0;

    for (size_t i = 0; i < text.n; i++) {
        bool literal = is_literal(text, i);
        size_t width = literal ? 1 : 3;
        bool last = i + 1 == text.n || is_eol(text, i + 1);

        if (is_eol(text, i)) {
            buf_adds(out, "\r\n");
            col = 0;
            i++;
            continue;
        }
        if (col + width > LINE_MAX_CHARS - (last ? 0 : 1)) {
            buf_adds(out, "=\r\n");
            col = 0;
        }
        if (literal)
            buf_addc(out, text.p[i]);
        else
            buf_addf(out, "=%02X", (unsigned char)text.p[i]);
        col += width;
    }
}
