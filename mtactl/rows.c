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

static char *block_take(struct row *r, struct strv text)
{
    char *at = r->block + r->block_n;

    if (text.n)
        memcpy(at, text.p, text.n);
    at[text.n] = '\0';
    r->block_n += text.n + 1;
    return at;
}

/* A list of a million rows is read like this: each costs two allocations. What stands before each text in the
   frame, its tag and length, is longer than the byte that ends its copy. */
void row_read(struct row *r, const struct ipc_in *in)
{
    struct ipc_in group;
    size_t at = 0;

    *r = (struct row){ .block = mem_array(in->fields.n + 1, 1) };
    r->kind = block_take(r, ipc_get(in, TAG_NAME));
    while (ipc_next_group(in, TAG_ITEM, &at, &group)) {
        struct value *v = value_new(r);

        v->name = block_take(r, ipc_get(&group, TAG_NAME));
        v->number = ipc_get_u64(&group, TAG_COUNT);
        if (ipc_has(&group, TAG_VALUE)) {
            v->text = block_take(r, ipc_get(&group, TAG_VALUE));
            v->text_n = ipc_get(&group, TAG_VALUE).n;
        }
    }
}

static void text_free(const struct row *r, char *text)
{
    if (!r->block || text < r->block || text >= r->block + r->block_n)
        free(text);
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
