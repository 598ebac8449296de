/* mailq.c - the queue in the columns that people and scripts know */
#include "mtactl/mailq.h"

#include <inttypes.h>

#include "mtactl/ask.h"
#include "mtactl/print.h"

#define HEADING "-Queue ID-      --Size-- ---Arrival Time---- -Sender/Recipient------\n"
#define INDENT  "                                             "

static void message_line(struct mailq_view *v, const struct row *r)
{
    struct strv state = row_text(r, "state"), sender = row_text(r, "sender");
    time_t arrival = (time_t)row_number(r, "arrival");
    char when[40] = "?";
    struct tm tm;

    if (localtime_r(&arrival, &tm))
        strftime(when, sizeof when, "%a %b %e %H:%M:%S", &tm);
    if (v->requests++ == 0)
        buf_adds(v->out, HEADING);
    if (v->open)
        buf_addc(v->out, '\n');
    v->open = true;
    v->bytes += row_number(r, "size");
    print_safe(v->out, row_text(r, "id"));
    buf_addc(v->out, strv_is(state, "running") ? '*' : strv_is(state, "held") ? '!' : ' ');
    buf_addf(v->out, " %9" PRIu64 " %s ", row_number(r, "size"), when);
    print_safe(v->out, sender.n ? sender : SV_LIT("MAILER-DAEMON"));
    buf_addc(v->out, '\n');
}

static void recipient_line(struct mailq_view *v, const struct row *r)
{
    struct strv reason = row_text(r, "reason");

    if (reason.n) {
        buf_adds(v->out, strv_is(row_text(r, "state"), "failed") ? "      (Failed: " : "      (Deferred: ");
        print_safe(v->out, reason);
        buf_adds(v->out, ")\n");
    }
    buf_adds(v->out, INDENT);
    print_safe(v->out, row_text(r, "recipient"));
    buf_addc(v->out, '\n');
}

void mailq_row(struct mailq_view *v, const struct row *r)
{
    if (strcmp(r->kind, "message") == 0)
        message_line(v, r);
    else if (strcmp(r->kind, "recipient") == 0)
        recipient_line(v, r);
}

void mailq_end(struct mailq_view *v)
{
    if (v->requests == 0)
        buf_adds(v->out, "Mail queue is empty\n");
    else
        buf_addf(v->out, "\n-- %" PRIu64 " Kbytes in %" PRIu64 " Request%s.\n", (v->bytes + 1023) / 1024,
                 v->requests, v->requests == 1 ? "" : "s");
    buf_addf(v->out, "\t\tTotal requests: %" PRIu64 "\n", v->requests);
}

struct run {
    struct tool *t;
    struct mailq_view view;
};

static void on_row(void *arg, struct row *r)
{
    struct run *run = arg;

    mailq_row(&run->view, r);
    if (run->t->out.len > 65536)
        tool_flush(run->t);
}

int mailq_run(struct tool *t)
{
    struct run run = { .t = t, .view = { .out = &t->out } };
    struct ask a = { .role = ROLE_QUEUED, .act = "list", .row = on_row, .arg = &run };

    if (ask_run(&a, t) != 0)
        return tool_end(t, a.code, "%s", a.text);
    mailq_end(&run.view);
    return tool_end(t, 0, NULL);
}
