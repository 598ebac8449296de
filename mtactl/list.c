/* list.c - messages of the queue with their recipients, in the queue's order or another, all or some */
#include "mtactl/list.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "mtactl/print.h"

#define TEXT_MAX   (64u << 20)
#define CUT_LEAST  4096u /* with a limit: kept before the rest is thrown away */
#define LARGE_TEXT 65536u

struct list_item { /* a message as it will be printed */
    uint64_t number;
    char *key; /* owned: NULL when a number orders */
    size_t key_n, order;
    char *text; /* owned */
    size_t text_n;
};

void list_text(struct buf *out, const struct row *r)
{
    struct strv sender = row_text(r, "sender");

    if (strcmp(r->kind, "message") == 0) {
        print_safe(out, row_text(r, "id"));
        buf_addc(out, ' ');
        print_safe(out, row_text(r, "state"));
        buf_addc(out, ' ');
        print_size(out, row_number(r, "size"));
        buf_adds(out, ", ");
        print_age(out, row_number(r, "age"));
        buf_adds(out, " old, from ");
        print_safe(out, sender.n ? sender : SV_LIT("<>"));
        buf_addf(out, ", %" PRIu64 " to go\n", row_number(r, "recipients"));
        return;
    }
    buf_adds(out, "    ");
    print_safe(out, row_text(r, "recipient"));
    buf_addc(out, ' ');
    print_safe(out, row_text(r, "state"));
    if (row_text(r, "reason").n) {
        buf_adds(out, ": ");
        print_safe(out, row_text(r, "reason"));
    }
    buf_addc(out, '\n');
}

/* ---- sorted ---- */

static int item_order(const void *a, const void *b)
{
    const struct list_item *left = a, *right = b;
    int by_key = 0;

    if (left->key && right->key)
        by_key = strv_cmp(strv_make(left->key, left->key_n), strv_make(right->key, right->key_n));
    if (by_key)
        return by_key;
    if (left->number != right->number)
        return left->number < right->number ? 1 : -1;
    return left->order < right->order ? -1 : left->order > right->order;
}

static void items_cut(struct list *l, size_t keep)
{
    qsort(l->items, l->item_n, sizeof *l->items, item_order);
    while (l->item_n > keep) {
        l->item_n--;
        free(l->items[l->item_n].key);
        free(l->items[l->item_n].text);
    }
}

static void item_finish(struct list *l)
{
    struct list_item *last = l->item_n ? &l->items[l->item_n - 1] : NULL;

    if (last && !last->text) {
        last->text = mem_copy(l->text.data, l->text.len);
        last->text_n = l->text.len;
    }
    buf_reset(&l->text);
}

static void item_begin(struct list *l, const struct row *r)
{
    struct strv sort = l->choices.sort, sender = row_text(r, "sender");
    struct list_item *item;

    item_finish(l);
    if (l->choices.limit && l->item_n >= CUT_LEAST && l->item_n / 2 >= l->choices.limit)
        items_cut(l, (size_t)l->choices.limit);
    if (l->item_n == l->item_cap) {
        l->item_cap = l->item_cap ? l->item_cap * 2 : 256;
        l->items = mem_resize(l->items, l->item_cap, sizeof *l->items);
    }
    item = &l->items[l->item_n++];
    *item = (struct list_item){ .order = l->messages++ };
    if (strv_is(sort, "sender")) {
        item->key = mem_copy(sender.p, sender.n);
        item->key_n = sender.n;
    } else {
        item->number = row_number(r, sort.p ? strv_is(sort, "age") ? "age" :
                                              strv_is(sort, "size") ? "size" : "recipients" :
                                              "age");
    }
}

static void sorted_row(struct list *l, struct row *r)
{
    if (strcmp(r->kind, "message") == 0)
        item_begin(l, r);
    if (!l->t->json) {
        list_text(&l->text, r);
        return;
    }
    if (l->text.len)
        buf_adds(&l->text, ",\n");
    print_json_row(&l->text, r);
}

/* ---- */

void list_init(struct list *l, struct tool *t, const struct choices *choices)
{
    *l = (struct list){ .t = t, .choices = *choices };
    buf_init(&l->text, TEXT_MAX);
}

void list_row(struct list *l, struct row *r)
{
    bool message = strcmp(r->kind, "message") == 0;

    if (l->choices.sort.p) {
        sorted_row(l, r);
        return;
    }
    l->full = l->full || (message && l->choices.limit && l->messages == l->choices.limit);
    if (l->full)
        return;
    l->messages += message;
    if (l->t->json) {
        tool_row(l->t, r);
        return;
    }
    list_text(&l->t->out, r);
    if (l->t->out.len > LARGE_TEXT)
        tool_flush(l->t);
}

void list_end(struct list *l)
{
    if (l->choices.sort.p) {
        item_finish(l);
        items_cut(l, l->choices.limit ? (size_t)l->choices.limit : l->item_n);
        l->messages = l->item_n;
    }
    for (size_t i = 0; i < l->item_n; i++) {
        struct list_item *item = &l->items[i];

        tool_text(l->t, strv_make(item->text, item->text_n));
        free(item->key);
        free(item->text);
    }
    MEM_FREE(l->items);
    l->item_n = l->item_cap = 0;
    buf_clear(&l->text);
}
