/* print.h - rows as text for people and as JSON for programs; foreign bytes never reach a terminal raw */
#pragma once

#include "mtactl/rows.h"

/* Control bytes and bytes that are no UTF-8 as \xNN. */
void print_safe(struct buf *out, struct strv text);
/* A JSON string with its quotes. */
void print_json_string(struct buf *out, struct strv text);
/* {"kind":"daemon","name":"smtpd","pid":12} */
void print_json_row(struct buf *out, const struct row *r);
/* Rows from `from` on that have the kind of the first one, as a table with headings; returns the index behind
   them. */
size_t print_table(struct buf *out, const struct rows *rows, size_t from);
/* One row as `name: value` lines. */
void print_list(struct buf *out, const struct row *r);
/* "3d 4h", "12m 5s" */
void print_age(struct buf *out, uint64_t seconds);
/* "12.3 KiB" */
void print_size(struct buf *out, uint64_t bytes);
