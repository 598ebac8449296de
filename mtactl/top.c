/* top.c - what a host does just now: rates, queue, destinations, recent failures */
#include "mtactl/top.h"

#include <stdio.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "mtactl/ask.h"
#include "mtactl/command.h"
#include "mtactl/print.h"

#define TEXT_MAX  (16u << 20)
#define EVERY_MAX 3600u
#define PART_WAIT_MS 1000 /* the picture must not wait long for a queued that hangs */

/* A line of rates: a counter, or one value of its label. */
static const struct {
    const char *name, *metric, *label, *value;
} rates[] = {
    { "accepted", "mansio_smtp_messages_accepted_total", NULL, NULL },
    { "refused", "mansio_smtp_refused_total", NULL, NULL },
    { "sessions", "mansio_smtp_sessions_total", NULL, NULL },
    { "delivered", "mansio_delivery_results_total", "result", "delivered" },
    { "deferred", "mansio_delivery_results_total", "result", "deferred" },
    { "failed", "mansio_delivery_results_total", "result", "failed" },
    { "syncs", "mansio_queue_sync_seconds_count", NULL, NULL },
};

static const struct {
    const char *name, *metric, *label, *value;
} gauges[] = {
    { "active", "mansio_queue_messages", "state", "active" },
    { "running", "mansio_queue_messages", "state", "running" },
    { "deferred", "mansio_queue_messages", "state", "deferred" },
    { "held", "mansio_queue_messages", "state", "held" },
    { "damaged", "mansio_queue_messages", "state", "damaged" },
    { "oldest", "mansio_queue_oldest_seconds", NULL, NULL },
    { "sessions", "mansio_smtp_sessions_open", NULL, NULL },
    { "deliveries", "mansio_queue_jobs", NULL, NULL },
    { "disk_free", "mansio_queue_disk_free_bytes", NULL, NULL },
    { "processes", "mansio_up", NULL, NULL },
};

/* ---- a look ---- */

void top_look_init(struct top_look *l)
{
    *l = (struct top_look){ .code = 0 };
    buf_init(&l->text, TEXT_MAX);
}

void top_look_clear(struct top_look *l)
{
    buf_clear(&l->text);
    rows_clear(&l->failures);
}

void top_look_take(struct top_look *l, struct tool *t)
{
    struct tool patient = *t;
    struct ask a = { .role = ROLE_QUEUED, .act = "failures", .row = ask_collect, .arg = &l->failures };

    if (patient.wait_ms > PART_WAIT_MS)
        patient.wait_ms = PART_WAIT_MS;
    buf_reset(&l->text);
    rows_clear(&l->failures);
    l->code = metrics_ask(t, &l->text, l->why, sizeof l->why);
    l->at_s = (double)clock_mono_ms() / 1000;
    if (l->code == 0)
        ask_run(&a, &patient); /* without queued there are none to be told */
}

static double sum(const struct top_look *l, const char *metric, const char *label, const char *value)
{
    struct strv rest = buf_view(&l->text);
    struct sample s;
    double total = 0;

    while (sample_next(&rest, &s))
        if (strv_is(s.name, metric) && (!label || strv_is(sample_label(&s, label), value)))
            total += sample_number(&s);
    return total;
}

static void rate_row(const struct top_look *before, const struct top_look *now, size_t i, struct rows *rows)
{
    double count = sum(now, rates[i].metric, rates[i].label, rates[i].value);
    double moved = count - sum(before, rates[i].metric, rates[i].label, rates[i].value);
    double seconds = now->at_s - before->at_s;
    struct row *r = rows_add(rows, "rate");
    char text[64];

    /* Counters of a process that ended are gone: no rate is below nothing. */
    snprintf(text, sizeof text, "%.1f", moved > 0 && seconds > 0 ? moved / seconds : 0);
    row_put(r, "name", SV(rates[i].name));
    row_put_number(r, "total", (uint64_t)count);
    row_put(r, "per_second", SV(text));
}

void top_rows(const struct top_look *before, const struct top_look *now, struct rows *rows)
{
    struct strv rest = buf_view(&now->text);
    struct sample s;
    struct row *r;

    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
        rate_row(before, now, i, rows);
    r = rows_add(rows, "queue");
    for (size_t i = 0; i < sizeof gauges / sizeof *gauges; i++)
        row_put_number(r, gauges[i].name,
                       (uint64_t)sum(now, gauges[i].metric, gauges[i].label, gauges[i].value));
    while (sample_next(&rest, &s)) { /* queued tells the one with most messages first */
        if (!strv_is(s.name, "mansio_queue_destination_messages"))
            continue;
        r = rows_add(rows, "destination");
        row_put(r, "destination", sample_label(&s, "destination"));
        row_put_number(r, "messages", (uint64_t)sample_number(&s));
    }
    for (size_t i = 0; i < now->failures.n; i++) {
        const struct row *f = &now->failures.list[i];

        r = rows_add(rows, "failure");
        for (size_t k = 0; k < f->n; k++) {
            if (f->values[k].text)
                row_put(r, f->values[k].name, strv_make(f->values[k].text, f->values[k].text_n));
            else
                row_put_number(r, f->values[k].name, f->values[k].number);
        }
    }
}

/* ---- text ---- */

static void pad(struct buf *out, size_t from, size_t width)
{
    while (out->len - from < width)
        buf_addc(out, ' ');
}

static void queue_line(struct buf *out, const struct row *r)
{
    buf_addf(out, "Queue: %llu active, %llu running, %llu deferred, %llu held, %llu damaged; oldest ",
             (unsigned long long)row_number(r, "active"), (unsigned long long)row_number(r, "running"),
             (unsigned long long)row_number(r, "deferred"), (unsigned long long)row_number(r, "held"),
             (unsigned long long)row_number(r, "damaged"));
    print_age(out, row_number(r, "oldest"));
    buf_addf(out, "\nNow: %llu sessions, %llu deliveries, %llu processes, ",
             (unsigned long long)row_number(r, "sessions"), (unsigned long long)row_number(r, "deliveries"),
             (unsigned long long)row_number(r, "processes"));
    print_size(out, row_number(r, "disk_free"));
    buf_adds(out, " free\n");
}

static void rate_line(struct buf *out, const struct row *r)
{
    size_t from = out->len;

    buf_adds(out, "  ");
    print_safe(out, row_text(r, "name"));
    pad(out, from, 14);
    print_safe(out, row_text(r, "per_second"));
    buf_adds(out, "/s");
    pad(out, from, 28);
    buf_addf(out, "%llu in all\n", (unsigned long long)row_number(r, "total"));
}

static void destination_line(struct buf *out, const struct row *r)
{
    size_t from = out->len;

    buf_addf(out, "  %llu", (unsigned long long)row_number(r, "messages"));
    pad(out, from, 14);
    print_safe(out, row_text(r, "destination"));
    buf_addc(out, '\n');
}

static void failure_line(struct buf *out, const struct row *r)
{
    time_t at = (time_t)row_number(r, "time");
    char text[16] = "";
    struct tm tm;

    if (localtime_r(&at, &tm))
        strftime(text, sizeof text, "%H:%M:%S", &tm);
    buf_addf(out, "  %s ", text);
    print_safe(out, row_text(r, "status"));
    buf_addc(out, ' ');
    print_safe(out, row_text(r, "recipient"));
    buf_adds(out, ": ");
    print_safe(out, row_text(r, "reply"));
    buf_addc(out, '\n');
}

void top_text(const struct rows *rows, size_t destinations, struct buf *out)
{
    static const struct {
        const char *kind, *title;
        void (*print)(struct buf *out, const struct row *r);
    } parts[] = {
        { "queue", "", queue_line },
        { "rate", "Rates:\n", rate_line },
        { "destination", "Messages by destination:\n", destination_line },
        { "failure", "Recent failures:\n", failure_line },
    };

    for (size_t p = 0; p < sizeof parts / sizeof *parts; p++) {
        size_t n = 0;

        for (size_t i = 0; i < rows->n; i++) {
            if (strcmp(rows->list[i].kind, parts[p].kind) != 0 ||
                (parts[p].print == destination_line && n >= destinations))
                continue;
            if (n++ == 0)
                buf_adds(out, parts[p].title);
            parts[p].print(out, &rows->list[i]);
        }
    }
}

/* ---- the command ---- */

static int once(struct tool *t, unsigned every)
{
    struct top_look before, now;
    struct rows rows = { 0 };
    int code;

    top_look_init(&before);
    top_look_init(&now);
    top_look_take(&before, t);
    if (before.code == 0) {
        sleep(every); /* what a rate is measured over */
        top_look_take(&now, t);
    }
    code = before.code ? before.code : now.code;
    if (code == 0) {
        top_rows(&before, &now, &rows);
        if (t->json)
            tool_rows(t, &rows);
        else
            top_text(&rows, SIZE_MAX, &t->out);
    }
    code = tool_end(t, code, code ? "%s" : NULL, before.code ? before.why : now.why);
    rows_clear(&rows);
    top_look_clear(&before);
    top_look_clear(&now);
    return code;
}

int command_top(struct tool *t, int argc, char **argv)
{
    bool one = t->json || !isatty(STDOUT_FILENO);
    uint64_t every = 1;

    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--once") == 0)
            one = true;
        else if (strcmp(argv[i], "--every") != 0 || i + 1 == argc ||
                 !strv_u64(SV(argv[++i]), EVERY_MAX, &every) || every == 0)
            return tool_end(t, EX_USAGE, "usage: mtactl top [--once] [--every SECONDS]");
    }
    return one ? once(t, (unsigned)every) : top_screen(t, (unsigned)every);
}
