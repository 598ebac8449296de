/* error.c - located mistakes with their source line and a caret */
#include "conf/error.h"

#include "common/base/mem.h"
#include "conf/place.h"
#include "conf/utf8.h"

#include <stdio.h>
#include <stdlib.h>

#define TEXT_MAX 4096
/* An excerpt is for a terminal; a list of 10,000 domains on one line is shown from shortly before the
 * mistake. */
#define EXCERPT_CHARS 100u
#define EXCERPT_BEFORE 40u

void conf_errors_init(struct conf_errors *errs)
{
    *errs = (struct conf_errors){ .n = 0 };
}

void conf_errors_clear(struct conf_errors *errs)
{
    for (unsigned i = 0; i < errs->n; i++) {
        free(errs->list[i].text);
        free(errs->list[i].excerpt);
    }
    conf_errors_init(errs);
}

/* Takes one character of UTF-8 (or one stray byte) off the front. */
static struct strv take_char(struct strv *rest)
{
    size_t n = utf8_length(*rest);
    struct strv c = strv_sub(*rest, 0, n ? n : 1);
    *rest = strv_from(*rest, c.n);
    return c;
}

static void add_char(struct buf *out, struct strv c)
{
    unsigned char byte = (unsigned char)c.p[0];
    if ((c.n == 1 && byte != '\t' && !byte_is_print(byte)) || utf8_is_control(c))
        buf_addc(out, '?');
    else
        buf_addv(out, c);
}

static void add_excerpt(struct buf *out, const struct conf_place *place)
{
    struct strv line = strv_from(place->source->text, place->line_start);
    size_t end;
    if (strv_find(line, '\n', &end))
        line.n = end;
    if (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    unsigned skip = place->column > EXCERPT_CHARS - EXCERPT_BEFORE ? place->column - EXCERPT_BEFORE : 0;
    for (unsigned i = 0; i < skip && line.n > 0; i++)
        take_char(&line);
    struct buf caret;
    buf_init(&caret, TEXT_MAX);
    buf_adds(out, skip ? "    ..." : "    ");
    buf_adds(&caret, skip ? "       " : "    ");
    unsigned shown = 0;
    for (; line.n > 0 && shown < EXCERPT_CHARS; shown++) {
        struct strv c = take_char(&line);
        add_char(out, c);
        unsigned column = skip + shown + 1;
        if (column < place->column)
            buf_addc(&caret, c.p[0] == '\t' ? '\t' : ' ');
        else if (column < place->column + place->width)
            buf_addc(&caret, '^');
    }
    if (skip + shown < place->column)       /* behind the end of the line */
        buf_addc(&caret, '^');
    buf_adds(out, line.n > 0 ? "...\n" : "\n");
    buf_addv(out, buf_view(&caret));
    buf_addc(out, '\n');
    buf_clear(&caret);
}

static struct conf_error *add_error(struct conf_errors *errs)
{
    errs->total++;
    return errs->n < CONF_ERRORS_MAX ? &errs->list[errs->n++] : NULL;
}

void conf_error_at(struct conf_errors *errs, const struct conf_place *place, const char *fmt, ...)
{
    struct conf_error *e = add_error(errs);
    if (!e)
        return;
    struct buf text, excerpt;
    buf_init(&text, TEXT_MAX);
    buf_init(&excerpt, TEXT_MAX);
    if (place->source && place->line > 0)
        buf_addf(&text, "%s:%u:%u: ", place->source->name, place->line, place->column);
    else if (place->source)
        buf_addf(&text, "%s: ", place->source->name);
    va_list ap;
    va_start(ap, fmt);
    buf_addvf(&text, fmt, ap);
    va_end(ap);
    if (place->source && place->line > 0)
        add_excerpt(&excerpt, place);
    e->text = mem_str(buf_cstr(&text));
    e->excerpt = mem_str(buf_cstr(&excerpt));
    buf_clear(&text);
    buf_clear(&excerpt);
}

void conf_error_file(struct conf_errors *errs, const char *name, const char *fmt, ...)
{
    struct conf_error *e = add_error(errs);
    if (!e)
        return;
    struct buf text;
    buf_init(&text, TEXT_MAX);
    buf_addf(&text, "%s: ", name);
    va_list ap;
    va_start(ap, fmt);
    buf_addvf(&text, fmt, ap);
    va_end(ap);
    e->text = mem_str(buf_cstr(&text));
    e->excerpt = mem_str("");
    buf_clear(&text);
}

void conf_errors_text(const struct conf_errors *errs, struct buf *out)
{
    for (unsigned i = 0; i < errs->n; i++) {
        buf_adds(out, errs->list[i].text);
        buf_addc(out, '\n');
        buf_adds(out, errs->list[i].excerpt);
    }
    if (errs->total > errs->n)
        buf_addf(out, "and %u more\n", errs->total - errs->n);
}
