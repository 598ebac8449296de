/* host.c - stop, log: what mtad does for the operator in one sentence */
#include <sysexits.h>

#include "mtactl/ask.h"
#include "mtactl/command.h"
#include "mtactl/print.h"
#include "mtactl/selector.h"

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

static bool log_options(struct ask *a, int argc, char **argv)
{
    bool what = false, for_ = false;

    for (int i = 0; i < argc; i += 2) {
        uint64_t seconds;
        bool peer = strcmp(argv[i], "--peer") == 0;

        if (i + 1 == argc)
            return false;
        if (strcmp(argv[i], "--for") == 0) {
            if (for_ || !selector_age(SV(argv[i + 1]), &seconds) || !ask_number(a, "for", seconds))
                return false;
            for_ = true;
        } else if (what || (!peer && strcmp(argv[i], "--domain") != 0)) {
            return false;
        } else {
            what = ask_text(a, peer ? "peer" : "domain", SV(argv[i + 1]));
        }
    }
    return what;
}

/* Without arguments: what is logged now. */
int command_log(struct tool *t, int argc, char **argv)
{
    struct rows rows = { 0 };
    struct ask a = { .role = ROLE_MTAD, .act = "log", .row = ask_collect, .arg = &rows };
    bool level = argc == 1 && argv[0][0] != '-';

    if (level)
        ask_text(&a, "level", SV(argv[0]));
    else if (argc > 0 && !log_options(&a, argc, argv))
        return tool_end(t, EX_USAGE,
                        "usage: mtactl log [LEVEL | --peer HOST [--for TIME] | --domain D [--for TIME]]");
    ask_run(&a, t);
    tool_rows(t, &rows);
    rows_clear(&rows);
    return tool_end(t, a.code, "%s", a.text);
}
