/* dialog.c - reads the .dlg files */
#include "dialog.h"

#include "common/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

static void bad(const struct dialog *d, unsigned line, const char *why)
{
    fprintf(stderr, "%s:%u: %s\n", d->name, line, why);
    exit(1);
}

/* \r \n \0 \t \\ \xHH */
static void unescape(const struct dialog *d, unsigned line, struct strv in, struct buf *out)
{
    for (size_t i = 0; i < in.n; i++) {
        char c = in.p[i];
        uint8_t byte;

        if (c != '\\') {
            buf_addc(out, c);
            continue;
        }
        c = ++i < in.n ? in.p[i] : '?';
        if (c == 'x' && strv_hex(strv_sub(in, i + 1, 2), &byte, 1)) {
            buf_addc(out, (char)byte);
            i += 2;
        } else if (byte_in_set(c, "rnt0\\")) {
            buf_addc(out, c == 'r' ? '\r' : c == 'n' ? '\n' : c == 't' ? '\t' : c == '0' ? '\0' : '\\');
        } else {
            bad(d, line, "unknown escape");
        }
    }
}

static struct dialog_step *add(struct dialog *d, enum dialog_kind kind, unsigned line)
{
    struct dialog_step *s;

    d->steps = mem_resize(d->steps, d->count + 1, sizeof *d->steps);
    s = &d->steps[d->count++];
    *s = (struct dialog_step){ .kind = kind, .line = line };
    buf_init(&s->bytes, 1u << 24);
    return s;
}

/* False: an option that is not for this run (`=only engine` is for this one). */
static void option(struct dialog *d, struct strv text, unsigned line)
{
    if (strv_is(text, "=client own"))
        d->own = true;
    else if (strv_is(text, "=sync"))
        d->sync = true;
    else if (strv_is(text, "=crowded"))
        d->crowded = true;
    else if (!strv_is(text, "=client stranger") && !strv_is(text, "=only engine"))
        bad(d, line, "unknown option");
}

static void repeat(struct dialog *d, struct strv rest, unsigned line)
{
    struct strv number;
    uint64_t n = 0;
    struct buf once;
    struct dialog_step *s;

    if (!strv_cut(&rest, ' ', &number) || !strv_u64(number, 1000000, &n))
        bad(d, line, "C* NUMBER BYTES");
    buf_init(&once, 65536);
    unescape(d, line, rest, &once);
    s = add(d, DIALOG_SEND, line);
    while (n-- > 0)
        buf_addv(&s->bytes, buf_view(&once));
    buf_clear(&once);
}

static void directive(struct dialog *d, struct strv text, unsigned line)
{
    struct strv word = strv_sub(text, 0, 2), rest = strv_from(text, 2);
    struct dialog_step *s;

    if (rest.n > 0 && rest.p[0] == ' ')
        rest = strv_from(rest, 1);
    if (strv_is(word, "C:")) {
        s = add(d, DIALOG_SEND, line);
        buf_addv(&s->bytes, rest);
        buf_adds(&s->bytes, "\r\n");
    } else if (strv_is(word, "C>")) {
        s = add(d, DIALOG_SEND, line);
        unescape(d, line, rest, &s->bytes);
    } else if (strv_is(word, "C*")) {
        repeat(d, rest, line);
    } else if (strv_is(word, "S:") || strv_is(word, "R:")) {
        s = add(d, strv_is(word, "S:") ? DIALOG_LINE : DIALOG_REPLY, line);
        buf_addv(&s->bytes, rest);
    } else if (strv_is(word, "E:")) {
        add(d, DIALOG_CLOSED, line);
    } else {
        bad(d, line, "unknown directive");
    }
}

void dialog_read(struct dialog *d, const char *path)
{
    static char text[1u << 20];
    FILE *f = fopen(path, "rb");
    struct strv rest, line;
    unsigned number = 0;

    *d = (struct dialog){ .count = 0 };
    snprintf(d->name, sizeof d->name, "%s", path);
    if (!f)
        bad(d, 0, "cannot be read");
    rest = strv_make(text, fread(text, 1, sizeof text, f));
    fclose(f);
    while (strv_cut(&rest, '\n', &line)) {
        number++;
        if (line.n == 0 || line.p[0] == '#')
            continue;
        if (line.p[0] == '=')
            option(d, line, number);
        else
            directive(d, line, number);
    }
}

void dialog_clear(struct dialog *d)
{
    for (size_t i = 0; i < d->count; i++)
        buf_clear(&d->steps[i].bytes);
    free(d->steps);
    *d = (struct dialog){ .count = 0 };
}

bool dialog_match(struct strv text, struct strv pattern)
{
    size_t star;

    if (!strv_find(pattern, '*', &star))
        return strv_eq(text, pattern);
    if (!strv_starts(text, strv_sub(pattern, 0, star)))
        return false;
    text = strv_from(text, star);
    pattern = strv_from(pattern, star + 1);
    for (size_t i = 0; i <= text.n; i++)
        if (dialog_match(strv_from(text, i), pattern))
            return true;
    return false;
}
