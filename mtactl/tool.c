/* tool.c - one run of mtactl: its options, and the output that every command makes through it */
#include "mtactl/tool.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "conf/conf.h"
#include "conf/processes.h"
#include "mtactl/print.h"

#define DEFAULT_CONF    "/etc/mansio/mansio.conf"
#define DEFAULT_RUNTIME "/run/mansio"
#define FLUSH_AT        65536u

void tool_init(struct tool *t)
{
    *t = (struct tool){ .conf_path = DEFAULT_CONF, .wait_ms = TOOL_WAIT_MS };
    buf_init(&t->out, 256u << 20);
}

void tool_clear(struct tool *t)
{
    tool_flush(t);
    buf_clear(&t->out);
}

/* Located errors: for people as they are, for programs line by line. */
static void conf_complain(struct tool *t, struct strv text)
{
    struct strv line;

    if (!t->json) {
        fprintf(stderr, "%.*s", (int)text.n, text.p);
        return;
    }
    while (text.p && strv_cut(&text, '\n', &line)) {
        struct row r = { 0 };

        if (line.n == 0)
            continue;
        r.kind = strv_dup(SV_LIT("error"));
        row_put(&r, "text", line);
        tool_row(t, &r);
        row_clear(&r);
    }
}

bool tool_conf(struct tool *t, const char *path, struct conf **out)
{
    struct conf_errors errs;
    struct buf text;
    bool ok;

    conf_errors_init(&errs);
    ok = conf_load(path ? path : t->conf_path, out, &errs);
    if (!ok) {
        buf_init(&text, 1u << 20);
        conf_errors_text(&errs, &text);
        conf_complain(t, buf_view(&text));
        buf_clear(&text);
    }
    conf_errors_clear(&errs);
    return ok;
}

/* A configuration that is broken, or not ours to read, must not keep anybody from the host that runs. */
static bool runtime_of_conf(struct tool *t)
{
    const struct conf_options options = { .skip_files = true };
    struct conf_errors errs;
    struct conf *conf;
    bool ok;

    conf_errors_init(&errs);
    ok = conf_load_with(t->conf_path, &options, &conf, &errs);
    if (ok) {
        snprintf(t->runtime_text, sizeof t->runtime_text, "%s", conf->processes->runtime);
        conf_free(&conf);
    }
    conf_errors_clear(&errs);
    return ok;
}

const char *tool_runtime(struct tool *t)
{
    if (t->runtime)
        return t->runtime;
    t->runtime = t->runtime_text;
    if (!runtime_of_conf(t))
        t->runtime = DEFAULT_RUNTIME;
    return t->runtime;
}

void tool_flush(struct tool *t)
{
    fwrite(buf_cstr(&t->out), 1, t->out.len, stdout);
    fflush(stdout);
    buf_reset(&t->out);
}

static void rows_begin(struct tool *t)
{
    if (!t->rows_begun)
        buf_adds(&t->out, "{\"rows\":[");
    t->rows_begun = true;
}

void tool_row(struct tool *t, const struct row *r)
{
    rows_begin(t);
    buf_adds(&t->out, t->row_n++ ? ",\n" : "\n");
    print_json_row(&t->out, r);
    if (t->out.len > FLUSH_AT)
        tool_flush(t);
}

void tool_rows(struct tool *t, const struct rows *rows)
{
    for (size_t i = 0; t->json && i < rows->n; i++)
        tool_row(t, &rows->list[i]);
    for (size_t i = 0; !t->json && i < rows->n;) {
        if (i > 0)
            buf_addc(&t->out, '\n');
        i = print_table(&t->out, rows, i);
    }
}

int tool_end(struct tool *t, int code, const char *fmt, ...)
{
    char text[4096] = "";
    struct buf safe;
    va_list ap;

    if (fmt) {
        va_start(ap, fmt);
        vsnprintf(text, sizeof text, fmt, ap);
        va_end(ap);
    }
    if (t->json) {
        rows_begin(t);
        buf_addf(&t->out, "],\"code\":%d,\"message\":", code);
        print_json_string(&t->out, SV(text));
        buf_adds(&t->out, "}\n");
        tool_flush(t);
        return code;
    }
    tool_flush(t);
    if (!text[0])
        return code;
    buf_init(&safe, sizeof text * 4);
    print_safe(&safe, SV(text));
    fprintf(code ? stderr : stdout, "%s%s\n", code ? "mtactl: " : "", buf_cstr(&safe));
    buf_clear(&safe);
    return code;
}
