/* helper.c - descriptors that a child may ask for while it works
 *
 * `source:NAME` is the source of a configured table again, after it was replaced. `mailbox:NAME` is a
 * connection to the LMTP server of a mailbox section (server.c).
 * `:include:/path` in an alias table names a file that only root may be able to open. mtad opens what an
 * administrator could have meant and nothing else, for a mapd that was taken over must not read /etc/shadow
 * through us: a regular file, world-readable or owned by who owns an alias table, in no writable-by-others
 * state (the rule that sendmail has), and only while an alias table exists at all.
 */
#include "mtad/helper.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/hash.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/os/fd.h"
#include "conf/conf.h"
#include "conf/map.h"
#include "mtad/generation.h"
#include "mtad/opener.h"
#include "mtad/server.h"
#include "mtad/source.h"

#define REFUSAL_QUIET_MS 600000

static const struct strv include_prefix = { "include:", 8 }, source_prefix = { "source:", 7 },
                         mailbox_prefix = { "mailbox:", 8 };

/* Somebody who already says where mail goes. */
static bool owns_aliases(const struct host *h, uid_t uid)
{
    for (size_t i = 0; i < h->conf->map_n; i++) {
        const struct conf_map *m = h->conf->maps[i];
        bool aliases =
            m->type == CONF_MAP_ALIASES || (m->type == CONF_MAP_LMDB && m->syntax == CONF_SYNTAX_ALIASES);
        struct stat st;

        for (size_t k = 0; aliases && k < h->source_n; k++) {
            if (h->sources[k].role == ROLE_MAPD && strcmp(h->sources[k].name, m->head.name) == 0 &&
                fstat(h->sources[k].fd, &st) == 0 && st.st_uid == uid)
                return true;
        }
    }
    return false;
}

static bool include_check(const struct host *h, const struct stat *st, struct err *err)
{
    if (!S_ISREG(st->st_mode))
        return err_set(err, ERR_PERM, "not a regular file");
    if (st->st_mode & (S_IWGRP | S_IWOTH))
        return err_set(err, ERR_PERM, "others than its owner may write it");
    if (!owns_aliases(h, st->st_uid))
        return err_set(err, ERR_PERM, "its owner (uid %u) owns no alias table", (unsigned)st->st_uid);
    /* A secret of root is no list of addresses. */
    if (h->privileged && st->st_uid == 0 && !(st->st_mode & S_IROTH))
        return err_set(err, ERR_PERM, "root's, and not readable by everybody");
    return true;
}

/* What mapd asked for, while the opener works on it. */
struct request {
    struct child *child;
    pid_t pid; /* of that child: another one may have its slot when the file is open */
    uint64_t txn;
    char name[]; /* as it was asked for */
};

/* mapd has the tables of the configuration that is being started before that is the present one. */
static struct source_fd *source_find(const struct host *h, struct strv name)
{
    const struct generation *g = h->reloading ? h->reloading : h->current;
    struct strv map = strv_from(name, source_prefix.n);

    for (size_t i = 0; i < g->source_n; i++) {
        struct source_fd *s = &g->sources[i];

        if (s->role == ROLE_MAPD && s->kind == SOURCE_MAP && strv_is(map, s->name))
            return s;
    }
    return NULL;
}

/* mapd looks for changes every few seconds: the same refusal once in ten minutes is enough. */
static void refusal_log(struct child *c, struct strv name, const struct err *err)
{
    static struct {
        uint64_t hash;
        int64_t until;
    } said[16];
    uint64_t hash = hash_sip(name);
    int64_t now = loop_now(c->host->loop);
    unsigned slot = hash % 16;

    if (said[slot].hash == hash && now < said[slot].until)
        return;
    said[slot].hash = hash;
    said[slot].until = now + REFUSAL_QUIET_MS;
    LOG(WARN, "mtad.helper.refused", KS("child", role_name(c->role)), KV("name", name),
        KS("error", err->text));
}

/* Takes fd. */
static void answer(struct child *c, uint64_t txn, struct strv name, int fd, const struct err *err)
{
    struct ipc_out o;

    /* What a server did not take is deliverd's to tell. */
    if (fd < 0 && (c->role == ROLE_MAPD || err->cls != ERR_TEMP))
        refusal_log(c, name, err);
    ipc_out_init(&o);
    ipc_begin(&o, IPC_HELPER_REPLY, txn);
    ipc_put_u64(&o, TAG_VERDICT,
                fd >= 0                ? VERDICT_ACCEPT
                : err->cls == ERR_TEMP ? VERDICT_TEMPFAIL
                                       : VERDICT_REFUSE);
    if (fd >= 0)
        ipc_put_fd(&o, fd);
    else
        ipc_put_clean(&o, TAG_TEXT, SV(err->text));
    channel_send(c->control, &o);
    ipc_out_clear(&o);
}

/* The file that has the table's name now stays with us too: another mapd gets it. */
static void source_keep(const struct host *h, struct strv name, struct opened *o)
{
    struct source_fd *s = source_find(h, name);
    int copy = s && o->fd >= 0 ? fcntl(o->fd, F_DUPFD_CLOEXEC, 0) : -1;

    if (copy < 0)
        return;
    fd_close(&s->fd);
    s->fd = copy;
}

static void on_opened(void *arg, struct opened *o)
{
    struct request *r = arg;
    struct child *c = r->child;
    struct strv name = SV(r->name);

    if (c->control && c->pid == r->pid) {
        if (strv_starts(name, source_prefix))
            source_keep(c->host, name, o);
        else if (o->fd >= 0 && !include_check(c->host, &o->st, &o->err))
            fd_close(&o->fd);
        answer(c, r->txn, name, o->fd, &o->err);
        o->fd = -1;
    }
    free(r);
}

void helper_answer(struct child *c, struct ipc_in *in)
{
    struct strv name = ipc_get(in, TAG_NAME);
    struct err err = { 0 };
    struct request *r;
    char path[PATH_MAX];
    const struct source_fd *s = NULL;

    if (c->role == ROLE_DELIVERD && strv_starts(name, mailbox_prefix)) {
        int fd = server_connect(c, strv_from(name, mailbox_prefix.n), &err);

        answer(c, in->txn, name, fd, &err);
        return;
    }
    if (c->role == ROLE_MAPD && strv_starts(name, include_prefix)) {
        if (!strv_cstr(strv_from(name, include_prefix.n), path, sizeof path) || path[0] != '/')
            err_set(&err, ERR_PERM, "not an absolute path");
    } else if (c->role == ROLE_MAPD && strv_starts(name, source_prefix)) {
        s = source_find(c->host, name);
        if (!s)
            err_set(&err, ERR_PERM, "no such table");
    } else {
        err_set(&err, ERR_PERM, "%s may not ask for that", role_name(c->role));
    }
    if (err.cls != ERR_OK) {
        answer(c, in->txn, name, -1, &err);
        return;
    }
    r = mem_new(sizeof *r + name.n + 1);
    *r = (struct request){ .child = c, .pid = c->pid, .txn = in->txn };
    memcpy(r->name, name.p, name.n);
    opener_ask(c->host, -1, s ? s->path : path,
               s ? SOURCE_FLAGS : O_RDONLY | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, on_opened, r);
}
