/* outgoing.c - certificates, authorities and logins of routes */
#include "mtad/outgoing.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/ipc/schema.h"
#include "common/net/tls.h"
#include "common/os/fd.h"
#include "common/os/file.h"
#include "conf/conf.h"
#include "conf/route.h"
#include "conf/secret.h"
#include "mtad/opener.h"
#include "mtad/source.h"

#define PEM_MAX    (1024u * 1024u)
#define SECRET_MAX 4096u

/* A file that a section names. */
struct named {
    enum ipc_source kind;
    const char *section, *field, *path;
    const struct conf_head *head;
    size_t max;
};

static void where_of(const struct named *n, char *dst, size_t size)
{
    conf_where_text(conf_where(n->head, n->section, n->field), dst, size);
}

/* Secrets in files that everybody can read are used all the same: the host went on with them until now. */
static void warn_open(const struct named *n, const struct stat *st)
{
    char where[512];

    if ((n->kind != SOURCE_KEY && n->kind != SOURCE_SECRET) || !(st->st_mode & S_IROTH))
        return;
    where_of(n, where, sizeof where);
    LOG(WARN, "mtad.secret.open", KS("path", n->path), KS("rule", where));
}

/* out is initialised in any case. */
static bool named_read(struct host *h, const struct named *n, struct buf *out, struct err *err)
{
    int fd = opener_wait(h, n->path, SOURCE_FLAGS, err);
    struct stat st = { 0 };
    char where[512];
    bool ok = fd >= 0;

    buf_init_secret(out, n->max);
    if (ok && fstat(fd, &st) < 0)
        ok = err_sys(err, "%s", n->path);
    if (ok)
        ok = file_read(fd, out, err) || err_wrap(err, "%s", n->path);
    fd_close(&fd);
    if (ok)
        warn_open(n, &st);
    where_of(n, where, sizeof where);
    return ok || err_wrap(err, "%s", where);
}

static bool is_there(const struct host *h, const struct named *n, const char *name)
{
    for (size_t i = 0; i < h->source_n; i++) {
        const struct source_fd *s = &h->sources[i];

        if (s->role == ROLE_DELIVERD && (enum ipc_source)s->kind == n->kind &&
            strcmp(s->path, n->path) == 0 && strcmp(s->name, name) == 0)
            return true;
    }
    return false;
}

/* One copy serves all routes that name the file. */
static bool seal(struct host *h, const struct named *n, const char *name, struct err *err)
{
    struct buf text;
    int fd = -1;
    bool ok;

    if (is_there(h, n, name))
        return true;
    ok = named_read(h, n, &text, err);
    if (ok) {
        fd = file_seal(n->field, buf_view(&text), err);
        ok = fd >= 0 || err_wrap(err, "%s", n->path);
    }
    buf_clear(&text);
    if (ok)
        source_add(h, ROLE_DELIVERD, n->kind, name, n->path, fd);
    return ok;
}

/* ---- what a route names ---- */

static struct named of_route(const struct conf_route *r, enum ipc_source kind)
{
    struct named n = { .kind = kind, .section = "route", .head = &r->head, .max = PEM_MAX };

    n.field = kind == SOURCE_CA ? "ca" : kind == SOURCE_CERT ? "certificate" : "key";
    n.path = kind == SOURCE_CA ? r->ca : kind == SOURCE_CERT ? r->certificate : r->key;
    return n;
}

static struct named of_secret(const struct conf_secret *s)
{
    return (struct named){ SOURCE_SECRET, "secret", "file", s->file, &s->head, SECRET_MAX };
}

/* The system's collection may be missing where nothing is verified; its name is empty. */
static bool authorities_open(struct host *h, const struct conf_route *r, struct err *err)
{
    struct named n = of_route(r, SOURCE_CA);

    if (n.path[0] != '\0')
        return seal(h, &n, "ca", err);
    n.path = TLS_SYSTEM_CA;
    return access(TLS_SYSTEM_CA, F_OK) != 0 || seal(h, &n, "", err);
}

static bool pair_open(struct host *h, const struct conf_route *r, struct err *err)
{
    struct named cert = of_route(r, SOURCE_CERT), key = of_route(r, SOURCE_KEY);

    return cert.path[0] == '\0' ||
           (seal(h, &cert, "", err) && (key.path[0] == '\0' || seal(h, &key, "", err)));
}

static bool route_open(struct host *h, const struct conf_route *r, struct err *err)
{
    const struct conf_secret *secret = conf_secret_find(h->conf, SV(r->auth));
    struct named login;

    if (secret) {
        login = of_secret(secret);
        if (!seal(h, &login, secret->head.name, err))
            return false;
    }
    return r->tls == CONF_TLS_NONE || (authorities_open(h, r, err) && pair_open(h, r, err));
}

bool outgoing_open(struct host *h, struct err *err)
{
    for (size_t i = 0; i < h->conf->route_n; i++) {
        if (!route_open(h, h->conf->routes[i], err))
            return false;
    }
    return true;
}
