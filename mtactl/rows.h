/* rows.h - what a daemon answered: rows of named values, kept or passed on one by one */
#pragma once

#include "common/base/buf.h"
#include "common/ipc/frame.h"

struct value {
    char *name; /* owned, like text, unless it lies in the row's block */
    char *text; /* NULL: it is a number */
    size_t text_n;
    uint64_t number;
};

struct row {
    char *kind; /* owned, unless in the block */
    struct value *values;
    size_t n, cap;
    char *block; /* owned: what row_read copied, in one piece; NULL: none */
    size_t block_n;
};

struct rows {
    struct row *list; /* owned */
    size_t n, cap;
};

void row_read(struct row *r, const struct ipc_in *in); /* of a CTL_ROW */
void row_clear(struct row *r);
const struct value *row_find(const struct row *r, const char *name); /* NULL: none */
struct strv row_text(const struct row *r, const char *name);         /* empty when absent */
uint64_t row_number(const struct row *r, const char *name);          /* 0 when absent */

/* Rows of our own, beside those of daemons. */
struct row *rows_add(struct rows *rows, const char *kind); /* valid until the next one */
void row_put(struct row *r, const char *name, struct strv text);
void row_put_number(struct row *r, const char *name, uint64_t number);
void rows_take(struct rows *rows, struct row *r); /* r is empty afterwards */
void rows_clear(struct rows *rows);
