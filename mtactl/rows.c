/* rows.c - what a daemon answered: rows of named values */
#include "mtactl/rows.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

static struct value *value_new(struct row *r)
{
    if (r->n == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 12;
        r->values = mem_resize(r->values, r->cap, sizeof *r->values);
    }
    r->values[r->n] = (struct value){ .name = NULL };
    return &r->values[r->n++];
}

static struct value *value_add(struct row *r, struct strv name)
{
    struct value *v = value_new(r);

    v->name = strv_dup(name);
    return v;
}

void row_put(struct row *r, const char *name, struct strv text)
{
    struct value *v = value_add(r, SV(name));

    v->text = strv_dup(text);
    v->text_n = text.n;
}

void row_put_number(struct row *r, const char *name, uint64_t number)
{
    value_add(r, SV(name))->number = number;
}

/* A list of a million rows is read like this: nothing is copied. */
bool row_read(struct row *r, struct rowread *reader, struct strv *rest)
{
    struct rowread_value v;
    enum rowread_step step;

    r->read = true;
    r->n = 0;
    r->kind = rowread_begin(reader, rest);
    if (!r->kind)
        return false;
    while ((step = rowread_next(reader, rest, &v)) == ROWREAD_VALUE)
        *value_new(r) =
            (struct value){ .name = v.name, .text = v.text.p, .text_n = v.text.n, .number = v.number };
    return step == ROWREAD_END;
}

/* ---- memory ---- */

static const char *block_take(struct row *r, struct strv text)
{
    char *at = r->block + r->block_n;

    if (text.n)
        memcpy(at, text.p, text.n);
    at[text.n] = '\0';
    r->block_n += text.n + 1;
    return at;
}

/* What a row that was read says, on its own: two allocations. */
static struct row row_copy(const struct row *from)
{
    struct row r = { .n = from->n, .cap = from->n, .values = mem_array(from->n + 1, sizeof *r.values) };
    size_t size = strlen(from->kind) + 1;

    for (size_t i = 0; i < from->n; i++)
        size += strlen(from->values[i].name) + from->values[i].text_n + 2;
    r.block = mem_array(size, 1);
    r.kind = block_take(&r, SV(from->kind));
    for (size_t i = 0; i < from->n; i++) {
        const struct value *v = &from->values[i];

        r.values[i] = *v;
        r.values[i].name = block_take(&r, SV(v->name));
        if (v->text)
            r.values[i].text = block_take(&r, strv_make(v->text, v->text_n));
    }
    return r;
}

static void text_free(const struct row *r, const char *text)
{
    if (!r->read && (!r->block || text < r->block || text >= r->block + r->block_n))
        free((char *)(uintptr_t)text);
}

void row_clear(struct row *r)
{
    for (size_t i = 0; i < r->n; i++) {
        text_free(r, r->values[i].name);
        text_free(r, r->values[i].text);
    }
    free(r->values);
    text_free(r, r->kind);
    free(r->block);
    *r = (struct row){ 0 };
}

const struct value *row_find(const struct row *r, const char *name)
{
    for (size_t i = 0; i < r->n; i++)
        if (strcmp(r->values[i].name, name) == 0)
            return &r->values[i];
    return NULL;
}

struct strv row_text(const struct row *r, const char *name)
{
    const struct value *v = row_find(r, name);

    return v && v->text ? strv_make(v->text, v->text_n) : SV_LIT("");
}

uint64_t row_number(const struct row *r, const char *name)
{
    const struct value *v = row_find(r, name);

    return v && !v->text ? v->number : 0;
}

void rows_take(struct rows *rows, struct row *r)
{
    if (rows->n == rows->cap) {
        rows->cap = rows->cap ? rows->cap * 2 : 16;
        rows->list = mem_resize(rows->list, rows->cap, sizeof *rows->list);
    }
    if (r->read) {
        rows->list[rows->n++] = row_copy(r);
        return;
    }
    rows->list[rows->n++] = *r;
    *r = (struct row){ 0 };
}

struct row *rows_add(struct rows *rows, const char *kind)
{
    struct row r = { .kind = mem_str(kind) };

    rows_take(rows, &r);
    return &rows->list[rows->n - 1];
}

void rows_clear(struct rows *rows)
{
    for (size_t i = 0; i < rows->n; i++)
        row_clear(&rows->list[i]);
    free(rows->list);
    *rows = (struct rows){ 0 };
}
