/* outgoing.c - certificates, authorities and logins of routes */
#include "mtad/outgoing.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/ipc/schema.h"
#include "common/mail/sasl_client.h"
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
#define SYSTEM_CA  "/etc/ssl/certs/ca-certificates.crt"

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

static bool content_check(const struct host *h, const struct named *n, const char *name, struct strv text,
                          struct err *err)
{
    const struct conf_secret *conf = NULL;
    struct sasl_secret secret;
    const char *why;
    char where[512];
    bool ok = true;

    if (n->kind == SOURCE_CA && name[0] != '\0')
        ok = tls_ca_check(text, n->path, NULL, err);
    if (n->kind == SOURCE_SECRET) {
        conf = conf_secret_find(h->conf, SV(name));
        ok = sasl_secret_read(&secret, SV(conf->user), text, &why) ||
             err_set(err, ERR_CONF, "%s: %s", n->path, why);
        sasl_secret_clear(&secret);
    }
    where_of(n, where, sizeof where);
    return ok || err_wrap(err, "%s", where);
}

/* One copy serves all routes that name the file. */
static bool seal(struct host *h, const struct named *n, const char *name, struct err *err)
{
    struct buf text;
    int fd = -1;
    bool ok;

    if (is_there(h, n, name))
        return true;
    ok = named_read(h, n, &text, err) && content_check(h, n, name, buf_view(&text), err);
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

static bool verifies(const struct conf_route *r)
{
    return r->tls == CONF_TLS_REQUIRE || r->tls == CONF_TLS_IMPLICIT;
}

/* The system's collection may be missing where nothing is verified. */
static bool authorities(const struct conf_route *r, struct named *out, struct err *err)
{
    char where[512];

    *out = of_route(r, SOURCE_CA);
    if (out->path[0] != '\0')
        return true;
    out->path = SYSTEM_CA;
    if (access(SYSTEM_CA, R_OK) == 0)
        return true;
    out->path = "";
    if (!verifies(r))
        return true;
    conf_where_text(conf_where(&r->head, "route", "tls"), where, sizeof where);
    return err_set(err, ERR_CONF,
                   "%s: " SYSTEM_CA
                   ": %s: servers cannot be verified without it; install ca-certificates, or "
                   "set ca",
                   where, strerror(errno));
}

static bool pair_check(struct host *h, const struct named *cert, const struct named *key, struct err *err)
{
    struct buf certificate, secret;
    struct tls_pair pair;
    char where[512];
    bool ok;

    buf_init_secret(&secret, PEM_MAX);
    ok = named_read(h, cert, &certificate, err) && (key->path[0] == '\0' || named_read(h, key, &secret, err));
    if (ok) {
        pair = (struct tls_pair){ cert->path, buf_view(&certificate), buf_view(&secret) };
        where_of(cert, where, sizeof where);
        ok = tls_pair_check(&pair, NULL, err) || err_wrap(err, "%s", where);
    }
    buf_clear(&certificate);
    buf_clear(&secret);
    return ok;
}

static bool pair_open(struct host *h, const struct conf_route *r, struct err *err)
{
    struct named cert = of_route(r, SOURCE_CERT), key = of_route(r, SOURCE_KEY);

    return cert.path[0] == '\0' || (pair_check(h, &cert, &key, err) && seal(h, &cert, "", err) &&
                                    (key.path[0] == '\0' || seal(h, &key, "", err)));
}

static bool route_open(struct host *h, const struct conf_route *r, struct err *err)
{
    const struct conf_secret *secret = conf_secret_find(h->conf, SV(r->auth));
    struct named ca, login;

    if (secret) {
        login = of_secret(secret);
        if (!seal(h, &login, secret->head.name, err))
            return false;
    }
    if (r->tls == CONF_TLS_NONE)
        return true;
    /* The system's is named by an empty name, whatever its path is. */
    return authorities(r, &ca, err) && (ca.path[0] == '\0' || seal(h, &ca, r->ca[0] ? "ca" : "", err)) &&
           pair_open(h, r, err);
}

bool outgoing_open(struct host *h, struct err *err)
{
    for (size_t i = 0; i < h->conf->route_n; i++) {
        if (!route_open(h, h->conf->routes[i], err))
            return false;
    }
    return true;
}
