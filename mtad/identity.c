/* identity.c - system users of daemons and mailboxes (looked up once, at the start) */
#include "mtad/identity.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "conf/conf.h"
#include "conf/mailbox.h"
#include "conf/users.h"

static bool user_find(const char *name, const struct conf_head *head, const char *section, const char *field,
                      struct identity *out, struct err *err)
{
    char where[512];
    const struct passwd *pw;

    errno = 0;
    pw = getpwnam(name);
    if (pw && pw->pw_uid != 0 && pw->pw_gid != 0) {
        *out = (struct identity){ .user = name, .uid = pw->pw_uid, .gid = pw->pw_gid };
        return true;
    }
    conf_where_text(conf_where(head, section, field), where, sizeof where);
    if (pw)
        return err_set(err, ERR_CONF, "%s: user %s has uid or gid 0: refused", where, name);
    return err_set(err, ERR_CONF,
                   "%s: there is no user %s; make it with: useradd --system --user-group --no-create-home "
                   "--home-dir /nonexistent --shell /usr/sbin/nologin %s",
                   where, name, name);
}

static bool group_find(const struct conf_mailbox *m, gid_t *out, struct err *err)
{
    char where[512];
    const struct group *gr;

    *out = 0;
    if (m->group[0] == '\0')
        return true;
    gr = getgrnam(m->group);
    if (gr && gr->gr_gid != 0) {
        *out = gr->gr_gid;
        return true;
    }
    conf_where_text(conf_where(&m->head, "mailbox", "group"), where, sizeof where);
    return err_set(err, ERR_CONF,
                   "%s: there is no group %s (make it with: groupadd --system %s), or it is root's", where,
                   m->group, m->group);
}

static bool daemons_resolve(struct host *h, struct err *err)
{
    for (const struct graph_role *r = graph_roles; r->role != ROLE_COUNT; r++) {
        const char *name = conf_users_of(h->conf->users, r->role);
        /* The field of mapd's workers is mapd's. */
        const char *field = r->role == ROLE_MAPD_WORKER ? role_name(ROLE_MAPD) : role_name(r->role);

        if (!user_find(name, &h->conf->users->head, "users", field, &h->ids[r->role], err))
            return false;
    }
    return true;
}

bool identity_resolve(struct host *h, struct err *err)
{
    h->mailboxes = mem_array(h->conf->mailbox_n, sizeof *h->mailboxes);
    for (size_t i = 0; i < h->conf->mailbox_n; i++) {
        const struct conf_mailbox *m = h->conf->mailboxes[i];
        struct mailbox_root *r = &h->mailboxes[i];
        struct identity owner = { .uid = geteuid(), .gid = getegid() };

        *r = (struct mailbox_root){ .section = m, .fd = -1 };
        if (h->privileged && !group_find(m, &r->group, err))
            return false;
        if (h->privileged && m->root[0] && !user_find(m->owner, &m->head, "mailbox", "owner", &owner, err))
            return false;
        r->uid = owner.uid;
        r->gid = owner.gid;
    }
    return !h->privileged || daemons_resolve(h, err);
}
