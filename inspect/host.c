/* host.c - users, programs, directories and secret files that a configuration names */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/auth.h"
#include "conf/conf.h"
#include "conf/mailbox.h"
#include "conf/map.h"
#include "conf/users.h"
#include "inspect/inspect.h"

static void user_look(const char *name, const struct conf_head *head, const char *section, const char *field,
                      struct findings *f)
{
    const struct passwd *pw = getpwnam(name);
    char fix[256];

    snprintf(fix, sizeof fix,
             "make it with: useradd --system --user-group --no-create-home --home-dir /nonexistent --shell "
             "/usr/sbin/nologin %.64s",
             name);
    if (!pw)
        findings_at(f, FINDING_ERROR, head, section, field, fix, "there is no user %s", name);
    else if (pw->pw_uid == 0 || pw->pw_gid == 0)
        findings_at(f, FINDING_ERROR, head, section, field, "name another one",
                    "user %s has uid or gid 0: refused", name);
}

static void group_look(const char *name, const struct conf_head *head, const char *section, const char *field,
                       struct findings *f)
{
    const struct group *gr = getgrnam(name);
    char fix[128];

    snprintf(fix, sizeof fix, "make it with: groupadd --system %.64s", name);
    if (!gr)
        findings_at(f, FINDING_ERROR, head, section, field, fix, "there is no group %s", name);
    else if (gr->gr_gid == 0)
        findings_at(f, FINDING_ERROR, head, section, field, "name another one", "group %s is root's: refused",
                    name);
}

void inspect_users(const struct conf *conf, struct findings *f)
{
    static const enum role roles[] = { ROLE_SMTPD,    ROLE_CLEANUP, ROLE_QUEUED,
                                       ROLE_DELIVERD, ROLE_MAPD,    ROLE_DNSD,    ROLE_HISTORYD };

    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        user_look(conf_users_of(conf->users, roles[i]), &conf->users->head, "users", role_name(roles[i]), f);
    group_look(conf->users->drop, &conf->users->head, "users", "drop", f);
    for (size_t i = 0; i < conf->mailbox_n; i++) {
        const struct conf_mailbox *m = conf->mailboxes[i];

        if (m->group[0])
            group_look(m->group, &m->head, "mailbox", "group", f);
        if (m->root[0])
            user_look(m->owner, &m->head, "mailbox", "owner", f);
        if (m->method == CONF_METHOD_PIPE && m->user[0])
            user_look(m->user, &m->head, "mailbox", "user", f);
    }
}

static const char *program_fault(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return strerror(errno);
    if (!S_ISREG(st.st_mode))
        return "is no file";
    return st.st_mode & 0111 ? NULL : "is not executable";
}

/* A server may come later than its host: its mail waits until then. */
static void server_look(const struct conf_mailbox *m, struct findings *f)
{
    const char *path = m->method == CONF_METHOD_LMTP ? m->via.path : NULL, *why = NULL;
    struct stat st;

    if (!path)
        return;
    if (stat(path, &st) < 0)
        why = strerror(errno);
    else if (!S_ISSOCK(st.st_mode))
        why = "is no socket";
    if (why)
        findings_at(f, FINDING_FAULT, &m->head, "mailbox", "via",
                    "start the LMTP server; what waits goes out by itself then",
                    "socket %s: %s; mail for it waits in the queue", path, why);
}

void inspect_programs(const struct conf *conf, struct findings *f)
{
    for (size_t i = 0; i < conf->mailbox_n; i++) {
        const struct conf_mailbox *m = conf->mailboxes[i];
        const char *why;

        server_look(m, f);
        if (!conf_mailbox_is_command(m) || m->command.n == 0 || !(why = program_fault(m->command.v[0])))
            continue;
        findings_at(f, FINDING_FAULT, &m->head, "mailbox",
                    conf_where(&m->head, "mailbox", "command").line ? "command" : "method",
                    "install it; what waits goes out by itself then",
                    "program %s: %s; mail for it waits in the queue", m->command.v[0], why);
    }
}

/* A root that nobody wrote is made by mtad. */
static void root_look(const struct conf_mailbox *m, bool privileged, struct findings *f)
{
    const struct passwd *pw = privileged ? getpwnam(m->owner) : NULL;
    bool written = conf_where(&m->head, "mailbox", "root").line > 0;
    char fix[5000];
    struct stat st;

    if (stat(m->root, &st) < 0) {
        if (!written && errno == ENOENT)
            return;
        snprintf(fix, sizeof fix, "make it with: install -d -m 0700 -o %s %s", m->owner, m->root);
        findings_at(f, FINDING_ERROR, &m->head, "mailbox", "root",
                    errno == EACCES ? "call this as root" : fix, "root %s: %s", m->root, strerror(errno));
        return;
    }
    if (!S_ISDIR(st.st_mode)) {
        findings_at(f, FINDING_ERROR, &m->head, "mailbox", "root", "name a directory", "%s is no directory",
                    m->root);
        return;
    }
    if (!pw || st.st_uid == pw->pw_uid)
        return;
    snprintf(fix, sizeof fix, "chown %s %s", m->owner, m->root);
    findings_at(f, FINDING_FAULT, &m->head, "mailbox", "root", fix,
                "%s belongs to uid %u instead of %s: nothing new can be stored there", m->root,
                (unsigned)st.st_uid, m->owner);
}

void inspect_mailboxes(const struct conf *conf, bool privileged, struct findings *f)
{
    for (size_t i = 0; i < conf->mailbox_n; i++) {
        if (conf->mailboxes[i]->root[0])
            root_look(conf->mailboxes[i], privileged, f);
    }
}

void inspect_secrets(const struct conf *conf, struct findings *f)
{
    const struct conf_map *m =
        conf->auth && conf->auth->users[0] ? conf_map_find(conf, SV(conf->auth->users)) : NULL;
    char fix[4200];
    struct stat st;

    if (!m || !m->source[0] || stat(m->source, &st) < 0 || !(st.st_mode & S_IROTH))
        return;
    snprintf(fix, sizeof fix, "chmod o-r %s", m->source);
    findings_at(f, FINDING_FAULT, &m->head, "map", "source", fix,
                "%s holds the secrets of logins and is readable by everybody", m->source);
}

void inspect_all(const struct conf *conf, const struct inspect_options *o, struct findings *f)
{
    if (o->privileged)
        inspect_users(conf, f);
    inspect_certificates(conf, f);
    if (o->mailboxes)
        inspect_mailboxes(conf, o->privileged, f);
    inspect_programs(conf, f);
    inspect_outgoing(conf, f);
    inspect_secrets(conf, f);
    inspect_notices(conf, f);
    inspect_sense(conf, f);
}
