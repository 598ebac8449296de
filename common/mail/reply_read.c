/* reply_read.c - the one parser of SMTP replies; the server at the other end is as hostile as any client */
#include "common/mail/reply.h"

#include <stdio.h>

void reply_init(struct reply *r)
{
    *r = (struct reply){ .code = 0 };
    buf_init(&r->text, REPLY_BYTES_MAX);
}

void reply_reset(struct reply *r)
{
    struct buf text = r->text;

    buf_reset(&text);
    *r = (struct reply){ .code = 0, .text = text };
}

void reply_clear(struct reply *r)
{
    buf_clear(&r->text);
    reply_reset(r);
}

static enum reply_step bad(struct reply *r, const char *what)
{
    snprintf(r->error, sizeof r->error, "line %zu: %s", r->lines + 1, what);
    return REPLY_BAD;
}

static bool take_code(struct strv line, int *code)
{
    uint64_t v;

    if (line.n < 3 || !strv_u64(strv_sub(line, 0, 3), 599, &v) || v < 200)
        return false;
    *code = (int)v;
    return true;
}

static bool has_control(struct strv line)
{
    return strv_has(line, '\0') || strv_has(line, '\r') || strv_has(line, '\n');
}

enum reply_step reply_feed(struct reply *r, struct strv line)
{
    struct status status;
    struct strv text, rest;
    int code;
    char sep;

    if (r->done)
        reply_reset(r);
    if (r->error[0])
        return REPLY_BAD;
    if (has_control(line))
        return bad(r, "NUL, CR or LF inside the line");
    if (!take_code(line, &code))
        return bad(r, line.n < 3 ? "no reply code" : "bad reply code");
    if (r->lines > 0 && code != r->code)
        return bad(r, "another code than before");
    sep = line.n > 3 ? line.p[3] : ' ';
    if (sep != ' ' && sep != '-')
        return bad(r, "neither blank nor hyphen behind the code");
    if (r->lines == REPLY_LINES_MAX)
        return bad(r, "too many lines");
    text = strv_from(line, 4);
    if (r->lines > 0)
        buf_addc(&r->text, '\n');
    buf_addv(&r->text, text);
    if (!buf_ok(&r->text))
        return bad(r, "too much text");
    r->code = code;
    r->lines++;
    /* RFC 2034 4: a status of another class than the code's is no status, whatever it looks like */
    if (!status_is_set(r->status) && status_take(text, &status, &rest) && status.cls == code / 100)
        r->status = status;
    r->done = sep == ' ';
    return r->done ? REPLY_DONE : REPLY_MORE;
}

const char *reply_error(const struct reply *r)
{
    return r->error;
}

struct strv reply_first_line(const struct reply *r)
{
    struct strv rest = buf_view(&r->text), line = { "", 0 };

    strv_cut(&rest, '\n', &line);
    return line;
}

static bool status_same(struct status a, struct status b)
{
    return a.cls == b.cls && a.subject == b.subject && a.detail == b.detail;
}

void reply_text_joined(const struct reply *r, struct buf *out)
{
    struct strv rest = buf_view(&r->text), line, behind;
    struct status status;
    bool written = false, status_written = false;

    buf_addf(out, "%03d", r->code);
    while (strv_cut(&rest, '\n', &line)) {
        if (status_take(line, &status, &behind) && status_same(status, r->status)) {
            if (status_written)
                line = behind;
            status_written = true;
        }
        line = strv_trim(line);
        if (line.n == 0)
            continue;
        buf_adds(out, written ? " / " : " ");
        for (size_t i = 0; i < line.n; i++)
            buf_addc(out, byte_is_print((unsigned char)line.p[i]) ? line.p[i] : '?');
        written = true;
    }
}
