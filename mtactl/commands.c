/* commands.c - the commands of mtactl: one table from which usage, manual page and completion come */
#include "mtactl/command.h"
#include "mtactl/selector.h"

#define MANY 1000u

const struct command commands[] = {
    { "status", "", "Daemons, listeners, the queue, and what is degraded, since when, with what to do.", 0, 0,
      command_status },
    { "reload", "", "Check the configuration in full and put it in place without an interruption.", 0, 0,
      command_reload },
    { "reload --previous", "",
      "Go back to the configuration before the one that runs, without touching the files.", 0, 0,
      command_reload_previous },
    { "stop", "", "End the service in order: sessions and deliveries may finish.", 0, 0, command_stop },
    { "check", "[FILE]", "Check a configuration in full, without touching the service.", 0, 1,
      command_check },
    { "check --install", "", "Check users, directories and modes; root's call repairs them.", 0, 0,
      command_check_install },
    { "config", "", "Every effective value, defaults too, with the place it comes from.", 0, 0,
      command_config },
    { "config --files", "",
      "Every path of the configuration and the spool with owner and mode, what is wrong, and what mends it.",
      0, 0, command_config_files },
    { "config history", "", "The last configurations that were accepted: when, by whom, what changed.", 0, 0,
      command_config_history },
    { "config diff", "[A [B]]",
      "What differs between two of them: numbers of the history, running (as A when left out), files (as B).",
      0, 2, command_config_diff },
    { "log", "[error|warn|info|debug | [--peer HOST | --domain DOMAIN] [--for TIME]]",
      "How much is logged, until the next start; or the dialogue with one peer or domain, for a while.", 0, 4,
      command_log },
    { "metrics", "", "The numbers of every process, as OpenMetrics text; docs/METRICS.md lists them.", 0, 0,
      command_metrics },
    { "top", "[--once] [--every SECONDS]",
      "Rates, queue, destinations and recent failures, live; --once and --json for scripts.", 0, 3,
      command_top },
    { "sandbox", "", "For each process and thread: uid, root, capabilities, filters; and who talks to whom.",
      0, 0, command_sandbox },
    { "mailq", "", "The queue in the columns of the old mailq; from the spool when nobody answers.", 0, 0,
      command_mailq },
    { "queue list", "[SELECTOR]... [--sort age|size|sender|recipients] [--limit N]",
      "Messages with their recipients and why they wait.", 0, MANY, command_queue_list },
    { "queue summary", "[SELECTOR]... [--by destination|sender|reason|age] [--limit N]",
      "Recipients counted by destination or else, in columns by state and by minutes of age.", 0, MANY,
      command_queue_summary },
    { "queue show", "ID", "Everything known of one message.", 1, 1, command_queue_show },
    { "queue cat", "ID", "The message itself, header and body.", 1, 1, command_queue_cat },
    { "queue hold", "SELECTOR... [--why TEXT]", "Keep messages from being delivered, until released.", 1,
      MANY, command_queue_hold },
    { "queue release", "SELECTOR...", "Let held messages go.", 1, MANY, command_queue_release },
    { "queue flush", "SELECTOR...", "Try messages now instead of at their time.", 1, MANY,
      command_queue_flush },
    { "queue delete", "SELECTOR... [--yes]", "Show and, when told yes, remove messages; nobody is told.", 1,
      MANY, command_queue_delete },
    { "queue bounce", "SELECTOR... [--why TEXT] [--yes]",
      "Show and, when told yes, give messages up; their senders are told.", 1, MANY, command_queue_bounce },
    { "queue requeue", "SELECTOR... [--yes]",
      "Show and, when told yes, send messages through cleanup again: aliases and tables as they are now.", 1,
      MANY, command_queue_requeue },
    { "queue edit",
      "ID [--sender A] [--add A]... [--remove A]... [--replace OLD NEW]... [--notify] [--yes]",
      "Show and, when told yes, give a message another sender or other recipients; who did it is recorded.",
      2, MANY, command_queue_edit },
    { "queue verify", "[SPOOL]",
      "Read every record, body and journal line of the spool, or of a copy of one, and say what is damaged.",
      0, 1, command_queue_verify },
    { "notice show", "failure|delay|success|relayed|expanded|double [FILE]",
      "What a notice says; with a file not in use yet.", 1, 2, command_notice_show },
    { "pause", "in|out", "Accept nothing, or deliver nothing, until resumed; a restart does not change it.",
      1, 1, command_pause },
    { "resume", "in|out", "End a pause.", 1, 1, command_resume },
    { "freeze", "SENDER", "Hold all mail of a sender, also what comes; a restart does not change it.", 1, 1,
      command_freeze },
    { "thaw", "SENDER", "End that, and release the sender's held mail.", 1, 1, command_thaw },
    { "trace", "ADDRESS|ID|MESSAGE-ID|IP [--to RECIPIENT] [--since TIME] [--limit N]",
      "Every step of finished, refused and queued mail of the last days, with the peers' words.", 1, 7,
      command_trace },
    { "address", "ADDRESS",
      "Where mail for an address goes, each step with its file and line; nothing is sent.", 1, 1,
      command_address },
    { "policy", "--client IP --from A --to B [--helo H] [--name PTR] [--listener NAME] [--tls] [--auth USER]",
      "What the server would answer, and which rule decides; nothing is sent.", 1, 16, command_policy },
    { "test", "[--to ADDRESS] [--send-to ADDRESS]",
      "Try every part of the host: local mail, inbound, outbound, relaying; a fix for each red line.", 0, 4,
      command_test },
    { "passwd", "[--scram | --crypt] [--stdin] LOGIN | --delete LOGIN | --list",
      "Set, remove or list logins of the credentials file; the password is asked for, or comes by --stdin.",
      1, 4, command_passwd },
    { "map list", "", "Tables and their state.", 0, 0, command_map_list },
    { "map get", "MAP KEY...", "What a table says about a key, or about the first of several that it has.", 2,
      9, command_map_get },
    { "map dump", "MAP", "All entries of a table that is in use.", 1, 1, command_map_dump },
    { "map check", "MAP|FILE", "Look a source through: syntax, entries that stand twice, loops of aliases.",
      1, 1, command_map_check },
    { "map build", "MAP", "Compile a source beside the table in use, which stays; only to see that it works.",
      1, 1, command_map_build },
    { "map reload", "[MAP]", "Read sources again now; a bad one leaves the table in use.", 0, 1,
      command_map_reload },
    { .name = NULL },
};

/* Words of a command's name that argv begins with; 0: they differ. */
static int words_match(const char *name, int argc, char **argv)
{
    struct strv rest = SV(name), word;
    int n = 0;

    while (strv_word(&rest, &word)) {
        if (n >= argc || !strv_is(word, argv[n]))
            return 0;
        n++;
    }
    return n;
}

const struct command *command_find(int argc, char **argv, int *used)
{
    const struct command *best = NULL;

    *used = 0;
    for (const struct command *c = commands; c->name; c++) {
        int n = words_match(c->name, argc, argv);

        if (n > *used) {
            *used = n;
            best = c;
        }
    }
    return best;
}

static const char selectors[] =
    "SELECTOR: ID, --sender A, --recipient A, --domain D, --older AGE, --younger AGE,\n"
    "          --reason TEXT, --state held|deferred|running|active|damaged, --all\n";

bool command_help(struct strv name, struct buf *out)
{
    bool any = false, selects = false;

    for (const struct command *c = commands; c->name; c++) {
        struct strv rest = SV(c->name);

        if (!strv_starts(rest, name) || (rest.n > name.n && rest.p[name.n] != ' '))
            continue;
        buf_addf(out, "%s mtactl %s%s%s\n           %s\n", any ? "      " : "usage:", c->name,
                 *c->arguments ? " " : "", c->arguments, c->doc);
        any = true;
        selects = selects || strstr(c->arguments, "SELECTOR");
    }
    if (selects)
        buf_adds(out, selectors);
    if (any)
        buf_adds(out, "man mtactl says more\n");
    return any;
}

void command_usage(struct buf *out)
{
    buf_adds(out, "usage: mtactl [--json] [-c FILE | --runtime DIR] [--wait SECONDS] COMMAND "
                  "[ARGUMENT]...\n");
    for (const struct command *c = commands; c->name; c++) {
        size_t begin = out->len;

        buf_addf(out, "  %s%s%s", c->name, *c->arguments ? " " : "", c->arguments);
        if (out->len - begin > 34)
            buf_addf(out, "\n%*s", 36, "");
        else
            buf_addf(out, "%*s", (int)(36 - (out->len - begin)), "");
        buf_addf(out, "%s\n", c->doc);
    }
    buf_adds(out, selectors);
    buf_adds(out, "exit status: 0 well, 1 degraded or found wanting, 64 wrong usage, 65 no such thing,\n"
                  "66 no password came, 67 no such address, 69 not running,\n"
                  "75 no answer in time or cannot now, 76 nonsense from the other side,\n"
                  "77 not permitted, 78 configuration\n");
}

void command_manual(struct buf *out)
{
    for (const struct command *c = commands; c->name; c++)
        buf_addf(out, ".It Cm %s%s%s\n%s\n", c->name, *c->arguments ? " " : "", c->arguments, c->doc);
}

static bool is_literal(struct strv word)
{
    for (size_t i = 0; i < word.n; i++)
        if (byte_is_upper((unsigned char)word.p[i]))
            return false;
    return word.n > 0;
}

/* What may stand there as it is: options, and choices like in|out. */
static void argument_words(struct strv arguments, struct buf *out)
{
    static const char *const marks = "[]|.";
    struct strv rest, word;
    struct buf plain;

    buf_init(&plain, 1024);
    for (size_t i = 0; i < arguments.n; i++)
        buf_addc(&plain, byte_in_set(arguments.p[i], marks) ? ' ' : arguments.p[i]);
    for (rest = buf_view(&plain); strv_word(&rest, &word);) {
        if (strv_is(word, "SELECTOR"))
            selector_words(out);
        if (!is_literal(word))
            continue;
        buf_addc(out, ' ');
        buf_addv(out, word);
    }
    buf_clear(&plain);
}

void command_words(struct buf *out)
{
    for (const struct command *c = commands; c->name; c++) {
        buf_addf(out, "%s\t", c->name);
        argument_words(SV(c->arguments), out);
        buf_addc(out, '\n');
    }
}
