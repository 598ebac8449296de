/* metrics.c - the numbers of a host, as OpenMetrics text or as rows */
#include "mtactl/metrics.h"

#include <stdio.h>
#include <stdlib.h>

#include "mtactl/ask.h"
#include "mtactl/command.h"

#define TEXT_MAX (16u << 20)

/* label="value" of {...}; the values that mtad makes hold neither quotes nor commas. */
static void labels_read(struct strv rest, struct sample *s)
{
    struct strv pair, name;

    while (rest.n > 0 && s->label_n < METRIC_LABELS) {
        if (!strv_cut(&rest, ',', &pair)) {
            pair = rest;
            rest = SV_LIT("");
        }
        if (!strv_cut(&pair, '=', &name) || pair.n < 2)
            return;
        s->labels[s->label_n][0] = name;
        s->labels[s->label_n++][1] = strv_sub(pair, 1, pair.n - 2);
    }
}

bool sample_next(struct strv *text, struct sample *s)
{
    struct strv line, head, labels;

    while (strv_cut(text, '\n', &line)) {
        if (line.n == 0 || line.p[0] == '#')
            continue;
        *s = (struct sample){ .name = line };
        head = line;
        if (strv_cut(&head, '{', &s->name) && strv_cut(&head, '}', &labels))
            labels_read(labels, s);
        s->value = strv_trim(head);
        return true;
    }
    return false;
}

struct strv sample_label(const struct sample *s, const char *name)
{
    for (size_t i = 0; i < s->label_n; i++)
        if (strv_is(s->labels[i][0], name))
            return s->labels[i][1];
    return SV_LIT("");
}

double sample_number(const struct sample *s)
{
    char text[64];

    return strv_cstr(s->value, text, sizeof text) ? strtod(text, NULL) : 0;
}

static void on_data(void *arg, struct strv bytes)
{
    buf_addv(arg, bytes);
}

int metrics_ask(struct tool *t, struct buf *text, char *why, size_t size)
{
    struct ask a = { .role = ROLE_MTAD, .act = "metrics", .data = on_data, .arg = text };
    int code = ask_run(&a, t);

    snprintf(why, size, "%s", a.text);
    return code;
}

static void rows_tell(struct tool *t, struct strv text)
{
    struct sample s;

    while (sample_next(&text, &s)) {
        struct rows rows = { 0 };
        struct row *r = rows_add(&rows, "metric");
        char name[32];

        row_put(r, "name", s.name);
        for (size_t i = 0; i < s.label_n; i++)
            if (strv_cstr(s.labels[i][0], name, sizeof name))
                row_put(r, name, s.labels[i][1]);
        row_put(r, "value", s.value);
        tool_rows(t, &rows);
        rows_clear(&rows);
    }
}

int command_metrics(struct tool *t, int argc, char **argv)
{
    char why[2300];
    struct buf text;
    int code;

    (void)argc;
    (void)argv;
    buf_init(&text, TEXT_MAX);
    code = metrics_ask(t, &text, why, sizeof why);
    if (code == 0 && t->json)
        rows_tell(t, buf_view(&text));
    else if (code == 0)
        buf_addv(&t->out, buf_view(&text));
    buf_clear(&text);
    return tool_end(t, code, code ? "%s" : NULL, why);
}
