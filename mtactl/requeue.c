/* requeue.c - messages through cleanup again, as they are (queue requeue) or with another envelope (edit) */
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/id.h"
#include "mtactl/absent.h"
#include "mtactl/ask.h"
#include "mtactl/choices.h"
#include "mtactl/command.h"
#include "mtactl/print.h"
#include "mtactl/selector.h"
#include "mtactl/sure.h"

#define TELL_MS 1000

struct progress {
    struct tool *t;
    const char *done; /* "requeued" */
    struct absent absent;
    uint64_t messages, kept, running;
    bool refused; /* for good */
    bool terminal, told;
    int64_t tell_at; /* mono ms */
};

static void kept_text(struct buf *out, const struct row *r)
{
    print_safe(out, row_text(r, "id"));
    buf_adds(out, " stays as it is: ");
    print_safe(out, row_text(r, "reason"));
    buf_addc(out, '\n');
}

static void left_text(struct buf *out, const struct row *r)
{
    struct strv rcpt = row_text(r, "recipient"), original = row_text(r, "original");

    print_safe(out, row_text(r, "id"));
    buf_adds(out, ": left out: ");
    print_safe(out, rcpt);
    if (original.n && !strv_eq(original, rcpt)) {
        buf_adds(out, " (");
        print_safe(out, original);
        buf_addc(out, ')');
    }
    buf_addc(out, ' ');
    print_safe(out, row_text(r, "reason"));
    buf_addc(out, '\n');
}

static void done_text(struct buf *out, const struct row *r)
{
    uint64_t n = row_number(r, "recipients"), left = row_number(r, "left");

    print_safe(out, row_text(r, "id"));
    if (row_text(r, "new").n) {
        buf_adds(out, " -> ");
        print_safe(out, row_text(r, "new"));
    } else {
        buf_adds(out, " ended, it goes to nobody");
    }
    buf_addf(out, ", %" PRIu64 " recipient%s", n, n == 1 ? "" : "s");
    if (left)
        buf_addf(out, "; %" PRIu64 " left out", left);
    buf_addc(out, '\n');
}

static void on_row(void *arg, struct row *r)
{
    struct progress *p = arg;
    bool kept = strcmp(r->kind, "kept") == 0, left = strcmp(r->kind, "left") == 0;

    if (strcmp(r->kind, "progress") != 0 && !absent_row(&p->absent, p->t, r)) {
        p->kept += kept;
        p->messages += !kept && !left;
        p->running += row_number(r, "running");
        p->refused = p->refused || (kept && strv_starts(row_text(r, "reason"), SV_LIT("5.")));
        if (p->t->json)
            tool_row(p->t, r);
        else if (kept)
            kept_text(&p->t->out, r);
        else if (left)
            left_text(&p->t->out, r);
        else
            done_text(&p->t->out, r);
        if (p->t->out.len > 65536)
            tool_flush(p->t);
    }
    if (p->terminal && clock_mono_ms() >= p->tell_at) {
        p->tell_at = clock_mono_ms() + TELL_MS;
        p->told = true;
        fprintf(stderr, "\r%" PRIu64 " %s ", p->messages, p->done);
    }
}

static int finish(struct tool *t, struct ask *a, struct progress *p)
{
    int code;

    a->row = on_row;
    a->arg = p;
    p->t = t;
    p->terminal = !t->json && isatty(STDERR_FILENO);
    p->tell_at = clock_mono_ms() + TELL_MS;
    ask_run(a, t);
    if (p->told)
        fputs("\r\n", stderr);
    if (a->code && p->messages)
        return tool_end(t, a->code, "%s (%" PRIu64 " messages were %s before)", a->text, p->messages,
                        p->done);
    if (a->code)
        return tool_end(t, a->code, "%s", a->text);
    if (absent_all(&p->absent, a))
        return absent_end(&p->absent, t);
    code = !p->kept ? 0 : p->refused ? EX_DATAERR : EX_TEMPFAIL;
    return tool_end(t, code, "%" PRIu64 " message%s %s, %" PRIu64 " kept as %s", p->messages,
                    p->messages == 1 ? "" : "s", p->done, p->kept, p->kept == 1 ? "it is" : "they are");
}

static bool are_ids(int argc, char **argv)
{
    for (int i = 0; i < argc; i++)
        if (argv[i][0] == '-')
            return false;
    return true;
}

int command_queue_requeue(struct tool *t, int argc, char **argv)
{
    struct ask a = { .role = ROLE_QUEUED, .act = "requeue" };
    struct progress p = { .done = "requeued" };
    struct err err = { 0 };
    struct choices c;
    bool any;
    int status;

    if (!choices_take(&c, CHOICE_YES, &argc, argv, &err) || !selector_parse(&a, argc, argv, &any, &err))
        return tool_end(t, EX_USAGE, "%s", err.text);
    if (!any)
        return tool_end(t, EX_USAGE, "say which messages: ids, a selector, or --all");
    if (!sure(t, &a, "requeue", are_ids(argc, argv), c.yes, &status))
        return status;
    return finish(t, &a, &p);
}

/* ---- edit ---- */

static const struct edit_option {
    const char *option;
    const char *first, *second; /* arguments of the call; NULL: there is none */
} options[] = {
    { "--sender", "new_sender", NULL }, { "--add", "add", NULL },    { "--remove", "remove", NULL },
    { "--replace", "old", "new" },      { "--notify", NULL, NULL },
};

static const struct edit_option *option_find(const char *word)
{
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (strcmp(word, options[i].option) == 0)
            return &options[i];
    return NULL;
}

static struct strv address_word(const char *word, const char *argument)
{
    struct strv text = SV(word);

    if (strcmp(argument, "new_sender") == 0 && strv_is(text, "<>"))
        return SV_LIT("");
    if (text.n > 2 && text.p[0] == '<' && text.p[text.n - 1] == '>')
        return strv_sub(text, 1, text.n - 2);
    return text;
}

static bool option_take(struct ask *a, const struct edit_option *o, int argc, char **argv, int *i,
                        struct err *err)
{
    if (!o->first)
        return ask_number(a, "notify", 1) || err_set(err, ERR_LIMIT, "too many changes at once");
    if (*i + 1 + (o->second != NULL) >= argc)
        return err_set(err, ERR_CONF, "%s needs %s", o->option, o->second ? "two addresses" : "an address");
    if (!ask_text(a, o->first, address_word(argv[++*i], o->first)) ||
        (o->second && !ask_text(a, o->second, address_word(argv[++*i], o->second))))
        return err_set(err, ERR_LIMIT, "too many changes at once");
    return true;
}

static bool edit_parse(struct ask *a, int argc, char **argv, struct err *err)
{
    unsigned senders = 0;
    uint64_t id;

    if (!id_parse(SV(argv[0]), &id))
        return err_set(err, ERR_CONF, "%s is no message id (13 characters, as in the log)", argv[0]);
    ask_text(a, "id", SV(argv[0]));
    for (int i = 1; i < argc; i++) {
        const struct edit_option *o = option_find(argv[i]);

        if (!o)
            return err_set(err, ERR_CONF, "there is no option %s", argv[i]);
        if (!option_take(a, o, argc, argv, &i, err))
            return false;
        senders += o == &options[0];
    }
    if (senders > 1)
        return err_set(err, ERR_CONF, "a message has one sender");
    return argc > 1 || err_set(err, ERR_CONF, "say what is to be another: --sender, --add, --remove, "
                                              "--replace");
}

/* Who sits there, behind a uid that several may use. */
static void ask_who(struct ask *a)
{
    const char *name = getenv("SUDO_USER");
    const struct passwd *pw = name && *name ? NULL : getpwuid(getuid());

    if (!name || !*name)
        name = pw ? pw->pw_name : NULL;
    if (name)
        ask_text(a, "by", SV(name));
}

static void show_changes(struct tool *t, int argc, char **argv)
{
    if (t->json || !isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        return;
    buf_adds(&t->out, "to be changed:");
    for (int i = 1; i < argc; i++) {
        buf_addc(&t->out, ' ');
        print_safe(&t->out, SV(argv[i]));
    }
    buf_addc(&t->out, '\n');
}

int command_queue_edit(struct tool *t, int argc, char **argv)
{
    struct ask a = { .role = ROLE_QUEUED, .act = "edit" };
    struct progress p = { .done = "edited" };
    struct err err = { 0 };
    struct choices c = { .yes = false };
    int status, kept = 0;

    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--yes") == 0)
            c.yes = true;
        else
            argv[kept++] = argv[i];
    }
    if (kept == 0 || !edit_parse(&a, kept, argv, &err))
        return tool_end(t, EX_USAGE, "%s", kept ? err.text : "which message?");
    ask_who(&a);
    if (!c.yes)
        show_changes(t, kept, argv);
    if (!sure(t, &a, "edit", true, c.yes, &status))
        return status;
    return finish(t, &a, &p);
}
