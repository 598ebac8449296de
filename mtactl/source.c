/* source.c - map check, map build: sources of tables, in the caller's process; nothing that runs is touched
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/os/fd.h"
#include "common/os/file.h"
#include "conf/conf.h"
#include "conf/map.h"
#include "maps/check.h"
#include "maps/load.h"
#include "mtactl/command.h"
#include "mtactl/print.h"

/* What a word on the command line means: a map of the configuration, or a file. */
struct meant {
    struct conf *conf;          /* owned; NULL: there is none that can be read */
    const struct conf_map *map; /* NULL: a file that no map names */
    const char *path;
    bool aliases;
};

static bool is_aliases(const struct conf_map *m)
{
    return m->type == CONF_MAP_ALIASES || (m->type == CONF_MAP_LMDB && m->syntax == CONF_SYNTAX_ALIASES);
}

static void meant_find(struct tool *t, const char *word, struct meant *m)
{
    const struct conf_options options = { .skip_files = true };
    struct conf_errors errs;

    *m = (struct meant){ .path = word };
    conf_errors_init(&errs);
    if (!conf_load_with(t->conf_path, &options, &m->conf, &errs))
        m->conf = NULL;
    conf_errors_clear(&errs);
    for (size_t i = 0; m->conf && i < m->conf->map_n; i++) {
        const struct conf_map *map = m->conf->maps[i];

        if (strcmp(map->head.name, word) == 0 || (word[0] == '/' && strcmp(map->source, word) == 0)) {
            m->map = map;
            m->path = map->source;
            m->aliases = is_aliases(map);
            return;
        }
    }
}

static int source_open(const char *path)
{
    return open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

/* ---- check ---- */

struct say {
    struct tool *tool;
    const char *file;
};

static void on_say(void *arg, enum check_level level, unsigned line, const char *text)
{
    static const char *const words[] = { "advice", "fault", "error" };
    const struct say *s = arg;
    char where[PATH_MAX + 16];
    struct row r = { 0 };

    snprintf(where, sizeof where, "%s:%u", s->file, line);
    if (!s->tool->json) {
        print_safe(&s->tool->out, SV(where));
        buf_addf(&s->tool->out, ": %s: ", words[level]);
        print_safe(&s->tool->out, SV(text));
        buf_addc(&s->tool->out, '\n');
        return;
    }
    r.kind = strv_dup(SV_LIT("finding"));
    row_put(&r, "level", SV(words[level]));
    row_put(&r, "where", SV(where));
    row_put(&r, "problem", SV(text));
    row_put(&r, "fix", SV_LIT(""));
    tool_row(s->tool, &r);
    row_clear(&r);
}

static int check_end(struct tool *t, const char *path, const struct map_check *c)
{
    if (c->errors)
        return tool_end(t, EX_DATAERR, "%s cannot be used: %zu errors", path, c->errors);
    if (c->faults)
        return tool_end(t, 1, "%s: %zu entries, %zu things to mend, %zu entries stand twice", path,
                        c->entries, c->faults, c->duplicates);
    return tool_end(t, 0, "%s: %zu entries, all in order", path, c->entries);
}

static int check_file(struct tool *t, const struct meant *m)
{
    struct say say = { t, m->path };
    struct map_check c = { .aliases = m->aliases, .file = m->path, .say = on_say, .arg = &say };
    int fd = source_open(m->path), code;
    struct err err = { 0 };
    struct buf text;

    if (fd < 0)
        return tool_end(t, errno == EACCES ? EX_NOPERM : EX_DATAERR, "%s: %s", m->path, strerror(errno));
    buf_init_secret(&text, LOAD_BYTES_MAX);
    if (!file_read(fd, &text, &err)) {
        code = tool_end(t, EX_DATAERR, "%s: %s", m->path, err.text);
    } else {
        if (!m->map)
            c.aliases = map_check_is_aliases(buf_view(&text));
        map_check_text(&c, buf_view(&text));
        code = check_end(t, m->path, &c);
    }
    fd_close(&fd);
    buf_clear(&text);
    return code;
}

int command_map_check(struct tool *t, int argc, char **argv)
{
    struct meant m;
    int code;

    (void)argc;
    meant_find(t, argv[0], &m);
    if (m.map && !m.path[0])
        code = tool_end(t, EX_DATAERR, "map %s has no source", argv[0]);
    else if (!m.map && m.path[0] != '/' && !strchr(m.path, '/'))
        code = tool_end(t, EX_DATAERR, "%s is no map of %s; a file is named with a /, such as ./%s", argv[0],
                        t->conf_path, argv[0]);
    else
        code = check_file(t, &m);
    conf_free(&m.conf);
    return code;
}

/* ---- build ---- */

struct place {
    char dir[64];
    int before; /* the caller's own directory */
};

/* Compiled tables are files in the current directory, as in mapd's own. */
static bool place_enter(struct place *p, struct err *err)
{
    snprintf(p->dir, sizeof p->dir, "/tmp/mtactl-build-XXXXXX");
    p->before = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (p->before < 0 || !mkdtemp(p->dir))
        return err_sys(err, "directory %s", p->dir);
    return chdir(p->dir) == 0 || err_sys(err, "%s", p->dir);
}

static void place_leave(struct place *p, const char *name)
{
    char file[200];

    snprintf(file, sizeof file, "%.160s.mdb", name);
    unlink(file);
    if (p->before >= 0 && fchdir(p->before) < 0)
        fprintf(stderr, "mtactl: cannot go back to where it was called: %s\n", strerror(errno));
    rmdir(p->dir);
    fd_close(&p->before);
}

static bool build(struct map *m, int fd, size_t *entries, struct err *err)
{
    struct load *load;
    enum load_step step;

    if (!load_begin(m, fd, &load, err))
        return false;
    while ((step = load_run(load, 10000, err)) == LOAD_MORE)
        continue;
    *entries = load_entries(load);
    load_free(&load);
    return step == LOAD_DONE;
}

static uint64_t compiled_size(const char *name)
{
    char file[200];
    struct stat st;

    snprintf(file, sizeof file, "%.160s.mdb", name);
    return stat(file, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static int build_told(struct tool *t, const struct conf_map *conf, size_t entries, int64_t ms)
{
    uint64_t size = compiled_size(conf->head.name);
    struct rows rows = { 0 };
    struct row *r = rows_add(&rows, "table");

    row_put(r, "name", SV(conf->head.name));
    row_put(r, "source", SV(conf->source));
    row_put_number(r, "entries", entries);
    row_put_number(r, "bytes", size);
    row_put_number(r, "ms", (uint64_t)ms);
    if (t->json)
        tool_rows(t, &rows);
    rows_clear(&rows);
    return tool_end(t, 0,
                    "map %s: %zu entries of %s, compiled to %llu bytes in %lld ms; what runs was not touched",
                    conf->head.name, entries, conf->source, (unsigned long long)size, (long long)ms);
}

int command_map_build(struct tool *t, int argc, char **argv)
{
    struct place place = { .before = -1 };
    int64_t began = clock_mono_ms();
    struct err err = { 0 };
    struct map *map = NULL;
    size_t entries = 0;
    struct meant m;
    int fd, code;

    (void)argc;
    meant_find(t, argv[0], &m);
    if (!m.map || !m.path[0]) {
        code = tool_end(t, EX_DATAERR,
                        m.map ? "map %s has no source" : "there is no map %s in the configuration", argv[0]);
        conf_free(&m.conf);
        return code;
    }
    log_set_level(LOG_LV_ERROR); /* duplicates are for map check */
    fd = source_open(m.path);
    if (fd < 0) {
        code = tool_end(t, errno == EACCES ? EX_NOPERM : EX_DATAERR, "%s: %s", m.path, strerror(errno));
    } else {
        bool ok = place_enter(&place, &err);

        if (ok)
            map = map_new(m.map);
        else
            fd_close(&fd);
        if (ok && build(map, fd, &entries, &err))
            code = build_told(t, m.map, entries, clock_mono_ms() - began);
        else
            code = tool_end(t, EX_DATAERR, "%s", err.text);
        map_free(&map);
        place_leave(&place, m.map->head.name);
    }
    conf_free(&m.conf);
    return code;
}
