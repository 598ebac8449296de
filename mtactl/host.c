/* host.c - stop, log: what mtad does for the operator in one sentence */
#include "mtactl/ask.h"
#include "mtactl/command.h"
#include "mtactl/print.h"

static int sentence(struct tool *t, struct ask *a)
{
    ask_run(a, t);
    return tool_end(t, a->code, "%s", a->text);
}

int command_stop(struct tool *t, int argc, char **argv)
{
    struct ask a = { .role = ROLE_MTAD, .act = "stop" };

    (void)argc;
    (void)argv;
    return sentence(t, &a);
}

/* The new processes read their tables before the old ones retire. */
#define RELOAD_WAIT_MS 150000

static int reload_from(struct tool *t, const char *from)
{
    struct rows rows = { 0 };
    struct ask a = { .role = ROLE_MTAD, .act = "reload", .row = ask_collect, .arg = &rows };

    ask_text(&a, "from", SV(from));
    if (t->wait_ms < RELOAD_WAIT_MS)
        t->wait_ms = RELOAD_WAIT_MS;
    ask_run(&a, t);
    for (size_t i = 0; i < rows.n; i++) {
        if (t->json) {
            tool_row(t, &rows.list[i]);
            continue;
        }
        print_safe(&t->out, row_text(&rows.list[i], "text"));
        buf_addc(&t->out, '\n');
    }
    rows_clear(&rows);
    return tool_end(t, a.code, "%s", a.text);
}

int command_reload(struct tool *t, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return reload_from(t, "files");
}

int command_reload_previous(struct tool *t, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return reload_from(t, "previous");
}

int command_log(struct tool *t, int argc, char **argv)
{
    struct ask a = { .role = ROLE_MTAD, .act = "log" };

    (void)argc;
    ask_text(&a, "level", SV(argv[0]));
    return sentence(t, &a);
}
