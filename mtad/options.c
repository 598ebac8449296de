/* options.c - the command line of mtad */
#include "mtad/options.h"

#include <getopt.h>
#include <stdint.h>
#include <stdio.h>

#include "common/base/strv.h"
#include "common/os/sandbox.h"

#define DEFAULT_CONF "/etc/mansio/mansio.conf"

enum {
    OPT_LANDLOCK = 256,
    OPT_READY_FD,
    OPT_HELP,
    OPT_FAULT,
    OPT_SYNC_DELAY,
    OPT_RESTART_MAX,
    OPT_TRY,
    OPT_PROGRAMS,
    OPT_CONFIG
};

static const char synopsis[] =
    "usage: mtad [-n | --config] [-c FILE] [-o TEXT]... [--ready-fd N] [--landlock N]\n";

/* What usage and the manual page list. */
static const struct option_line {
    const char *flag, *argument;
    const char *doc;
} lines[] = {
    { "-c", "FILE", "configuration (default " DEFAULT_CONF ")" },
    { "-n", "", "check the configuration and say what is wrong with it" },
    { "--config", "", "print every effective value with its origin and exit" },
    { "-o", "TEXT", "configuration text that overrules the file; can be given several times" },
    { "-F", "", "stay in the foreground (always so; accepted for scripts)" },
    { "--ready-fd", "N", "write one line to descriptor N once everything works" },
    { "--landlock", "N", "use at most ABI N of Landlock, 0 for none" },
    { "-h", "", "this list" },
    { "-V", "", "version" },
};

static const char check_usage[] =
#ifdef MANSIO_CHECK
    "check build only:\n"
    "  --fault POINT:ACTION[:COUNT]   arm a fault point in every daemon; can be given several times\n"
    "  --sync-delay MS                every sync takes that much longer\n"
    "  --restart-max MS               what dies is started again after this much at most\n"
    "  --try-forbidden                make each daemon try what it must not do, print the results, exit\n"
    "  --programs DIR                 where the daemons are\n"
#endif
    "";

static void usage(FILE *to)
{
    fputs(synopsis, to);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        const struct option_line *l = &lines[i];
        int n = fprintf(to, "  %s%s%s", l->flag, *l->argument ? " " : "", l->argument);

        fprintf(to, "%*s%s\n", n < 18 ? 18 - n : 1, "", l->doc);
    }
    fputs(check_usage, to);
}

void options_manual(struct buf *out)
{
    buf_adds(out, ".Bl -tag -width Ds\n");
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        const struct option_line *l = &lines[i];

        buf_addf(out, ".It Fl %s%s%s\n%c%s.\n", l->flag + 1, *l->argument ? " Ar " : "", l->argument,
                 l->doc[0] - 'a' + 'A', l->doc + 1);
    }
    buf_adds(out, ".El\n");
}

static const struct option names[] = {
    { "config", no_argument, NULL, OPT_CONFIG },
    { "landlock", required_argument, NULL, OPT_LANDLOCK },
    { "ready-fd", required_argument, NULL, OPT_READY_FD },
    { "help", no_argument, NULL, OPT_HELP },
    { "version", no_argument, NULL, 'V' },
#ifdef MANSIO_CHECK
    { "fault", required_argument, NULL, OPT_FAULT },
    { "sync-delay", required_argument, NULL, OPT_SYNC_DELAY },
    { "restart-max", required_argument, NULL, OPT_RESTART_MAX },
    { "try-forbidden", no_argument, NULL, OPT_TRY },
    { "programs", required_argument, NULL, OPT_PROGRAMS },
#endif
    { NULL, 0, NULL, 0 },
};

static bool wrong(const char *what, const char *value)
{
    fprintf(stderr, "mtad: %s: %s\n", what, value);
    return false;
}

static bool number(const char *what, uint64_t max, uint64_t *out)
{
    return strv_u64(SV(optarg), max, out) || wrong(what, optarg);
}

static bool list_add(const char **list, size_t *n, const char *what)
{
    if (*n == OPTIONS_LIST_MAX)
        return wrong("given too often", what);
    list[(*n)++] = optarg;
    return true;
}

static bool option_take(struct options *o, int c)
{
    uint64_t n = 0;

    switch (c) {
    case 'c': o->conf_path = optarg; return true;
    case 'n': o->check_only = true; return true;
    case OPT_CONFIG: o->print_conf = true; return true;
    case 'F': return true;
    case 'o': return list_add(o->overrides, &o->override_n, "-o");
    case OPT_FAULT: return list_add(o->faults, &o->fault_n, "--fault");
    case OPT_TRY: o->try_forbidden = true; return true;
    case OPT_PROGRAMS: o->programs = optarg; return true;
    case OPT_LANDLOCK:
        if (!number("--landlock takes a number", SANDBOX_LANDLOCK_MAX, &n))
            return false;
        o->landlock = (unsigned)n;
        return true;
    case OPT_READY_FD:
        if (!number("--ready-fd takes the number of an open descriptor", 65535, &n))
            return false;
        o->ready_fd = (int)n;
        return true;
    case OPT_SYNC_DELAY:
        if (!number("--sync-delay takes milliseconds", 60000, &n))
            return false;
        o->sync_delay_ms = (unsigned)n;
        return true;
    case OPT_RESTART_MAX:
        if (!number("--restart-max takes milliseconds", 60000, &n))
            return false;
        o->restart_max_ms = (long)n;
        return true;
    default: usage(stderr); return false;
    }
}

enum options_result options_parse(struct options *o, int argc, char **argv)
{
    int c;

    *o = (struct options){ .conf_path = DEFAULT_CONF, .landlock = SANDBOX_LANDLOCK_MAX, .ready_fd = -1 };
    optind = 0;
    while ((c = getopt_long(argc, argv, "c:nFo:Vh", names, NULL)) != -1) {
        if (c == 'V') {
            puts("mtad " MANSIO_VERSION);
            return OPTIONS_DONE;
        }
        if (c == 'h' || c == OPT_HELP) {
            usage(stdout);
            return OPTIONS_DONE;
        }
        if (!option_take(o, c))
            return OPTIONS_WRONG;
    }
    if (optind < argc) {
        wrong("unexpected argument", argv[optind]);
        return OPTIONS_WRONG;
    }
    return OPTIONS_RUN;
}
