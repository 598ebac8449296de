/* stray.c - a mailbox's separator line, and header fields that stand below a bad line */
#include "cleanup/stray.h"

#include "common/mail/header.h"

#include <string.h>

size_t stray_from_line(struct strv message)
{
    const char *end;

    if (!strv_starts(message, SV_LIT("From ")))
        return 0;
    end = memmem(message.p, message.n, "\r\n", 2);
    return end ? (size_t)(end - message.p) + 2 : 0;
}

bool stray_is_whole(struct strv message, size_t at, size_t *looked, size_t *end)
{
    /* The end of a line that was the last one until now may be the first of the two. */
    size_t from = *looked > at + 3 ? *looked - 3 : at;
    const char *empty = memmem(message.p + from, message.n - from, "\r\n\r\n", 4);

    *looked = message.n;
    if (empty)
        *end = (size_t)(empty - message.p) + 4;
    return empty != NULL;
}

/* One line, and the lines that continue it when it is a field. False: a line that is no field. */
static bool take(struct strv *rest, struct header_field *f)
{
    const char *lf;

    if (header_next(rest, f))
        return true;
    lf = memchr(rest->p, '\n', rest->n);
    f->whole = strv_sub(*rest, 0, lf ? (size_t)(lf - rest->p) + 1 : rest->n);
    *rest = strv_from(*rest, f->whole.n);
    return false;
}

void stray_copy(struct strv lines, size_t fields_above, struct buf *out)
{
    struct header_field f;
    struct strv rest = lines;
    size_t fields = fields_above;

    while (rest.n)
        fields += take(&rest, &f);
    if (fields < 2) {
        buf_addv(out, lines);
        return;
    }
    rest = lines;
    while (rest.n)
        if (!take(&rest, &f) || (!strv_iis(f.name, "Bcc") && !strv_iis(f.name, "Resent-Bcc")))
            buf_addv(out, f.whole);
}
