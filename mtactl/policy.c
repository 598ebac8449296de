/* policy.c - what the server would answer a client, and which rule decides; nothing is sent */
#include <sysexits.h>

#include "mtactl/ask.h"
#include "mtactl/command.h"
#include "mtactl/print.h"

static bool options_take(struct ask *a, int argc, char **argv)
{
    static const char *const names[] = { "client", "name", "helo", "from", "to", "listener" };

    for (int i = 0; i + 1 < argc; i += 2) {
        const char *found = NULL;

        for (size_t n = 0; n < sizeof names / sizeof *names; n++)
            if (strncmp(argv[i], "--", 2) == 0 && strcmp(argv[i] + 2, names[n]) == 0)
                found = names[n];
        if (!found || !ask_text(a, found, strcmp(argv[i + 1], "<>") == 0 ? SV_LIT("") : SV(argv[i + 1])))
            return false;
    }
    return argc % 2 == 0;
}

static struct strv argument(const struct ask *a, const char *name)
{
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->args[i].name, name) == 0)
            return a->args[i].text;
    return strv_make(NULL, 0);
}

static void reply_text(struct buf *out, const struct row *r)
{
    struct strv rest = row_text(r, "reply"), line;

    buf_adds(out, "> ");
    print_safe(out, row_text(r, "command"));
    buf_addc(out, '\n');
    while (rest.p && strv_cut(&rest, '\n', &line)) {
        buf_adds(out, "< ");
        print_safe(out, strv_trim(line));
        buf_addc(out, '\n');
    }
    if (row_text(r, "rule").n) {
        buf_adds(out, "  rule: ");
        print_safe(out, row_text(r, "rule"));
        buf_addc(out, '\n');
    }
}

/* smtpd knows its own rules; whether the recipient is there, cleanup does. */
int command_policy(struct tool *t, int argc, char **argv)
{
    struct rows rows = { 0 };
    struct ask a = { .role = ROLE_SMTPD, .act = "policy", .row = ask_collect, .arg = &rows };
    struct ask b = { .role = ROLE_CLEANUP, .act = "address", .arg = &rows };

    if (!options_take(&a, argc, argv) || !argument(&a, "client").p || !argument(&a, "from").p ||
        !argument(&a, "to").p)
        return tool_end(t, EX_USAGE,
                        "usage: mtactl policy --client IP --from A --to B [--helo H] [--name PTR] "
                        "[--listener NAME]");
    ask_run(&a, t);
    for (size_t i = 0; i < rows.n; i++) {
        if (t->json)
            tool_row(t, &rows.list[i]);
        else
            reply_text(&t->out, &rows.list[i]);
    }
    rows_clear(&rows);
    if (a.code)
        return tool_end(t, a.code, "%s", a.text);
    ask_text(&b, "address", argument(&a, "to"));
    ask_run(&b, t);
    if (b.trouble != BLOCKING_OK)
        return tool_end(t, b.code, "%s", b.text);
    if (b.code)
        return tool_end(t, 1, "refused at RCPT: %s", b.text);
    return tool_end(t, 0, "accepted");
}
