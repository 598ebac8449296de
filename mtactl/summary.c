/* summary.c - the queue counted by destination, sender, reason or age: what is stuck, and since when */
#include <inttypes.h>
#include <stdio.h>
#include <sysexits.h>

#include "mtactl/ask.h"
#include "mtactl/choices.h"
#include "mtactl/command.h"
#include "mtactl/print.h"
#include "mtactl/selector.h"

#define NAME_MAX_WIDTH 44u

static const struct {
    const char *value, *title;
    int width;
} columns[] = {
    { "recipients", "T", 8 }, { "active", "active", 8 }, { "deferred", "deferred", 9 }, { "held", "held", 7 },
    { "m5", "5", 7 },         { "m10", "10", 6 },        { "m20", "20", 6 },            { "m40", "40", 6 },
    { "m80", "80", 6 },       { "m160", "160", 6 },      { "m320", "320", 6 },          { "m640", "640", 7 },
    { "m1280", "1280", 7 },   { "older", "1280+", 7 },
};

#define COLUMN_N (sizeof columns / sizeof *columns)

static void on_row(void *arg, struct row *r)
{
    if (strcmp(r->kind, "progress") != 0)
        rows_take(arg, r);
}

/* Ages by what they mean; others by their name, cut to its column. */
static void name_text(struct buf *out, const struct row *r)
{
    struct strv name = row_text(r, "name");

    if (strcmp(r->kind, "age") != 0) {
        print_safe(out, name);
        return;
    }
    if (strv_starts(name, SV_LIT("m")))
        buf_addf(out, "up to %.*s minutes", (int)(name.n - 1), name.p + 1);
    else
        buf_adds(out, "older than 1280 minutes");
}

static void row_line(struct buf *out, const struct row *r, int width)
{
    struct buf name;

    buf_init(&name, 1u << 20);
    name_text(&name, r);
    buf_addf(out, "%-*.*s", width, width, buf_cstr(&name));
    for (size_t i = 0; i < COLUMN_N; i++)
        buf_addf(out, "%*" PRIu64, columns[i].width, row_number(r, columns[i].value));
    buf_addc(out, '\n');
    buf_clear(&name);
}

/* Columns are minutes, as qshape has them: a message younger than so many, and not than the column before. */
static void text(struct buf *out, const struct rows *rows)
{
    size_t width = 24;

    for (size_t i = 0; i < rows->n; i++)
        if (row_text(&rows->list[i], "name").n > width)
            width = row_text(&rows->list[i], "name").n;
    if (width > NAME_MAX_WIDTH)
        width = NAME_MAX_WIDTH;
    buf_addf(out, "%-*s", (int)width, "");
    for (size_t i = 0; i < COLUMN_N; i++)
        buf_addf(out, "%*s", columns[i].width, columns[i].title);
    buf_addc(out, '\n');
    for (size_t i = rows->n; i > 0; i--)
        if (strcmp(rows->list[i - 1].kind, "total") == 0)
            row_line(out, &rows->list[i - 1], (int)width);
    for (size_t i = 0; i < rows->n; i++)
        if (strcmp(rows->list[i].kind, "total") != 0)
            row_line(out, &rows->list[i], (int)width);
}

int command_queue_summary(struct tool *t, int argc, char **argv)
{
    struct rows rows = { 0 };
    struct ask a = { .role = ROLE_QUEUED, .act = "summary", .row = on_row, .arg = &rows };
    struct err err = { 0 };
    struct choices c;
    bool any;

    if (!choices_take(&c, CHOICE_BY | CHOICE_LIMIT, &argc, argv, &err) ||
        !selector_parse(&a, argc, argv, &any, &err))
        return tool_end(t, EX_USAGE, "%s", err.text);
    if ((c.by.p && !ask_text(&a, "by", c.by)) || (c.limit && !ask_number(&a, "limit", c.limit)))
        return tool_end(t, EX_USAGE, "too many arguments");
    if (ask_run(&a, t) == 0) {
        if (t->json)
            tool_rows(t, &rows);
        else
            text(&t->out, &rows);
    }
    rows_clear(&rows);
    return tool_end(t, a.code, "%s", a.text);
}
