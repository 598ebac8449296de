/* verify.c - is everything in the spool as it was written? Without the daemons, or beside them at work */
#include "queued/verify.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <sysexits.h>

#include "common/base/id.h"
#include "mtactl/command.h"
#include "mtactl/mailq.h"
#include "mtactl/print.h"

static void problem_row(struct tool *t, const struct verify_problem *p, const char *id)
{
    struct rows rows = { 0 };
    struct row *r = rows_add(&rows, strcmp(p->kind, "torn") == 0 ? "note" : "problem");

    row_put(r, "what", SV(p->kind));
    row_put(r, "file", SV(p->file));
    row_put_number(r, "offset", p->offset);
    row_put_number(r, "bytes", p->bytes);
    row_put(r, "id", SV(id));
    row_put(r, "waits", SV(p->waits));
    row_put(r, "text", SV(p->text));
    tool_row(t, r);
    rows_clear(&rows);
}

/* At once: who looks through a large spool wants to see the first bad thing when it is found. */
static void on_problem(void *arg, const struct verify_problem *p)
{
    struct tool *t = arg;
    char id[ID_TEXT_SIZE] = "";

    if (p->id)
        id_text(p->id, id);
    if (t->json) {
        problem_row(t, p, id);
    } else {
        print_safe(&t->out, SV(p->file));
        if (p->bytes)
            buf_addf(&t->out, ": offset %" PRIu64 ", %" PRIu64 " bytes", p->offset, p->bytes);
        buf_adds(&t->out, ": ");
        print_safe(&t->out, SV(p->text));
        if (*id)
            buf_addf(&t->out, ": message %s", id);
        buf_adds(&t->out, strcmp(p->waits, "yes") == 0  ? ", which waits\n"
                          : strcmp(p->waits, "no") == 0 ? "; no message that waits\n"
                                                        : "; nobody can say which messages\n");
    }
    tool_flush(t);
}

static void sum_row(struct tool *t, const struct verify_report *v)
{
    struct rows rows = { 0 };
    struct row *r = rows_add(&rows, "sum");

    row_put_number(r, "segments", v->segments);
    row_put_number(r, "records", v->records);
    row_put_number(r, "bytes", v->bytes);
    row_put_number(r, "waiting", v->waiting);
    row_put_number(r, "bodies", v->bodies);
    row_put_number(r, "journal_files", v->journal_files);
    row_put_number(r, "journal_entries", v->journal_entries);
    row_put_number(r, "problems", v->problems);
    row_put(r, "running", v->live ? SV_LIT("yes") : SV_LIT("no"));
    tool_row(t, r);
    rows_clear(&rows);
}

static void sum_text(struct tool *t, const struct verify_report *v)
{
    buf_addf(&t->out, "%" PRIu64 " records in %u segments (", v->records, v->segments);
    print_size(&t->out, v->bytes);
    buf_addf(&t->out, "), %" PRIu64 " messages wait, %" PRIu64 " of them with a body in big/\n", v->waiting,
             v->bodies);
    buf_addf(&t->out, "%" PRIu64 " journal lines in %u files%s\n", v->journal_entries, v->journal_files,
             v->live ? "; the spool is in use" : "");
}

int command_queue_verify(struct tool *t, int argc, char **argv)
{
    struct err err = { .cls = ERR_OK };
    struct verify_report report;
    char directory[PATH_MAX];

    if (argc == 1)
        snprintf(directory, sizeof directory, "%s", argv[0]);
    else if (!mailq_spool(t, directory, sizeof directory))
        return tool_end(t, EX_CONFIG, "%s does not say where the spool is: name it", t->conf_path);
    if (!verify_spool(directory, on_problem, t, &report, &err))
        return tool_end(t, err.sys == EACCES || err.sys == EPERM ? EX_NOPERM : EX_UNAVAILABLE, "%s",
                        err.text);
    if (t->json)
        sum_row(t, &report);
    else
        sum_text(t, &report);
    if (report.problems)
        return tool_end(t, 1, "%" PRIu64 " problem%s found; docs/QUEUE.md says what to do", report.problems,
                        report.problems == 1 ? "" : "s");
    return tool_end(t, 0, "all of it is as it was written");
}
