/* tool.c - one run of mtactl: its options, and the output that every command makes through it */
#include "mtactl/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "common/os/fd.h"
#include "common/os/file.h"
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

#define SCAN_MAX (4u << 20)

/* `runtime = "/path"` somewhere in a file that has a mistake elsewhere. */
static bool runtime_scan(struct strv text, char *dst, size_t size)
{
    struct strv line;

    while (strv_cut(&text, '\n', &line)) {
        for (size_t at = 0; at + 7 < line.n && line.p[at] != '#'; at++) {
            struct strv rest = strv_from(line, at);
            size_t end = 0;

            if (!strv_starts(rest, SV_LIT("runtime")) ||
                (at > 0 && byte_is_alnum((unsigned char)line.p[at - 1])))
                continue;
            rest = strv_trim(strv_from(rest, 7));
            if (rest.n == 0 || rest.p[0] != '=')
                continue;
            rest = strv_trim(strv_from(rest, 1));
            if (rest.n > 0 && rest.p[0] == '"')
                rest = strv_from(rest, 1);
            while (end < rest.n && !byte_in_set(rest.p[end], "\" \t}#"))
                end++;
            return end > 1 && rest.p[0] == '/' && strv_cstr(strv_sub(rest, 0, end), dst, size);
        }
    }
    return false;
}

static bool runtime_of_broken(struct tool *t)
{
    int fd = open(t->conf_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct err err = { 0 };
    struct buf text;
    bool ok;

    buf_init(&text, SCAN_MAX);
    ok = fd >= 0 && file_read(fd, &text, &err) &&
         runtime_scan(buf_view(&text), t->runtime_text, sizeof t->runtime_text);
    buf_clear(&text);
    fd_close(&fd);
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
    if (!runtime_of_conf(t) && !runtime_of_broken(t)) {
        if (strcmp(t->conf_path, DEFAULT_CONF) != 0 && access(t->conf_path, R_OK) != 0)
            t->lost = errno;
        t->runtime = DEFAULT_RUNTIME;
    }
    return t->runtime;
}

bool tool_has_host(struct tool *t, struct err *err)
{
    tool_runtime(t);
    if (t->lost)
        err_set(err, ERR_CONF, "%s does not say which host is meant: %s", t->conf_path, strerror(t->lost));
    return !t->lost;
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

void tool_text(struct tool *t, struct strv text)
{
    if (t->json) {
        rows_begin(t);
        buf_adds(&t->out, t->row_n++ ? ",\n" : "\n");
    }
    buf_addv(&t->out, text);
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
