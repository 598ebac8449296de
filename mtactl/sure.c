/* sure.c - what cannot be taken back is shown first, and asked for */
#include "mtactl/sure.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "mtactl/list.h"

#define SHOWN 10u

struct preview {
    struct ask *a;
    struct list list;
    uint64_t messages, recipients;
};

static void on_list_row(void *arg, struct row *r)
{
    struct preview *p = arg;

    list_row(&p->list, r);
    p->a->enough = p->list.full;
}

static void on_summary_row(void *arg, struct row *r)
{
    struct preview *p = arg;

    if (strcmp(r->kind, "total") != 0)
        return;
    p->messages = row_number(r, "messages");
    p->recipients = row_number(r, "recipients");
}

/* The same selector with another act. */
static int ask_about(struct preview *p, const struct ask *call, const char *act,
                     void (*row)(void *arg, struct row *r), struct tool *t)
{
    struct ask a = *call;
    int code;

    a.act = act;
    a.row = row;
    a.arg = p;
    p->a = &a;
    code = ask_run(&a, t);
    if (code)
        tool_end(t, code, "%s", a.text);
    return code;
}

static bool answer_is_yes(void)
{
    char line[16];

    if (!fgets(line, sizeof line, stdin))
        return false;
    return strcmp(line, "y\n") == 0 || strcmp(line, "yes\n") == 0;
}

static bool asked(struct tool *t, struct ask *call, const char *verb, bool named, int *status)
{
    static const struct choices some = { .limit = SHOWN };
    struct preview p = { .messages = 0 };

    list_init(&p.list, t, &some);
    *status = ask_about(&p, call, "list", on_list_row, t);
    list_end(&p.list);
    if (*status == 0)
        *status = ask_about(&p, call, "summary", on_summary_row, t);
    if (*status)
        return false;
    if (p.messages == 0 && named)
        return true; /* the call itself tells which of them are not there */
    if (p.messages == 0) {
        *status = tool_end(t, 0, "no message matches");
        return false;
    }
    if (p.messages > SHOWN)
        buf_addf(&t->out, "... and %" PRIu64 " more\n", p.messages - SHOWN);
    tool_flush(t);
    fprintf(stderr, "%s %" PRIu64 " message%s, %" PRIu64 " recipient%s? [y/N] ", verb, p.messages,
            p.messages == 1 ? "" : "s", p.recipients, p.recipients == 1 ? "" : "s");
    fflush(stderr);
    if (answer_is_yes())
        return true;
    *status = tool_end(t, 1, "nothing was changed");
    return false;
}

bool sure(struct tool *t, struct ask *a, const char *verb, bool named, bool yes, int *status)
{
    bool terminal = !t->json && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);

    /* What comes while somebody reads was not shown. */
    if (!ask_number(a, "until", (uint64_t)clock_wall_ms())) {
        *status = tool_end(t, EX_USAGE, "too many arguments");
        return false;
    }
    if (yes || (named && !terminal))
        return true;
    if (terminal)
        return asked(t, a, verb, named, status);
    *status = tool_end(t, EX_USAGE, "%s by a selector asks on a terminal only; elsewhere say --yes "
                                    "(queue summary and queue list show what matches)", verb);
    return false;
}
