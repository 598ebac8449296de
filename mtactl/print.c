/* print.c - rows as text for people and as JSON for programs */
#include "mtactl/print.h"

#include <inttypes.h>

#include "conf/utf8.h"

/* Bytes of the character at p, 0 for what must not reach a terminal: controls (C1 too) and no UTF-8. */
static size_t printable(struct strv text)
{
    size_t n;

    if ((unsigned char)text.p[0] < 0x80)
        return byte_is_print((unsigned char)text.p[0]);
    n = utf8_length(text);
    return utf8_is_control(strv_sub(text, 0, n)) ? 0 : n;
}

/* Bytes at the beginning that may stand as they are: nearly always all. */
static size_t plain(struct strv text, bool json)
{
    size_t n = 0;

    while (n < text.n && byte_is_print((unsigned char)text.p[n]) &&
           (!json || (text.p[n] != '"' && text.p[n] != '\\')))
        n++;
    return n;
}

static struct strv plain_add(struct buf *out, struct strv text, bool json)
{
    size_t n = plain(text, json);

    buf_add(out, text.p, n);
    return strv_from(text, n);
}

static void number_add(struct buf *out, uint64_t number)
{
    char digits[20];
    size_t at = sizeof digits;

    do
        digits[--at] = (char)('0' + number % 10);
    while (number /= 10);
    buf_add(out, digits + at, sizeof digits - at);
}

void print_safe(struct buf *out, struct strv text)
{
    for (text = plain_add(out, text, false); text.n > 0; text = plain_add(out, text, false)) {
        size_t n = printable(text);

        if (n == 0) {
            buf_addf(out, "\\x%02x", (unsigned char)text.p[0]);
            n = 1;
        } else {
            buf_add(out, text.p, n);
        }
        text = strv_from(text, n);
    }
}

void print_json_string(struct buf *out, struct strv text)
{
    buf_addc(out, '"');
    for (text = plain_add(out, text, true); text.n > 0; text = plain_add(out, text, true)) {
        size_t n = printable(text);

        if (n == 0) {
            buf_addf(out, "\\u%04x", (unsigned char)text.p[0]);
            n = 1;
        } else if (n == 1 && (text.p[0] == '"' || text.p[0] == '\\')) {
            buf_addc(out, '\\');
            buf_addc(out, text.p[0]);
        } else {
            buf_add(out, text.p, n);
        }
        text = strv_from(text, n);
    }
    buf_addc(out, '"');
}

void print_json_row(struct buf *out, const struct row *r)
{
    buf_adds(out, "{\"kind\":");
    print_json_string(out, SV(r->kind));
    for (size_t i = 0; i < r->n; i++) {
        const struct value *v = &r->values[i];

        buf_addc(out, ',');
        print_json_string(out, SV(v->name));
        buf_addc(out, ':');
        if (v->text)
            print_json_string(out, strv_make(v->text, v->text_n));
        else
            number_add(out, v->number);
    }
    buf_addc(out, '}');
}

static void cell(struct buf *out, const struct value *v)
{
    buf_reset(out);
    if (v->text)
        print_safe(out, strv_make(v->text, v->text_n));
    else
        buf_addf(out, "%" PRIu64, v->number);
}

static size_t column_width(const struct rows *rows, size_t from, size_t to, size_t column,
                           struct buf *scratch)
{
    size_t width = strlen(rows->list[from].values[column].name);

    for (size_t i = from; i < to; i++) {
        if (column >= rows->list[i].n)
            continue;
        cell(scratch, &rows->list[i].values[column]);
        if (scratch->len > width)
            width = scratch->len;
    }
    return width;
}

#define COLUMNS_MAX 24u

static void line(struct buf *out, const struct row *r, bool heading, const size_t *width, size_t columns,
                 struct buf *scratch)
{
    for (size_t i = 0; i < columns && i < r->n; i++) {
        if (heading) {
            buf_reset(scratch);
            buf_adds(scratch, r->values[i].name);
        } else {
            cell(scratch, &r->values[i]);
        }
        buf_addv(out, buf_view(scratch));
        for (size_t pad = scratch->len; i + 1 < columns && pad < width[i] + 2; pad++)
            buf_addc(out, ' ');
    }
    buf_addc(out, '\n');
}

size_t print_table(struct buf *out, const struct rows *rows, size_t from)
{
    size_t to = from, width[COLUMNS_MAX], columns;
    struct buf scratch;

    while (to < rows->n && strcmp(rows->list[to].kind, rows->list[from].kind) == 0)
        to++;
    columns = rows->list[from].n < COLUMNS_MAX ? rows->list[from].n : COLUMNS_MAX;
    buf_init(&scratch, 1u << 20);
    for (size_t c = 0; c < columns; c++)
        width[c] = column_width(rows, from, to, c, &scratch);
    line(out, &rows->list[from], true, width, columns, &scratch);
    for (size_t i = from; i < to; i++)
        line(out, &rows->list[i], false, width, columns, &scratch);
    buf_clear(&scratch);
    return to;
}

void print_list(struct buf *out, const struct row *r)
{
    struct buf scratch;

    buf_init(&scratch, 1u << 20);
    for (size_t i = 0; i < r->n; i++) {
        cell(&scratch, &r->values[i]);
        buf_addf(out, "%s: ", r->values[i].name);
        buf_addv(out, buf_view(&scratch));
        buf_addc(out, '\n');
    }
    buf_clear(&scratch);
}

void print_age(struct buf *out, uint64_t s)
{
    if (s >= 86400)
        buf_addf(out, "%" PRIu64 "d %" PRIu64 "h", s / 86400, s / 3600 % 24);
    else if (s >= 3600)
        buf_addf(out, "%" PRIu64 "h %" PRIu64 "m", s / 3600, s / 60 % 60);
    else if (s >= 60)
        buf_addf(out, "%" PRIu64 "m %" PRIu64 "s", s / 60, s % 60);
    else
        buf_addf(out, "%" PRIu64 "s", s);
}

void print_size(struct buf *out, uint64_t bytes)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
    double v = (double)bytes;
    unsigned u = 0;

    while (v >= 1024 && u + 1 < sizeof units / sizeof *units) {
        v /= 1024;
        u++;
    }
    buf_addf(out, u ? "%.1f %s" : "%.0f %s", v, units[u]);
}
