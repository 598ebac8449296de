/* check.c - check: a configuration in full, in the caller's process, without touching the service */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/os/fd.h"
#include "common/os/file.h"
#include "conf/address.h"
#include "conf/conf.h"
#include "conf/map.h"
#include "conf/users.h"
#include "inspect/inspect.h"
#include "inspect/socket.h"
#include "maps/check.h"
#include "mtactl/ask.h"
#include "mtactl/command.h"
#include "mtactl/print.h"

#define SOURCE_BYTES_MAX (512u << 20)

/* ---- the language ---- */

/* `file:line:column: what` */
static struct strv where_cut(struct strv text, struct strv *where)
{
    for (size_t i = 0; i + 1 < text.n; i++) {
        if (text.p[i] != ':' || text.p[i + 1] != ' ')
            continue;
        *where = strv_sub(text, 0, i);
        return strv_from(text, i + 2);
    }
    *where = SV_LIT("");
    return text;
}

static int conf_refused(struct tool *t, const char *path, const struct conf_errors *errs)
{
    struct rows rows = { 0 };
    struct strv where, problem;
    struct buf text;

    if (!t->json) {
        buf_init(&text, 1u << 20);
        conf_errors_text(errs, &text);
        fputs(buf_cstr(&text), stderr);
        buf_clear(&text);
    }
    for (unsigned i = 0; t->json && i < errs->n; i++) {
        struct row *r = rows_add(&rows, "finding");

        row_put(r, "level", SV(finding_word(FINDING_ERROR)));
        problem = where_cut(SV(errs->list[i].text), &where);
        row_put(r, "where", where);
        row_put(r, "problem", problem);
        row_put(r, "fix", SV(""));
        row_put(r, "excerpt", SV(errs->list[i].excerpt));
    }
    if (t->json)
        tool_rows(t, &rows);
    rows_clear(&rows);
    return tool_end(t, EX_CONFIG, "%s is not in order; nothing was changed", path);
}

/* ---- sources of tables ---- */

struct source_say {
    struct findings *findings;
    const char *file;
};

static void on_say(void *arg, enum check_level level, unsigned line, const char *text)
{
    static const enum finding_level levels[] = { FINDING_ADVICE, FINDING_FAULT, FINDING_ERROR };
    const struct source_say *s = arg;
    char where[4200];

    snprintf(where, sizeof where, "%s:%u", s->file, line);
    findings_add(s->findings, levels[level], where, "", "%s", text);
}

static bool is_aliases(const struct conf_map *m)
{
    return m->type == CONF_MAP_ALIASES || (m->type == CONF_MAP_LMDB && m->syntax == CONF_SYNTAX_ALIASES);
}

static void source_look(const struct conf_map *m, struct findings *f, struct buf *text)
{
    struct source_say say = { f, m->source };
    struct map_check check = { .aliases = is_aliases(m), .file = m->source, .say = on_say, .arg = &say };
    int fd = open(m->source, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct err err = { 0 };

    if (fd < 0)
        findings_at(f, FINDING_ERROR, &m->head, "map", "source",
                    errno == EACCES ? "call this as root" : "make the file, or name another", "%s: %s",
                    m->source, strerror(errno));
    else if (!file_read(fd, text, &err))
        findings_at(f, FINDING_ERROR, &m->head, "map", "source", "", "%s: %s", m->source, err.text);
    else
        map_check_text(&check, buf_view(text));
    fd_close(&fd);
}

/* Nobody reads root's own mailbox. */
static void root_look(const struct conf *conf, const struct conf_map *m, struct strv text, struct findings *f)
{
    struct strv line, key;

    if (!conf->address->aliases[0] || strcmp(conf->address->aliases, m->head.name) != 0)
        return;
    while (strv_cut(&text, '\n', &line)) {
        size_t colon;

        if (!strv_find(line, ':', &colon))
            continue;
        key = strv_trim(strv_sub(line, 0, colon));
        if (strv_iis(key, "root") || strv_iis(key, "\"root\""))
            return;
    }
    findings_add(
        f, FINDING_ADVICE, m->source, "add a line such as: root: you@example.org",
        "root has no alias: what cron and the system report goes to a mailbox of its own that hardly "
        "anybody reads");
}

static void sources_look(const struct conf *conf, struct findings *f)
{
    struct buf text;

    for (size_t i = 0; i < conf->map_n; i++) {
        if (!conf->maps[i]->source[0])
            continue;
        buf_init_secret(&text, SOURCE_BYTES_MAX);
        source_look(conf->maps[i], f, &text);
        root_look(conf, conf->maps[i], buf_view(&text), f);
        buf_clear(&text);
    }
    if (!conf->address->aliases[0])
        findings_at(
            f, FINDING_ADVICE, &conf->address->head, "address", "aliases",
            "map aliases { type = aliases  source = /etc/aliases } and address { aliases = aliases }",
            "there are no aliases: root's mail goes to a mailbox of its own that hardly anybody reads");
}

/* ---- the host that runs ---- */

/* The same one, or one that a reload can open beside it: 0.0.0.0:25 beside 127.0.0.1:25. */
static bool is_ours(void *arg, const struct netaddr *a)
{
    const struct rows *rows = arg;

    for (size_t i = 0; i < rows->n; i++) {
        struct netaddr has;

        if (strcmp(rows->list[i].kind, "listener") == 0 &&
            netaddr_parse(row_text(&rows->list[i], "address"), &has, false) && has.port == a->port &&
            has.family == a->family &&
            (netaddr_eq_ip(&has, a) || netaddr_is_wildcard(&has) || netaddr_is_wildcard(a)))
            return true;
    }
    return false;
}

static void sockets_look(struct tool *t, const struct conf *conf, struct findings *f)
{
    struct rows rows = { 0 };
    struct ask a = { .role = ROLE_MTAD, .act = "status", .row = ask_collect, .arg = &rows };

    ask_run(&a, t); /* a host that does not run has no listeners */
    inspect_sockets(conf, is_ours, &rows, f);
    rows_clear(&rows);
}

/* ---- */

static void findings_print(struct tool *t, const struct findings *f)
{
    for (size_t i = 0; i < f->n; i++) {
        const struct finding *one = &f->list[i];
        struct rows rows = { 0 };
        struct row *r;
        struct buf text;

        if (!t->json) {
            buf_init(&text, 65536);
            finding_text(one, &text);
            print_safe(&t->out, strv_sub(buf_view(&text), 0, text.len - 1));
            buf_addc(&t->out, '\n');
            buf_clear(&text);
            continue;
        }
        r = rows_add(&rows, "finding");
        row_put(r, "level", SV(finding_word(one->level)));
        row_put(r, "where", SV(one->where));
        row_put(r, "problem", SV(one->problem));
        row_put(r, "fix", SV(one->fix));
        tool_row(t, r);
        rows_clear(&rows);
    }
}

/* Whose host is it: root's has users of its own. */
static bool is_roots(const char *path)
{
    struct stat st;

    return geteuid() == 0 || (stat(path, &st) == 0 && st.st_uid == 0);
}

/* postdrop reads there where the queue is, as the caller with one group more. */
static void submission_look(const char *path, const struct conf *conf, struct findings *f)
{
    const char *drop = conf->users->drop;
    const struct group *gr = getgrnam(drop);
    char fix[300];
    struct stat st;

    if (stat(path, &st) < 0 || (st.st_mode & S_IROTH) ||
        (gr && st.st_gid == gr->gr_gid && (st.st_mode & S_IRGRP)))
        return;
    snprintf(fix, sizeof fix, "chmod o+r %.200s, or chgrp %.40s and chmod g+r", path, drop);
    findings_add(f, FINDING_FAULT, path, fix,
                 "neither users nor the group %s can read it: sendmail does not learn where the queue is, "
                 "and takes no mail of theirs",
                 drop);
}

static int check_end(struct tool *t, const char *path, const struct findings *f)
{
    findings_print(t, f);
    if (f->count[FINDING_ERROR])
        return tool_end(t, EX_CONFIG, "%s is not in order: %zu errors, %zu faults; nothing was changed", path,
                        f->count[FINDING_ERROR], f->count[FINDING_FAULT]);
    if (f->count[FINDING_FAULT])
        return tool_end(t, 1, "%s can be used, but %zu things in it do not work or are dangerous", path,
                        f->count[FINDING_FAULT]);
    if (f->n)
        return tool_end(t, 0, "%s is in order, with %zu pieces of advice", path, f->n);
    return tool_end(t, 0, "%s is in order", path);
}

int command_check(struct tool *t, int argc, char **argv)
{
    const char *path = argc > 0 ? argv[0] : t->conf_path;
    const struct inspect_options options = { .privileged = is_roots(path), .mailboxes = true };
    struct findings f = { 0 };
    struct conf_errors errs;
    struct conf *conf;
    int code;

    conf_errors_init(&errs);
    if (!conf_load(path, &conf, &errs)) {
        code = conf_refused(t, path, &errs);
        conf_errors_clear(&errs);
        return code;
    }
    conf_errors_clear(&errs);
    inspect_all(conf, &options, &f);
    sources_look(conf, &f);
    sockets_look(t, conf, &f);
    if (options.privileged)
        submission_look(path, conf, &f);
    code = check_end(t, path, &f);
    findings_clear(&f);
    conf_free(&conf);
    return code;
}
