/* rows.h - what a daemon answered: rows of named values, kept or passed on one by one */
#pragma once

#include "common/base/buf.h"
#include "common/ipc/rowpack.h"

struct value {
    const char *name; /* owned, like text, unless the row was read (views) or lies in one block */
    const char *text; /* NULL: it is a number; of a row that was read: without a NUL behind it */
    size_t text_n;
    uint64_t number;
};

struct row {
    const char *kind; /* as names */
    struct value *values; /* owned */
    size_t n, cap;
    bool read;   /* by row_read: views of a frame, and of names of its reader; rows_take makes copies */
    char *block; /* owned: such a copy, in one piece; NULL: none */
    size_t block_n;
};

struct rows {
    struct row *list; /* owned */
    size_t n, cap;
};

/* The row at the start of *rest, bytes of a CTL_ROWS, which move on; r was read before, or is zeroed. It is
   good as long as these bytes and until the reader is reset. False: these are no rows. */
bool row_read(struct row *r, struct rowread *reader, struct strv *rest);
void row_clear(struct row *r);
const struct value *row_find(const struct row *r, const char *name); /* NULL: none */
struct strv row_text(const struct row *r, const char *name);         /* empty when absent */
uint64_t row_number(const struct row *r, const char *name);          /* 0 when absent */

/* Rows of our own, beside those of daemons. */
struct row *rows_add(struct rows *rows, const char *kind); /* valid until the next one */
void row_put(struct row *r, const char *name, struct strv text);
void row_put_number(struct row *r, const char *name, uint64_t number);
void rows_take(struct rows *rows, struct row *r); /* r is empty afterwards, unless it was read: then copied */
void rows_clear(struct rows *rows);
