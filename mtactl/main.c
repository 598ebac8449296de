/* main.c - mtactl: the operator's tool */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <sysexits.h>

#include "common/base/buf.h"
#include "conf/suggest.h"
#include "mtactl/command.h"

enum { OPT_JSON = 256, OPT_RUNTIME, OPT_WAIT, OPT_HELP, OPT_WORDS, OPT_MANUAL };

static const struct option names[] = {
    { "json", no_argument, NULL, OPT_JSON },
    { "runtime", required_argument, NULL, OPT_RUNTIME },
    { "wait", required_argument, NULL, OPT_WAIT },
    { "help", no_argument, NULL, OPT_HELP },
    { "version", no_argument, NULL, 'V' },
    { "command-words", no_argument, NULL, OPT_WORDS },
    { "command-manual", no_argument, NULL, OPT_MANUAL },
    { NULL, 0, NULL, 0 },
};

static int print(void (*fn)(struct buf *out), FILE *to, int status)
{
    struct buf text;

    buf_init(&text, 1u << 20);
    fn(&text);
    fputs(buf_cstr(&text), to);
    buf_clear(&text);
    return status;
}

/* -1: go on with the command. */
static int option_take(struct tool *t, int c)
{
    uint64_t n = 0;

    switch (c) {
    case OPT_JSON: t->json = true; return -1;
    case 'c': t->conf_path = optarg; return -1;
    case OPT_RUNTIME: t->runtime = optarg; return -1;
    case OPT_WAIT:
        if (!strv_u64(SV(optarg), 3600, &n) || n == 0)
            return tool_end(t, EX_USAGE, "--wait takes seconds, 1 to 3600");
        t->wait_ms = (int64_t)n * 1000;
        return -1;
    case 'V': puts("mtactl " MANSIO_VERSION); return 0;
    case 'h':
    case OPT_HELP: return print(command_usage, stdout, 0);
    case OPT_WORDS: return print(command_words, stdout, 0);
    case OPT_MANUAL: return print(command_manual, stdout, 0);
    default: return print(command_usage, stderr, EX_USAGE);
    }
}

/* A word that is none of the first words, or one that needs a second. */
static int unknown(struct tool *t, int argc, char **argv)
{
    const char *longer = NULL; /* "delete" is "queue delete" */
    struct suggest near;
    struct buf seconds;
    char hint[128];
    int status;

    buf_init(&seconds, 1024);
    suggest_start(&near, SV(argv[0]));
    for (const struct command *c = commands; c->name; c++) {
        struct strv rest = SV(c->name), first, second;

        if (!strv_word(&rest, &first))
            continue;
        suggest_try(&near, first);
        if (!strv_word(&rest, &second))
            continue;
        if (strv_is(first, argv[0]))
            buf_addf(&seconds, "%s%.*s", seconds.len ? ", " : "", (int)second.n, second.p);
        if (!longer && strv_is(second, argv[0]))
            longer = c->name;
    }
    if (seconds.len)
        status = tool_end(t, EX_USAGE, "there is no command %s%s%s; there are %s", argv[0],
                          argc > 1 ? " " : "", argc > 1 ? argv[1] : "", buf_cstr(&seconds));
    else if (longer)
        status = tool_end(t, EX_USAGE, "there is no command %s; did you mean \"%s\"?", argv[0], longer);
    else
        status = tool_end(t, EX_USAGE, "there is no command %s%s (mtactl --help lists them)", argv[0],
                          suggest_text(&near, hint, sizeof hint));
    buf_clear(&seconds);
    return status;
}

/* --help anywhere behind a command, -h at its end: who asks how it works does not want it to work. */
static bool help_wanted(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || (i + 1 == argc && strcmp(argv[i], "-h") == 0))
            return true;
    return false;
}

static bool help(struct strv name)
{
    struct buf text;
    bool known;

    buf_init(&text, 1u << 16);
    known = command_help(name, &text);
    fputs(buf_cstr(&text), stdout);
    buf_clear(&text);
    return known;
}

static int run(struct tool *t, int argc, char **argv)
{
    const struct command *command;
    int used;

    if (argc == 0)
        return print(command_usage, stderr, EX_USAGE);
    command = command_find(argc, argv, &used);
    if (help_wanted(argc, argv) && help(SV(command ? command->name : argv[0])))
        return 0;
    if (!command)
        return unknown(t, argc, argv);
    argc -= used;
    argv += used;
    if ((unsigned)argc < command->min || (unsigned)argc > command->max)
        return tool_end(t, EX_USAGE, "usage: mtactl %s%s%s", command->name,
                        *command->arguments ? " " : "", command->arguments);
    return command->run(t, argc, argv);
}

/* --json behind the command too, because scripts append it; the number of arguments that stay. */
static int json_take(struct tool *t, int argc, char **argv)
{
    int kept = 0;

    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            t->json = true;
        else
            argv[kept++] = argv[i];
    }
    return kept;
}

int main(int argc, char **argv)
{
    struct tool t;
    int c, status = -1;

    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_DFL); /* the status of what we start is wanted, whatever our caller ignored */
    tool_init(&t);
    /* "+": the first word that is no option is the command, what follows belongs to it. */
    while (status < 0 && (c = getopt_long(argc, argv, "+c:Vh", names, NULL)) != -1)
        status = option_take(&t, c);
    if (status < 0) {
        argc = json_take(&t, argc - optind, argv + optind);
        status = run(&t, argc, argv + optind);
    }
    tool_clear(&t);
    return status;
}
