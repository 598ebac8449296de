/* queue.c - looking at the queue and changing it */
#include <inttypes.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "mtactl/absent.h"
#include "mtactl/ask.h"
#include "mtactl/command.h"
#include "mtactl/list.h"
#include "mtactl/mailq.h"
#include "mtactl/print.h"
#include "mtactl/selector.h"
#include "mtactl/sure.h"
#include "mtactl/trace.h"

/* ---- list ---- */

struct listing {
    struct ask *a;
    struct list list;
};

static void on_list_row(void *arg, struct row *r)
{
    struct listing *l = arg;

    list_row(&l->list, r);
    l->a->enough = l->list.full;
}

int command_queue_list(struct tool *t, int argc, char **argv)
{
    struct listing l;
    struct ask a = { .role = ROLE_QUEUED, .act = "list", .row = on_list_row, .arg = &l,
                     .ahead = true };
    struct choices c;
    struct err err = { 0 };
    bool any;

    if (!choices_take(&c, CHOICE_LIMIT | CHOICE_SORT, &argc, argv, &err) ||
        !selector_parse(&a, argc, argv, &any, &err))
        return tool_end(t, EX_USAGE, "%s", err.text);
    l.a = &a;
    list_init(&l.list, t, &c);
    ask_run(&a, t);
    list_end(&l.list);
    if (a.code)
        return tool_end(t, a.code, "%s", a.text);
    return tool_end(t, 0, "%zu message%s%s", l.list.messages, l.list.messages == 1 ? "" : "s",
                    l.list.full ? ", and there are more" : "");
}

int command_mailq(struct tool *t, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return mailq_run(t);
}

/* ---- one message ---- */

static void attempts_text(struct buf *out, const struct row *r)
{
    uint64_t now = (uint64_t)clock_wall_ms() / 1000;
    uint64_t last = row_number(r, "last"), next = row_number(r, "next");

    if (!row_number(r, "attempts"))
        return;
    buf_addf(out, "        attempts: %" PRIu64 ", the last ", row_number(r, "attempts"));
    print_age(out, now > last ? now - last : 0);
    buf_adds(out, " ago");
    if (next > now) {
        buf_adds(out, ", the next in ");
        print_age(out, next - now);
    }
    if (row_text(r, "relay").n) {
        buf_adds(out, "; with ");
        print_safe(out, row_text(r, "relay"));
    }
    if (row_text(r, "status").n) {
        buf_adds(out, "; status ");
        print_safe(out, row_text(r, "status"));
        buf_adds(out, strv_is(row_text(r, "words"), "remote") ? " in its words" : " in ours");
    }
    buf_addc(out, '\n');
}

static void pause_text(struct buf *out, const struct row *r, const char *field, const char *what)
{
    uint64_t now = (uint64_t)clock_wall_ms() / 1000, until = row_number(r, field);

    if (until <= now)
        return;
    buf_addf(out, "        %s for another ", what);
    print_age(out, until - now);
    if (row_text(r, "group").n) {
        buf_adds(out, " (");
        print_safe(out, row_text(r, "group"));
        buf_addc(out, ')');
    }
    buf_addc(out, '\n');
}

/* Times of a message for people; scripts take --json. */
static void message_text(struct buf *out, const struct row *r)
{
    struct rows rows = { 0 };
    struct row *shown = rows_add(&rows, r->kind);
    struct buf text;

    buf_init(&text, 256);
    for (size_t i = 0; i < r->n; i++) {
        const struct value *v = &r->values[i];

        buf_reset(&text);
        if (strcmp(v->name, "arrival") == 0)
            trace_when(&text, v->number * 1000);
        else if (strcmp(v->name, "age") == 0)
            print_age(&text, v->number);
        if (text.len)
            row_put(shown, v->name, buf_view(&text));
        else if (v->text)
            row_put(shown, v->name, strv_make(v->text, v->text_n));
        else
            row_put_number(shown, v->name, v->number);
    }
    print_list(out, shown);
    buf_clear(&text);
    rows_clear(&rows);
}

static void recipient_text(struct buf *out, const struct row *r, const struct rows *steps)
{
    list_text(out, r);
    attempts_text(out, r);
    pause_text(out, r, "rests", "the destination could not be reached and rests");
    pause_text(out, r, "paced", "the destination's rate allows no message");
    trace_attempts(out, steps, row_text(r, "recipient"));
}

int command_queue_show(struct tool *t, int argc, char **argv)
{
    struct rows rows = { 0 }, steps = { 0 };
    struct ask a = { .role = ROLE_QUEUED, .act = "show", .row = ask_collect, .arg = &rows };

    (void)argc;
    ask_text(&a, "id", SV(argv[0]));
    if (ask_run(&a, t) == 0) {
        trace_of(t, SV(argv[0]), &steps); /* without the history: what queued knows */
        for (size_t i = 0; i < rows.n; i++) {
            if (t->json)
                tool_row(t, &rows.list[i]);
            else if (strcmp(rows.list[i].kind, "recipient") == 0)
                recipient_text(&t->out, &rows.list[i], &steps);
            else if (strcmp(rows.list[i].kind, "message") == 0)
                message_text(&t->out, &rows.list[i]);
            else
                print_list(&t->out, &rows.list[i]);
        }
        if (t->json)
            tool_rows(t, &steps);
    }
    rows_clear(&rows);
    rows_clear(&steps);
    return tool_end(t, a.code, "%s", a.text);
}

struct cat {
    struct tool *t;
    struct buf text; /* JSON: the whole */
    bool terminal;
};

static void terminal_text(struct buf *out, struct strv bytes)
{
    struct strv line;

    while (bytes.n > 0 && strv_cut(&bytes, '\n', &line)) {
        if (strv_ends(line, SV_LIT("\r")))
            line.n--;
        print_safe(out, line);
        if (bytes.p)
            buf_addc(out, '\n');
    }
}

static void on_cat_data(void *arg, struct strv bytes)
{
    struct cat *c = arg;

    if (c->t->json) {
        buf_addv(&c->text, bytes);
        return;
    }
    if (c->terminal)
        terminal_text(&c->t->out, bytes);
    else
        buf_addv(&c->t->out, bytes);
    tool_flush(c->t);
}

/* As it is: for a file or a pipe. On a terminal a message could speak to the terminal, so there it is made
   safe line by line. */
int command_queue_cat(struct tool *t, int argc, char **argv)
{
    struct cat c = { .t = t, .terminal = isatty(STDOUT_FILENO) };
    struct ask a = { .role = ROLE_QUEUED, .act = "cat", .data = on_cat_data, .arg = &c };
    struct row r = { 0 };

    (void)argc;
    buf_init(&c.text, 256u << 20);
    ask_text(&a, "id", SV(argv[0]));
    ask_run(&a, t);
    if (t->json && a.code == 0) {
        r.kind = strv_dup(SV_LIT("content"));
        row_put(&r, "id", SV(argv[0]));
        row_put(&r, "message", buf_view(&c.text));
        tool_row(t, &r);
        row_clear(&r);
    }
    buf_clear(&c.text);
    return tool_end(t, a.code, "%s", a.text);
}

/* ---- changes ---- */

static bool are_ids(int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--why") == 0)
            i++;
        else if (argv[i][0] == '-' && !strv_starts(SV(argv[i]), SV_LIT("--why=")))
            return false;
    }
    return true;
}

struct changed {
    struct tool *t;
    struct absent absent;
    size_t n;
};

static void on_changed_row(void *arg, struct row *r)
{
    struct changed *done = arg;

    if (absent_row(&done->absent, done->t, r) || strcmp(r->kind, "changed") != 0)
        return;
    done->n++;
    if (done->t->json)
        tool_row(done->t, r);
}

/* verb: what is asked before, of acts that cannot be taken back; NULL: nothing is. */
static int change(struct tool *t, const char *act, const char *done, const char *verb, int argc, char **argv)
{
    struct changed changed = { .t = t };
    struct ask a = { .role = ROLE_QUEUED, .act = act, .row = on_changed_row, .arg = &changed };
    struct err err = { 0 };
    struct choices c;
    bool any;
    int status;

    if (!choices_take(&c, verb ? CHOICE_YES : 0, &argc, argv, &err) ||
        !selector_parse(&a, argc, argv, &any, &err))
        return tool_end(t, EX_USAGE, "%s", err.text);
    if (!any)
        return tool_end(t, EX_USAGE, "say which messages: ids, a selector, or --all");
    if (verb && !sure(t, &a, verb, are_ids(argc, argv), c.yes, &status))
        return status;
    ask_run(&a, t);
    if (a.code)
        return changed.n ? tool_end(t, a.code, "%s (%zu messages were %s before)", a.text, changed.n, done) :
                           tool_end(t, a.code, "%s", a.text);
    if (absent_all(&changed.absent, &a))
        return absent_end(&changed.absent, t);
    if (changed.n == 0 && strcmp(act, "flush") == 0)
        done = "to be tried now (what is held waits for queue release)";
    return tool_end(t, 0, "%zu message%s %s", changed.n, changed.n == 1 ? "" : "s", done);
}

int command_queue_hold(struct tool *t, int argc, char **argv)
{
    return change(t, "hold", "held", NULL, argc, argv);
}

int command_queue_release(struct tool *t, int argc, char **argv)
{
    return change(t, "release", "released", NULL, argc, argv);
}

int command_queue_flush(struct tool *t, int argc, char **argv)
{
    return change(t, "flush", "to be tried now", NULL, argc, argv);
}

int command_queue_delete(struct tool *t, int argc, char **argv)
{
    return change(t, "delete", "deleted", "delete", argc, argv);
}

int command_queue_bounce(struct tool *t, int argc, char **argv)
{
    return change(t, "bounce", "returned to the sender", "return", argc, argv);
}

/* ---- the whole queue, and senders ---- */

static int side(struct tool *t, const char *act, const char *name)
{
    struct ask a = { .role = ROLE_QUEUED, .act = act };

    ask_text(&a, "side", SV(name));
    ask_run(&a, t);
    return tool_end(t, a.code, "%s%s%s%s", a.text, a.code ? "" : act,
                    a.code ? "" : "d: ", a.code ? "" : name);
}

int command_pause(struct tool *t, int argc, char **argv)
{
    (void)argc;
    return side(t, "pause", argv[0]);
}

int command_resume(struct tool *t, int argc, char **argv)
{
    (void)argc;
    return side(t, "resume", argv[0]);
}

/* First what comes, then what is there: nothing slips through between the two. */
static int frost(struct tool *t, const char *act, const char *change_act, const char *done, char *sender)
{
    struct ask a = { .role = ROLE_QUEUED, .act = act };
    char option[] = "--sender";
    char *words[] = { option, sender };

    ask_text(&a, "sender", strcmp(sender, "<>") == 0 ? SV_LIT("") : SV(sender));
    if (ask_run(&a, t) != 0)
        return tool_end(t, a.code, "%s", a.text);
    return change(t, change_act, done, NULL, 2, words);
}

int command_freeze(struct tool *t, int argc, char **argv)
{
    (void)argc;
    return frost(t, "freeze", "hold", "held; further mail of that sender will be", argv[0]);
}

int command_thaw(struct tool *t, int argc, char **argv)
{
    (void)argc;
    return frost(t, "thaw", "release", "released; further mail of that sender goes its way", argv[0]);
}
