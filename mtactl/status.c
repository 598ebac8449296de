/* status.c - is the host well? Daemons, listeners, queue, and what is degraded */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "common/base/clock.h"
#include "mtactl/ask.h"
#include "mtactl/command.h"
#include "mtactl/print.h"

#define PART_WAIT_MS 2000 /* status itself must answer while a part of the host hangs */

static size_t count_kind(const struct rows *rows, const char *kind)
{
    size_t n = 0;

    for (size_t i = 0; i < rows->n; i++)
        n += strcmp(rows->list[i].kind, kind) == 0;
    return n;
}

static void degraded_row(struct rows *rows, const char *what, const char *problem, const char *advice)
{
    struct row *r = rows_add(rows, "degraded");

    row_put(r, "what", SV(what));
    row_put_number(r, "for", 0);
    row_put_number(r, "since", (uint64_t)time(NULL));
    row_put(r, "problem", SV(problem));
    row_put(r, "advice", SV(advice));
}

/* Another daemon's part; its silence is a finding, not the end. */
static void ask_part(struct tool *t, enum role role, struct rows *rows)
{
    struct tool patient = *t;
    struct ask a = { .role = role, .act = "status", .row = ask_collect, .arg = rows };

    if (patient.wait_ms > PART_WAIT_MS)
        patient.wait_ms = PART_WAIT_MS;
    ask_run(&a, &patient);
    if (a.trouble == BLOCKING_OK && a.code == 0)
        return;
    degraded_row(rows, role_name(role), a.text,
                 "see the log for this daemon's last lines; if it hangs, kill it: mtad starts another");
}

/* Last: who was asked just now told mtad of its troubles. */
static void ask_degraded(struct tool *t, struct rows *rows)
{
    struct ask a = { .role = ROLE_MTAD, .act = "degraded", .row = ask_collect, .arg = rows };

    if (ask_run(&a, t) != 0)
        degraded_row(rows, role_name(ROLE_MTAD), a.text, "try again");
}

static void host_text(struct buf *out, const struct row *r)
{
    buf_adds(out, "Mansio ");
    print_safe(out, row_text(r, "version"));
    buf_adds(out, " is ");
    print_safe(out, row_text(r, "state"));
    buf_adds(out, ", for ");
    print_age(out, row_number(r, "uptime"));
    buf_adds(out, ", with ");
    print_safe(out, row_text(r, "configuration"));
    buf_addc(out, '\n');
    if (!row_number(r, "privileged"))
        buf_adds(out, "It runs WITHOUT ROOT: all daemons as the caller, without jails.\n");
}

static void daemon_text(struct buf *out, const struct row *r)
{
    char name[96];

    snprintf(name, sizeof name, "%.*s[%" PRIu64 "]", (int)strv_sub(row_text(r, "name"), 0, 40).n,
             row_text(r, "name").p, row_number(r, "index"));
    buf_addf(out, "  %-15s ", name);
    print_safe(out, row_text(r, "state"));
    buf_addf(out, ", pid %" PRIu64 ", uid %" PRIu64 " ", row_number(r, "pid"), row_number(r, "uid"));
    print_safe(out, row_text(r, "user"));
    if (row_number(r, "generation"))
        buf_addf(out, ", generation %" PRIu64, row_number(r, "generation"));
    buf_adds(out, ", up ");
    print_age(out, row_number(r, "uptime"));
    buf_adds(out, ", ");
    print_size(out, row_number(r, "memory_kib") * 1024);
    if (row_number(r, "restarts"))
        buf_addf(out, ", restarted %" PRIu64 " times", row_number(r, "restarts"));
    buf_addc(out, '\n');
}

static void listener_text(struct buf *out, const struct row *r)
{
    buf_adds(out, "  ");
    print_safe(out, row_text(r, "address"));
    buf_adds(out, " ");
    print_safe(out, row_text(r, "name"));
    buf_adds(out, ", tls ");
    print_safe(out, row_text(r, "tls"));
    buf_adds(out, ", auth ");
    print_safe(out, row_text(r, "auth"));
    buf_addc(out, '\n');
}

static void queue_text(struct buf *out, const struct row *r)
{
    buf_addf(out, "  %" PRIu64 " messages: %" PRIu64 " running, %" PRIu64 " deferred, %" PRIu64 " held; ",
             row_number(r, "messages"), row_number(r, "running"), row_number(r, "deferred"),
             row_number(r, "held"));
    print_size(out, row_number(r, "free"));
    buf_adds(out, " free in the spool\n");
    if (row_number(r, "drop") || row_number(r, "drop_bad"))
        buf_addf(out, "  %" PRIu64 " submissions wait in drop/, %" PRIu64 " in drop/bad\n",
                 row_number(r, "drop"), row_number(r, "drop_bad"));
}

static void map_text(struct buf *out, const struct row *r)
{
    buf_adds(out, "  ");
    print_safe(out, row_text(r, "name"));
    buf_adds(out, ", ");
    print_safe(out, row_text(r, "type"));
    if (row_text(r, "source").n) {
        buf_adds(out, " of ");
        print_safe(out, row_text(r, "source"));
    }
    buf_adds(out, ": ");
    print_safe(out, row_text(r, "state"));
    buf_addc(out, '\n');
}

static void history_text(struct buf *out, const struct row *r)
{
    uint64_t now = (uint64_t)clock_wall_ms() / 1000, since = row_number(r, "since");

    buf_adds(out, "  ");
    print_size(out, row_number(r, "bytes"));
    if (since && now > since) {
        buf_adds(out, " of the last ");
        print_age(out, now - since);
    }
    if (row_number(r, "lost"))
        buf_addf(out, "; %" PRIu64 " lines were lost", row_number(r, "lost"));
    buf_addc(out, '\n');
}

static void since_text(struct buf *out, const struct row *r)
{
    time_t since = (time_t)row_number(r, "since");
    char date[64];
    struct tm tm;

    if (!localtime_r(&since, &tm) || strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S %Z", &tm) == 0)
        return;
    buf_addf(out, " (since %s, for ", date);
    print_age(out, row_number(r, "for"));
    buf_addc(out, ')');
}

static void degraded_text(struct buf *out, const struct row *r)
{
    buf_adds(out, "  ");
    print_safe(out, row_text(r, "what"));
    buf_adds(out, ": ");
    print_safe(out, row_text(r, "problem"));
    since_text(out, r);
    buf_adds(out, "\n      what to do: ");
    print_safe(out, row_text(r, "advice"));
    buf_addc(out, '\n');
}

static void follow_text(struct buf *out, const struct row *r)
{
    buf_adds(out, "  ");
    print_safe(out, row_text(r, "what"));
    buf_addc(out, ' ');
    print_safe(out, row_text(r, "name"));
    buf_adds(out, ", for another ");
    print_age(out, row_number(r, "left"));
    buf_addc(out, '\n');
}

static const struct {
    const char *kind, *title;
    void (*print)(struct buf *out, const struct row *r);
} sections[] = {
    { "host", NULL, host_text },
    { "daemon", "Daemons:", daemon_text },
    { "listener", "Listeners:", listener_text },
    { "follow", "Logged line by line (mtactl log):", follow_text },
    { "queue", "Queue:", queue_text },
    { "map", "Tables:", map_text },
    { "history", "History (mtactl trace):", history_text },
    { "degraded", "DEGRADED:", degraded_text },
};

static void status_text(struct buf *out, const struct rows *rows)
{
    for (size_t s = 0; s < sizeof sections / sizeof *sections; s++) {
        if (sections[s].title && count_kind(rows, sections[s].kind))
            buf_addf(out, "%s\n", sections[s].title);
        for (size_t i = 0; i < rows->n; i++)
            if (strcmp(rows->list[i].kind, sections[s].kind) == 0)
                sections[s].print(out, &rows->list[i]);
    }
}

static bool has_daemon(const struct rows *rows, enum role role)
{
    for (size_t i = 0; i < rows->n; i++) {
        if (strcmp(rows->list[i].kind, "daemon") == 0 &&
            strv_is(row_text(&rows->list[i], "name"), role_name(role)))
            return true;
    }
    return false;
}

int command_status(struct tool *t, int argc, char **argv)
{
    struct rows rows = { 0 };
    struct ask a = { .role = ROLE_MTAD, .act = "status", .row = ask_collect, .arg = &rows };
    bool well;

    (void)argc;
    (void)argv;
    if (ask_run(&a, t) != 0) {
        rows_clear(&rows);
        return tool_end(t, a.code, "%s", a.text);
    }
    ask_part(t, ROLE_QUEUED, &rows);
    ask_part(t, ROLE_MAPD, &rows);
    if (has_daemon(&rows, ROLE_HISTORYD))
        ask_part(t, ROLE_HISTORYD, &rows);
    ask_degraded(t, &rows);
    well = count_kind(&rows, "degraded") == 0;
    if (t->json)
        tool_rows(t, &rows);
    else
        status_text(&t->out, &rows);
    rows_clear(&rows);
    return well ? tool_end(t, 0, "all is well") : tool_end(t, 1, "the host is degraded");
}
