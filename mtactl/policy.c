/* policy.c - what the server would answer a client, and which rule decides; nothing is sent */
#include <sysexits.h>

#include "mtactl/ask.h"
#include "mtactl/command.h"
#include "mtactl/print.h"

/* The null sender as people write it. */
static struct strv value_of(const char *word)
{
    return strcmp(word, "<>") == 0 ? SV_LIT("") : SV(word);
}

static bool options_take(struct ask *a, int argc, char **argv)
{
    static const char *const names[] = { "client", "name", "helo", "from", "to", "listener", "auth" };

    for (int i = 0; i < argc; i++) {
        const char *found = NULL;

        if (strcmp(argv[i], "--tls") == 0) {
            if (!ask_text(a, "tls", SV_LIT("yes")))
                return false;
            continue;
        }
        for (size_t n = 0; n < sizeof names / sizeof *names; n++)
            if (strncmp(argv[i], "--", 2) == 0 && strcmp(argv[i] + 2, names[n]) == 0)
                found = names[n];
        if (!found || i + 1 == argc || !ask_text(a, found, value_of(argv[++i])))
            return false;
    }
    return true;
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

/* Whether the recipient is there cleanup knows; smtpd answers with its words. The rows are kept, because the
   arguments point into them. */
static void ask_recipient(struct tool *t, struct ask *a, struct rows *rows)
{
    struct ask b = { .role = ROLE_CLEANUP, .act = "address", .row = ask_collect, .arg = rows };

    ask_text(&b, "address", argument(a, "to"));
    ask_run(&b, t);
    if (b.trouble != BLOCKING_OK) {
        a->trouble = b.trouble;
        a->code = b.code;
        memcpy(a->text, b.text, sizeof a->text);
        return;
    }
    for (size_t i = 0; i < rows->n; i++) {
        const struct row *r = &rows->list[i];

        if (strcmp(r->kind, "verdict") != 0)
            continue;
        ask_number(a, "rcpt_code", row_number(r, "code"));
        ask_text(a, "rcpt_enhanced", row_text(r, "enhanced"));
        ask_text(a, "rcpt_text", row_text(r, "text"));
        ask_text(a, "rcpt_rule", row_text(r, "rule"));
    }
}

/* What auth.senders grants to the login that smtpd named; mapd knows. False: smtpd did not ask. */
static bool ask_senders(struct tool *t, struct ask *a, const struct rows *said, struct rows *rows)
{
    const struct row *need = said->n ? &said->list[said->n - 1] : NULL;
    struct ask b = { .role = ROLE_MAPD, .act = "get", .row = ask_collect, .arg = rows };

    if (!need || strcmp(need->kind, "need") != 0)
        return false;
    ask_text(&b, "map", row_text(need, "map"));
    ask_text(&b, "key", row_text(need, "key"));
    ask_run(&b, t);
    ask_text(a, "allowed", rows->n ? row_text(&rows->list[0], "value") : SV_LIT(""));
    return true;
}

static void show(struct tool *t, const struct rows *rows)
{
    for (size_t i = 0; i < rows->n; i++) {
        if (strcmp(rows->list[i].kind, "reply") != 0)
            continue;
        if (t->json)
            tool_row(t, &rows->list[i]);
        else
            reply_text(&t->out, &rows->list[i]);
    }
}

int command_policy(struct tool *t, int argc, char **argv)
{
    struct rows rows = { 0 }, recipient = { 0 }, senders = { 0 };
    struct ask a = { .role = ROLE_SMTPD, .act = "policy", .row = ask_collect, .arg = &rows };

    if (!options_take(&a, argc, argv) || !argument(&a, "client").p || !argument(&a, "from").p ||
        !argument(&a, "to").p)
        return tool_end(t, EX_USAGE,
                        "usage: mtactl policy --client IP --from A --to B [--helo H] [--name PTR] "
                        "[--listener NAME] [--tls] [--auth USER]");
    ask_recipient(t, &a, &recipient);
    if (a.trouble == BLOCKING_OK)
        ask_run(&a, t);
    if (a.trouble == BLOCKING_OK && ask_senders(t, &a, &rows, &senders)) {
        rows_clear(&rows);
        ask_run(&a, t);
    }
    show(t, &rows);
    rows_clear(&rows);
    rows_clear(&recipient);
    rows_clear(&senders);
    if (a.code)
        return tool_end(t, a.code, "%s", a.text);
    return tool_end(t, 0, "accepted");
}
