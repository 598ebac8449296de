/* rows.c - what a daemon answered: rows of named values */
#include "mtactl/rows.h"

#include <stdlib.h>

#include "common/base/mem.h"

static struct value *value_add(struct row *r, struct strv name)
{
    r->values = mem_resize(r->values, r->n + 1, sizeof *r->values);
    r->values[r->n] = (struct value){ .name = strv_dup(name) };
    return &r->values[r->n++];
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

void row_read(struct row *r, const struct ipc_in *in)
{
    struct ipc_in group;
    size_t at = 0;

    *r = (struct row){ .kind = strv_dup(ipc_get(in, TAG_NAME)) };
    while (ipc_next_group(in, TAG_ITEM, &at, &group)) {
        struct value *v = value_add(r, ipc_get(&group, TAG_NAME));

        v->number = ipc_get_u64(&group, TAG_COUNT);
        if (ipc_has(&group, TAG_VALUE)) {
            v->text = strv_dup(ipc_get(&group, TAG_VALUE));
            v->text_n = ipc_get(&group, TAG_VALUE).n;
        }
    }
}

void row_clear(struct row *r)
{
    for (size_t i = 0; i < r->n; i++) {
        free(r->values[i].name);
        free(r->values[i].text);
    }
    free(r->values);
    free(r->kind);
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
