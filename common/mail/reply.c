/* reply.c - the one formatter of SMTP replies */
#include "common/mail/reply.h"

#include <assert.h>
#include <stdio.h>

#include "common/base/mem.h"

#define REPLY_TEXT_MAX 8192     /* of one formatted reply; ours are a tenth of that */

/* Foreign text reaches a peer only through here. */
static void add_printable(struct buf *out, struct strv s)
{
    char *to = buf_reserve(out, s.n);

    if (!to)
        return;
    for (size_t i = 0; i < s.n; i++)
        to[i] = byte_is_print((unsigned char)s.p[i]) ? s.p[i] : '?';
    buf_commit(out, s.n);
}

static void write_line(struct buf *out, int code, bool last, const char *enhanced, struct strv text)
{
    bool enh = enhanced && enhanced[0];
    char digits[3] = { (char)('0' + code / 100), (char)('0' + code / 10 % 10), (char)('0' + code % 10) };

    buf_add(out, digits, sizeof digits);
    if (!last)
        buf_addc(out, '-');
    else if (enh || text.n > 0)
        buf_addc(out, ' ');
    if (enh)
        buf_adds(out, enhanced);
    if (enh && text.n > 0)
        buf_addc(out, ' ');
    add_printable(out, text);
    buf_adds(out, "\r\n");
}

/* Bytes of text that fit into one line. */
static size_t line_room(const char *enhanced)
{
    return REPLY_LINE_MAX - 6 - (enhanced && enhanced[0] ? strlen(enhanced) + 1 : 0);
}

/* Takes at most room bytes off *line, up to a blank where there is one. */
static struct strv take_piece(struct strv *line, size_t room)
{
    struct strv piece = strv_sub(*line, 0, room);
    size_t at;

    if (line->n <= room) {
        *line = strv_make(NULL, 0);
        return piece;
    }
    if (strv_rfind(piece, ' ', &at) && at > 0) {
        piece.n = at;
        *line = strv_from(*line, at + 1);
    } else {
        *line = strv_from(*line, room);
    }
    return piece;
}

void reply_write(struct buf *out, int code, const char *enhanced, const char *text)
{
    struct strv rest = SV(text), line = { NULL, 0 };
    size_t room = line_room(enhanced);

    assert(code >= 200 && code <= 599);
    while (strv_cut(&rest, '\n', &line)) {
        while (line.p) {
            struct strv piece = take_piece(&line, room);

            write_line(out, code, !line.p && !rest.p, enhanced, piece);
        }
    }
}

void reply_writef(struct buf *out, int code, const char *enhanced, const char *fmt, ...)
{
    char text[REPLY_TEXT_MAX] MEM_UNSET;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    reply_write(out, code, enhanced, text);
}

void reply_write_lines(struct buf *out, int code, const char *enhanced, const struct strv *lines,
                       size_t count)
{
    assert(code >= 200 && code <= 599 && count > 0);
    for (size_t i = 0; i < count; i++)
        write_line(out, code, i + 1 == count, enhanced, strv_sub(lines[i], 0, line_room(enhanced)));
}
