/* mailq.c - the queue in the columns that people and scripts know */
#include "mtactl/mailq.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/id.h"
#include "conf/conf.h"
#include "conf/processes.h"
#include "conf/queue.h"
#include "mtactl/ask.h"
#include "mtactl/print.h"
#include "queued/look.h"

#define HEADING "-Queue ID-      --Size-- ---Arrival Time---- -Sender/Recipient------\n"
#define INDENT  "                                             "

#define QUARTER 900

/* "Fri Nov 20 23:27:30", in local time. */
static void arrival_text(struct mailq_view *v, uint64_t arrival, char dst[64])
{
    time_t start = (time_t)(arrival - arrival % QUARTER);
    unsigned within = (unsigned)(arrival % QUARTER);
    struct tm tm;

    if (v->quarter != start || !v->quarter) {
        v->quarter = 0;
        if (!localtime_r(&start, &tm) || tm.tm_sec || tm.tm_min % 15 ||
            strftime(v->hour, sizeof v->hour, "%a %b %e %H:", &tm) == 0) {
            start = (time_t)arrival; /* a zone of its own kind, or no time at all */
            if (!localtime_r(&start, &tm) || strftime(dst, 64, "%a %b %e %H:%M:%S", &tm) == 0)
                memcpy(dst, "?", 2);
            return;
        }
        v->quarter = start;
        v->minute = tm.tm_min;
    }
    snprintf(dst, 64, "%s%02u:%02u", v->hour, (unsigned)v->minute + within / 60, within % 60);
}

static void message_line(struct mailq_view *v, const struct row *r)
{
    struct strv state = row_text(r, "state"), sender = row_text(r, "sender");
    char when[64];

    arrival_text(v, row_number(r, "arrival"), when);
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
    if (v->requests == 0 && v->drops == 0)
        buf_adds(v->out, "Mail queue is empty\n");
    else if (v->requests > 0)
        buf_addf(v->out, "\n-- %" PRIu64 " Kbytes in %" PRIu64 " Request%s.\n", (v->bytes + 1023) / 1024,
                 v->requests, v->requests == 1 ? "" : "s");
    if (v->drops)
        buf_addf(v->out, "%" PRIu64 " more in drop/, submitted here and not taken yet\n", v->drops);
    if (v->bad)
        buf_addf(v->out, "%" PRIu64 " in drop/bad, which nobody can send: see the log (queue.drop.bad)\n",
                 v->bad);
    buf_addf(v->out, "\t\tTotal requests: %" PRIu64 "\n", v->requests + v->drops);
}

struct run {
    struct tool *t;
    struct mailq_view view;
};

static void take(struct run *run, const struct row *r)
{
    if (run->t->json) {
        run->view.requests += strcmp(r->kind, "message") == 0;
        tool_row(run->t, r);
        return;
    }
    mailq_row(&run->view, r);
    if (run->t->out.len > 65536)
        tool_flush(run->t);
}

static void on_row(void *arg, struct row *r)
{
    take(arg, r);
}

static int finish(struct run *run, const char *how)
{
    if (!run->t->json)
        mailq_end(&run->view);
    else if (!how)
        return tool_end(run->t, 0, "%" PRIu64 " message%s", run->view.requests,
                        run->view.requests == 1 ? "" : "s");
    if (how && !run->t->json) {
        fprintf(stderr, "mailq: %s\n", how);
        how = NULL;
    }
    return tool_end(run->t, 0, how ? "%s" : NULL, how);
}

/* ---- without queued ---- */

bool mailq_spool(struct tool *t, char *dst, size_t size)
{
    const struct conf_options options = { .skip_files = true };
    struct conf_errors errs;
    struct conf *conf;
    bool ok;

    conf_errors_init(&errs);
    ok = conf_load_with(t->conf_path, &options, &conf, &errs);
    if (ok) {
        ok = strcmp(tool_runtime(t), conf->processes->runtime) == 0;
        snprintf(dst, size, "%s", conf->queue->directory);
        conf_free(&conf);
    }
    conf_errors_clear(&errs);
    return ok;
}

static void look_rows(struct run *run, struct look *l, const struct look_message *m, struct rows *rows)
{
    struct row *r = rows_add(rows, "message");
    uint64_t now = (uint64_t)clock_wall_ms() / 1000, waiting = 0;
    char id[ID_TEXT_SIZE];
    struct look_rcpt rcpt;

    for (uint32_t i = 0; i < m->rcpt_n; i++) {
        look_rcpt(l, i, &rcpt);
        waiting += !rcpt.done;
    }
    id_text(m->id, id);
    row_put(r, "id", SV(id));
    row_put(r, "state", SV(m->state));
    row_put_number(r, "size", m->size);
    row_put_number(r, "arrival", m->arrival_s);
    row_put_number(r, "age", now > m->arrival_s ? now - m->arrival_s : 0);
    row_put(r, "sender", m->sender);
    row_put_number(r, "recipients", waiting);
    for (uint32_t i = 0; i < m->rcpt_n; i++) {
        look_rcpt(l, i, &rcpt);
        if (rcpt.done)
            continue;
        r = rows_add(rows, "recipient");
        row_put(r, "id", SV(id));
        row_put(r, "recipient", rcpt.to);
        row_put(r, "state", SV(rcpt.state));
        row_put(r, "reason", rcpt.reason);
    }
    for (size_t i = 0; i < rows->n; i++)
        take(run, &rows->list[i]);
}

static void drop_row(struct run *run, uint64_t n, uint64_t bad)
{
    struct rows rows = { 0 };

    run->view.drops = n;
    run->view.bad = bad;
    if (run->t->json && (n || bad)) {
        struct row *r = rows_add(&rows, "drop");

        row_put_number(r, "messages", n);
        if (bad)
            row_put_number(r, "bad", bad);
        tool_row(run->t, r);
    }
    rows_clear(&rows);
}

/* Whoever may read the spool is told what is in it: root, at least. */
static bool look(struct run *run)
{
    struct err err = { .cls = ERR_OK };
    char directory[PATH_MAX];
    struct look_message m;
    struct look *l;

    if (!mailq_spool(run->t, directory, sizeof directory))
        return false;
    if (!look_open(directory, clock_mono_ms() + run->t->wait_ms, &l, &err)) {
        if (err.sys != EACCES && err.sys != EPERM)
            fprintf(stderr, "mailq: %s\n", err.text);
        return false;
    }
    while (look_next(l, &m)) {
        struct rows rows = { 0 };

        look_rows(run, l, &m, &rows);
        rows_clear(&rows);
    }
    if (look_drops(l))
        drop_row(run, look_drops(l), 0);
    look_close(&l);
    return true;
}

static void on_status(void *arg, struct row *r)
{
    if (strcmp(r->kind, "queue") == 0)
        drop_row(arg, row_number(r, "drop"), row_number(r, "drop_bad"));
}

int mailq_run(struct tool *t)
{
    struct run run = { .t = t, .view = { .out = &t->out } };
    struct ask a = { .role = ROLE_QUEUED, .act = "list", .row = on_row, .arg = &run,
                     .ahead = true };
    char how[sizeof a.text + 80];

    struct ask status = { .role = ROLE_QUEUED, .act = "status", .row = on_status, .arg = &run };

    if (ask_run(&a, t) == 0) {
        ask_run(&status, t); /* what was submitted here and is no message yet */
        return finish(&run, NULL);
    }
    if ((a.trouble != BLOCKING_DOWN && a.trouble != BLOCKING_SILENT) || run.view.requests || !look(&run))
        return tool_end(t, a.code, "%s", a.text);
    snprintf(how, sizeof how, "%s; this is what its spool says", a.text);
    return finish(&run, how);
}
