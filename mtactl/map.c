/* map.c - tables: which there are, what they say, new sources */
#include "mtactl/ask.h"
#include "mtactl/command.h"
#include "mtactl/print.h"

static int rows_command(struct tool *t, struct ask *a)
{
    struct rows rows = { 0 };

    a->row = ask_collect;
    a->arg = &rows;
    ask_run(a, t);
    /* status has rows of other kinds too: what is degraded stands in the table's own row. */
    for (size_t i = 0; i < rows.n;) {
        if (strcmp(rows.list[i].kind, "degraded") != 0) {
            i++;
            continue;
        }
        row_clear(&rows.list[i]);
        rows.list[i] = rows.list[--rows.n];
    }
    tool_rows(t, &rows);
    rows_clear(&rows);
    return tool_end(t, a->code, "%s", a->text);
}

int command_map_list(struct tool *t, int argc, char **argv)
{
    struct ask a = { .role = ROLE_MAPD, .act = "status" };

    (void)argc;
    (void)argv;
    return rows_command(t, &a);
}

int command_map_get(struct tool *t, int argc, char **argv)
{
    struct ask a = { .role = ROLE_MAPD, .act = "get" };

    ask_text(&a, "map", SV(argv[0]));
    for (int i = 1; i < argc; i++)
        ask_text(&a, "key", SV(argv[i]));
    return rows_command(t, &a);
}

/* A table may be large: each entry is printed as it comes. */
static void on_entry(void *arg, struct row *r)
{
    struct tool *t = arg;

    if (t->json) {
        tool_row(t, r);
        return;
    }
    print_safe(&t->out, row_text(r, "key"));
    buf_addc(&t->out, '\t');
    print_safe(&t->out, row_text(r, "value"));
    buf_addc(&t->out, '\n');
    if (t->out.len > 65536)
        tool_flush(t);
}

int command_map_dump(struct tool *t, int argc, char **argv)
{
    struct ask a = { .role = ROLE_MAPD, .act = "dump", .row = on_entry, .arg = t };

    (void)argc;
    ask_text(&a, "map", SV(argv[0]));
    ask_run(&a, t);
    return tool_end(t, a.code, "%s", a.text);
}

/* mapd answers after a minute at the latest. */
int command_map_reload(struct tool *t, int argc, char **argv)
{
    struct ask a = { .role = ROLE_MAPD, .act = "reload" };

    if (argc > 0)
        ask_text(&a, "map", SV(argv[0]));
    if (t->wait_ms < 70000)
        t->wait_ms = 70000;
    return rows_command(t, &a);
}
