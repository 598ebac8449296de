/* history.c - config history, config diff, reload --previous: configurations that were accepted before */
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <time.h>

#include "common/base/dict.h"
#include "common/base/mem.h"
#include "conf/auth.h"
#include "conf/conf.h"
#include "conf/map.h"
#include "mtactl/ask.h"
#include "mtactl/command.h"
#include "mtactl/print.h"

#define TEXT_MAX (64u << 20)

/* ---- canonical text as values ---- */

struct setting {
    char *name, *value; /* owned; name: "listen smtp.address" */
    bool matched;
};

struct settings {
    struct setting *list; /* owned, in the order of the text */
    size_t n;
    struct dict *by_name; /* -> index + 1 */
};

static void settings_clear(struct settings *s)
{
    for (size_t i = 0; i < s->n; i++) {
        free(s->list[i].name);
        free(s->list[i].value);
    }
    free(s->list);
    dict_free(&s->by_name, NULL);
}

static void setting_add(struct settings *s, struct strv section, struct strv name, struct strv value)
{
    struct buf key;

    buf_init(&key, 65536);
    buf_addv(&key, section);
    if (section.n)
        buf_addc(&key, '.');
    buf_addv(&key, name);
    if ((s->n & (s->n - 1)) == 0)
        s->list = mem_resize(s->list, s->n ? s->n * 2 : 1, sizeof *s->list);
    s->list[s->n] = (struct setting){ .name = strv_dup(buf_view(&key)), .value = strv_dup(value) };
    s->n++;
    dict_set(s->by_name, buf_view(&key), (void *)(uintptr_t)s->n);
    buf_clear(&key);
}

/* Sections are one word and a label, or lie in another one: `address.masquerade`. */
static void settings_read(struct settings *s, struct strv text)
{
    struct buf section;
    struct strv line;

    s->by_name = dict_new();
    buf_init(&section, 65536);
    while (strv_cut(&text, '\n', &line)) {
        size_t at;

        line = strv_trim(line);
        if (line.n == 0 || line.p[0] == '#')
            continue;
        if (strv_is(line, "}")) {
            while (section.len > 0 && section.data[section.len - 1] != '\x01')
                section.len--;
            section.len -= section.len > 0;
        } else if (strv_ends(line, SV_LIT(" {"))) {
            if (section.len > 0)
                buf_addc(&section, '\x01');
            buf_addv(&section, strv_sub(line, 0, line.n - 2));
        } else if (strv_find(line, '=', &at)) {
            setting_add(s, buf_view(&section), strv_trim(strv_sub(line, 0, at)),
                        strv_trim(strv_from(line, at + 1)));
        }
    }
    buf_clear(&section);
}

static void name_show(char *name)
{
    for (; *name; name++)
        *name = *name == '\x01' ? '.' : *name;
}

/* ---- where texts come from ---- */

static void on_data(void *arg, struct strv bytes)
{
    buf_addv(arg, bytes);
}

/* Of the host that runs: number 0 is what runs. */
static int text_of_host(struct tool *t, uint64_t number, struct buf *out, char *why, size_t size)
{
    struct ask a = { .role = ROLE_MTAD, .act = "kept", .data = on_data, .arg = out };

    ask_number(&a, "number", number);
    ask_run(&a, t);
    snprintf(why, size, "%.*s", (int)size - 1, a.text);
    return a.code;
}

/* Entries that are secrets stand nowhere. */
static void secrets_hide(struct conf *conf)
{
    const struct conf_map *found = conf->auth->users[0] ? conf_map_find(conf, SV(conf->auth->users)) : NULL;

    for (size_t i = 0; found && i < conf->map_n; i++) {
        struct conf_strings *entries = &conf->maps[i]->entries;

        while (conf->maps[i] == found && entries->n > 0)
            free(entries->v[--entries->n]);
    }
}

static int text_of_files(struct tool *t, struct buf *out, char *why, size_t size)
{
    struct conf *conf;

    if (!tool_conf(t, NULL, &conf)) {
        snprintf(why, size, "%s is not in order; see mtactl check", t->conf_path);
        return EX_CONFIG;
    }
    secrets_hide(conf);
    conf_write(conf, ROLE_MTAD, out);
    conf_free(&conf);
    return 0;
}

/* ---- commands ---- */

static void when_text(struct buf *out, uint64_t when)
{
    time_t at = (time_t)when;
    char date[64] = "";
    struct tm tm;

    if (localtime_r(&at, &tm))
        strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S %Z", &tm);
    buf_adds(out, date);
}

/* What differs from the one before it, in a few words. */
static void changed_text(struct tool *t, uint64_t number, uint64_t before, struct buf *out);

int command_config_history(struct tool *t, int argc, char **argv)
{
    struct rows rows = { 0 };
    struct ask a = { .role = ROLE_MTAD, .act = "history", .row = ask_collect, .arg = &rows };
    struct buf changed;

    (void)argc;
    (void)argv;
    ask_run(&a, t);
    for (size_t i = 0; a.code == 0 && i < rows.n; i++) {
        struct row *r = &rows.list[i];

        buf_init(&changed, 65536);
        if (i + 1 < rows.n)
            changed_text(t, row_number(r, "number"), row_number(&rows.list[i + 1], "number"), &changed);
        row_put(r, "changed", buf_view(&changed));
        buf_clear(&changed);
        if (t->json) {
            tool_row(t, r);
            continue;
        }
        buf_addf(&t->out, "%s%4llu  ", strv_is(row_text(r, "running"), "yes") ? "*" : " ",
                 (unsigned long long)row_number(r, "number"));
        when_text(&t->out, row_number(r, "accepted"));
        buf_adds(&t->out, "  ");
        print_safe(&t->out, row_text(r, "how"));
        buf_adds(&t->out, " by ");
        print_safe(&t->out, row_text(r, "by"));
        if (row_text(r, "changed").n) {
            buf_adds(&t->out, ": ");
            print_safe(&t->out, row_text(r, "changed"));
        }
        buf_addc(&t->out, '\n');
    }
    rows_clear(&rows);
    return tool_end(t, a.code, "%s", a.text);
}

struct diff {
    struct settings a, b;
    void (*change)(void *arg, const char *name, const char *old, const char *new); /* NULL: not there */
    void *arg;
    size_t n;
};

static void diff_run(struct diff *d, struct strv a, struct strv b)
{
    settings_read(&d->a, a);
    settings_read(&d->b, b);
    for (size_t i = 0; i < d->a.n; i++) {
        struct setting *s = &d->a.list[i];
        size_t at = (size_t)(uintptr_t)dict_get(d->b.by_name, SV(s->name));
        struct setting *other = at ? &d->b.list[at - 1] : NULL;

        if (other)
            other->matched = true;
        if (other && strcmp(other->value, s->value) == 0)
            continue;
        d->n++;
        name_show(s->name);
        d->change(d->arg, s->name, s->value, other ? other->value : NULL);
    }
    for (size_t i = 0; i < d->b.n; i++) {
        if (d->b.list[i].matched)
            continue;
        d->n++;
        name_show(d->b.list[i].name);
        d->change(d->arg, d->b.list[i].name, NULL, d->b.list[i].value);
    }
    settings_clear(&d->a);
    settings_clear(&d->b);
}

static void on_name(void *arg, const char *name, const char *old, const char *new)
{
    struct buf *out = arg;

    (void)old;
    (void)new;
    if (out->len > 200) {
        if (!strv_ends(buf_view(out), SV_LIT("...")))
            buf_adds(out, ", ...");
        return;
    }
    buf_addf(out, "%s%s", out->len ? ", " : "", name);
}

static void changed_text(struct tool *t, uint64_t number, uint64_t before, struct buf *out)
{
    struct diff d = { .change = on_name, .arg = out };
    struct buf a, b;
    char why[64];

    buf_init(&a, TEXT_MAX);
    buf_init(&b, TEXT_MAX);
    if (text_of_host(t, before, &a, why, sizeof why) == 0 &&
        text_of_host(t, number, &b, why, sizeof why) == 0)
        diff_run(&d, buf_view(&a), buf_view(&b));
    buf_clear(&a);
    buf_clear(&b);
}

static void on_change(void *arg, const char *name, const char *old, const char *new)
{
    struct tool *t = arg;
    struct row r = { .kind = t->json ? strv_dup(SV_LIT("change")) : NULL };

    if (t->json) {
        row_put(&r, "name", SV(name));
        if (old)
            row_put(&r, "old", SV(old));
        if (new)
            row_put(&r, "new", SV(new));
        tool_row(t, &r);
        row_clear(&r);
        return;
    }
    for (int i = 0; i < 2; i++) {
        const char *value = i ? new : old;

        if (!value)
            continue;
        buf_adds(&t->out, i ? "+ " : "- ");
        print_safe(&t->out, SV(name));
        buf_adds(&t->out, " = ");
        print_safe(&t->out, SV(value));
        buf_addc(&t->out, '\n');
    }
}

/* A number of the history; "running"; "files". */
static int text_of(struct tool *t, const char *name, struct buf *out, char *why, size_t size)
{
    uint64_t number = 0;

    if (strcmp(name, "files") == 0)
        return text_of_files(t, out, why, size);
    if (strcmp(name, "running") != 0 && (!strv_u64(SV(name), UINT32_MAX, &number) || number == 0)) {
        snprintf(why, size, "%s is no number of mtactl config history, nor \"running\" or \"files\"", name);
        return EX_USAGE;
    }
    return text_of_host(t, number, out, why, size);
}

int command_config_diff(struct tool *t, int argc, char **argv)
{
    struct diff d = { .change = on_change, .arg = t };
    const char *names[2] = { argc > 0 ? argv[0] : "running", argc > 1 ? argv[1] : "files" };
    struct buf a, b;
    char why[2300] = "";
    int code;

    buf_init(&a, TEXT_MAX);
    buf_init(&b, TEXT_MAX);
    code = text_of(t, names[0], &a, why, sizeof why);
    if (code == 0)
        code = text_of(t, names[1], &b, why, sizeof why);
    if (code == 0)
        diff_run(&d, buf_view(&a), buf_view(&b));
    buf_clear(&a);
    buf_clear(&b);
    if (code)
        return tool_end(t, code, "%s", why);
    return d.n ? tool_end(t, 1, "%zu values differ between %s and %s", d.n, names[0], names[1])
               : tool_end(t, 0, "%s and %s say the same", names[0], names[1]);
}
