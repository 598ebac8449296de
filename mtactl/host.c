/* host.c - stop, log: what mtad does for the operator in one sentence */
#include "mtactl/ask.h"
#include "mtactl/command.h"

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

int command_log(struct tool *t, int argc, char **argv)
{
    struct ask a = { .role = ROLE_MTAD, .act = "log" };

    (void)argc;
    ask_text(&a, "level", SV(argv[0]));
    return sentence(t, &a);
}
