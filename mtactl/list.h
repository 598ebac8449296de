/* list.h - messages of the queue with their recipients, in the queue's order or another, all or some */
#pragma once

#include "mtactl/choices.h"
#include "mtactl/tool.h"

/* A row of `list`, for people. */
void list_text(struct buf *out, const struct row *r);

struct list_item;

struct list {
    struct tool *t;
    struct choices choices;
    size_t messages; /* that were shown */
    bool full;       /* the limit is reached: further rows are not shown */
    /* sorted */
    struct list_item *items; /* owned */
    size_t item_n, item_cap;
    struct buf text; /* of the last item, as far as it came */
};

void list_init(struct list *l, struct tool *t, const struct choices *choices);
void list_row(struct list *l, struct row *r);
void list_end(struct list *l); /* prints what was kept for sorting, and frees */
