/* files.c - config --files: every path of a configuration with its owner and mode, and what is wrong with it
 */
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/dict.h"
#include "conf/auth.h"
#include "conf/conf.h"
#include "conf/history.h"
#include "conf/log.h"
#include "conf/mailbox.h"
#include "conf/map.h"
#include "conf/processes.h"
#include "conf/queue.h"
#include "conf/tls.h"
#include "conf/users.h"
#include "mtactl/command.h"

/* What a path is expected to be. */
struct expected {
    const char *what;
    const char *user, *group; /* NULL: anybody; "root" is satisfied by the caller when he is not root */
    int mode;                 /* exactly; -1: any, but for the bits that must not be there */
    mode_t never;
    bool directory, program, optional; /* optional: made when it is needed */
};

struct listing {
    struct rows rows;
    size_t faults;
    bool privileged;
};

static void name_of_user(uid_t uid, char dst[40])
{
    const struct passwd *pw = getpwuid(uid);

    snprintf(dst, 40, "%.32s", pw ? pw->pw_name : "");
    if (!pw)
        snprintf(dst, 40, "%u", (unsigned)uid);
}

static void name_of_group(gid_t gid, char dst[40])
{
    const struct group *gr = getgrgid(gid);

    snprintf(dst, 40, "%.32s", gr ? gr->gr_name : "");
    if (!gr)
        snprintf(dst, 40, "%u", (unsigned)gid);
}

static bool owner_fits(const struct listing *l, const struct expected *e, const struct stat *st)
{
    const struct passwd *pw = e->user && l->privileged ? getpwnam(e->user) : NULL;
    const struct group *gr = e->group && l->privileged ? getgrnam(e->group) : NULL;

    if (e->user && !l->privileged)
        return st->st_uid == geteuid() || st->st_uid == 0;
    return (!pw || pw->pw_uid == st->st_uid) && (!gr || gr->gr_gid == st->st_gid);
}

static void says(char *fault, char *fix, const char *path, const char *what, const char *command)
{
    snprintf(fault, 256, "%s", what);
    snprintf(fix, PATH_MAX + 128, "%s %s", command, path);
}

/* The first thing that is wrong; fault stays empty when all is well. */
static void judge(const struct listing *l, const char *path, const struct expected *e, const struct stat *st,
                  char fault[256], char fix[PATH_MAX + 128])
{
    char command[128];

    if (e->directory != (S_ISDIR(st->st_mode) != 0)) {
        says(fault, fix, path, e->directory ? "is no directory" : "is a directory", "ls -ld");
    } else if (!owner_fits(l, e, st)) {
        snprintf(command, sizeof command, "chown %.40s%s%.40s", e->user ? e->user : "", e->group ? ":" : "",
                 e->group ? e->group : "");
        says(fault, fix, path, "belongs to somebody else", command);
    } else if (e->mode >= 0 && l->privileged && (st->st_mode & 07777) != (mode_t)e->mode) {
        snprintf(command, sizeof command, "chmod %04o", (unsigned)e->mode);
        says(fault, fix, path, "has another mode than it should", command);
    } else if (st->st_mode & e->never & S_IWOTH) {
        says(fault, fix, path, "can be written by everybody", "chmod o-w");
    } else if (st->st_mode & e->never & S_IWGRP) {
        says(fault, fix, path, "can be written by its group", "chmod g-w");
    } else if (st->st_mode & e->never & S_IROTH) {
        says(fault, fix, path, "holds a secret and can be read by everybody", "chmod o-r");
    } else if (e->program && !(st->st_mode & 0111)) {
        says(fault, fix, path, "is not executable", "chmod +x");
    }
}

static void look(struct listing *l, const char *path, struct expected e)
{
    char user[40] = "", group[40] = "", mode[8] = "", fault[256] = "", fix[PATH_MAX + 128] = "";
    struct stat st;
    struct row *r;

    if (stat(path, &st) == 0) {
        name_of_user(st.st_uid, user);
        name_of_group(st.st_gid, group);
        snprintf(mode, sizeof mode, "%04o", (unsigned)st.st_mode & 07777u);
        judge(l, path, &e, &st, fault, fix);
    } else if (!(e.optional && errno == ENOENT)) {
        snprintf(fault, sizeof fault, "%s", strerror(errno));
        snprintf(fix, sizeof fix, "%s", errno == EACCES ? "call this as root" : "make it, or name another");
    }
    l->faults += fault[0] != '\0';
    r = rows_add(&l->rows, "file");
    row_put(r, "path", SV(path));
    row_put(r, "what", SV(e.what));
    row_put(r, "owner", SV(user));
    row_put(r, "group", SV(group));
    row_put(r, "mode", SV(mode));
    row_put(r, "fault", SV(fault));
    row_put(r, "fix", SV(fix));
}

static void look_below(struct listing *l, const char *above, const char *name, struct expected e)
{
    char path[PATH_MAX];

    if (snprintf(path, sizeof path, "%s/%s", above, name) < (int)sizeof path)
        look(l, path, e);
}

#define OTHERS (S_IWGRP | S_IWOTH)

static void on_name(void *arg, struct strv key, void *value)
{
    char path[PATH_MAX];

    (void)value;
    if (key.n > 0 && key.p[0] == '/' && strv_cstr(key, path, sizeof path))
        look(arg, path, (struct expected){ "configuration", "root", NULL, -1, OTHERS, false, false, false });
}

static void tables(struct listing *l, const struct conf *conf)
{
    for (size_t i = 0; i < conf->map_n; i++) {
        const struct conf_map *m = conf->maps[i];
        bool secret = conf->auth->users[0] && strcmp(conf->auth->users, m->head.name) == 0;

        if (m->source[0])
            look(l, m->source,
                 (struct expected){ secret ? "logins" : "table", NULL, NULL, -1,
                                    secret ? S_IWOTH | S_IROTH : S_IWOTH, false, false, false });
    }
}

static void certificates(struct listing *l, const struct conf *conf)
{
    for (size_t i = 0; i < conf->tls_n; i++) {
        const struct conf_tls_section *t = conf->tls[i];
        mode_t secret = S_IWOTH | S_IROTH;

        if (t->certificate[0])
            look(l, t->certificate,
                 (struct expected){ "certificate", NULL, NULL, -1, t->key[0] ? S_IWOTH : secret, false, false,
                                    false });
        if (t->key[0])
            look(l, t->key, (struct expected){ "key", NULL, NULL, -1, secret, false, false, false });
        if (t->ca[0])
            look(l, t->ca, (struct expected){ "authorities", NULL, NULL, -1, S_IWOTH, false, false, false });
    }
}

static void notices(struct listing *l, const struct conf *conf)
{
    const char *path = conf_notices_templates(conf->queue);

    if (path[0])
        look(l, path, (struct expected){ "notices", NULL, NULL, -1, OTHERS, false, false, false });
}

static void mailboxes(struct listing *l, const struct conf *conf)
{
    for (size_t i = 0; i < conf->mailbox_n; i++) {
        const struct conf_mailbox *m = conf->mailboxes[i];
        bool written = conf_where(&m->head, "mailbox", "root").line > 0;

        if (m->root[0])
            look(l, m->root,
                 (struct expected){ "mailboxes", m->owner, NULL, -1, S_IWOTH, true, false, !written });
        if (conf_mailbox_is_command(m) && m->command.n > 0)
            look(l, m->command.v[0],
                 (struct expected){ "program", NULL, NULL, -1, S_IWOTH, false, true, false });
    }
}

static void own(struct listing *l, const struct conf *conf)
{
    const char *queued = conf->users->queued, *spool = conf->queue->directory,
               *state = conf->processes->state;

    look(l, spool, (struct expected){ "spool", queued, conf->users->drop, 0710, 0, true, false, true });
    look_below(l, spool, "drop",
               (struct expected){ "local submission", queued, conf->users->drop, 01730, 0, true, false,
                                  true });
    look_below(l, spool, "seg", (struct expected){ "messages", queued, NULL, -1, OTHERS, true, false, true });
    look_below(l, spool, "big", (struct expected){ "messages", queued, NULL, -1, OTHERS, true, false, true });
    look_below(l, spool, "state",
               (struct expected){ "results", queued, NULL, -1, OTHERS, true, false, true });
    look(l, state, (struct expected){ "state", "root", NULL, -1, OTHERS, true, false, true });
    look_below(l, state, "mapd",
               (struct expected){ "compiled tables", conf->users->mapd, NULL, 0700, 0, true, false, true });
    if (conf->history->keep > 0)
        look_below(l, state, "historyd",
                   (struct expected){ "history", conf->users->historyd, NULL, 0700, 0, true, false, true });
    look_below(l, state, "history",
               (struct expected){ "kept configurations", "root", NULL, 0700, 0, true, false, true });
    look(l, conf->processes->runtime,
         (struct expected){ "runtime", "root", NULL, -1, OTHERS, true, false, true });
    if (conf->log->kind == CONF_LOG_FILE)
        look(l, conf->log->to, (struct expected){ "log", NULL, NULL, -1, S_IWOTH, false, false, true });
}

int command_config_files(struct tool *t, int argc, char **argv)
{
    const struct conf_options options = { .skip_files = true };
    struct listing l = { .privileged = geteuid() == 0 };
    struct conf_errors errs;
    struct conf *conf;
    struct buf text;

    (void)argc;
    (void)argv;
    conf_errors_init(&errs);
    if (!conf_load_with(t->conf_path, &options, &conf, &errs)) {
        buf_init(&text, 1u << 20);
        conf_errors_text(&errs, &text);
        fputs(buf_cstr(&text), stderr);
        buf_clear(&text);
        conf_errors_clear(&errs);
        return tool_end(t, EX_CONFIG, "%s is not in order", t->conf_path);
    }
    conf_errors_clear(&errs);
    dict_each(conf->names, on_name, &l);
    tables(&l, conf);
    certificates(&l, conf);
    notices(&l, conf);
    mailboxes(&l, conf);
    own(&l, conf);
    conf_free(&conf);
    tool_rows(t, &l.rows);
    rows_clear(&l.rows);
    if (l.faults)
        return tool_end(t, 1, "%zu of these paths are not as they should be", l.faults);
    return tool_end(t, 0, "all of these paths are as they should be");
}
