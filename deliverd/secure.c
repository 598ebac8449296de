/* secure.c - TLS contexts and logins of routes */
#include "deliverd/secure.h"

#include "common/base/dict.h"
#include "common/base/mem.h"
#include "common/net/tls.h"
#include "common/os/fd.h"
#include "common/os/file.h"
#include "common/proc/daemon.h"
#include "conf/conf.h"
#include "conf/route.h"
#include "conf/secret.h"

#include <stdlib.h>

#define PEM_MAX (1024u * 1024u)
#define WHY_MAX 1000u

struct secure {
    struct secure_route *routes; /* owned; in the order of the configuration */
    size_t n;
    struct login **logins; /* owned; in the order of the secrets, NULL for those that no route uses */
    size_t login_n;
    struct dict *by_route;
    struct dict *contexts; /* while loading: what makes a context -> context, borrowed from its first route */
};

/* ---- what mtad sent ---- */

static struct daemon_source *source_find(struct daemon *d, enum ipc_source kind, const char *name,
                                         const char *path)
{
    for (struct daemon_source *s = daemon_sources(d); s; s = s->next)
        if (s->kind == kind && (!name || strcmp(s->name, name) == 0) && (!path || strcmp(s->path, path) == 0))
            return s;
    return NULL;
}

/* out is initialised in any case; empty when mtad sent none. */
static bool source_read(struct daemon_source *s, struct buf *out, struct err *err)
{
    buf_init_secret(out, PEM_MAX);
    return !s || file_read_sealed(s->fd, out, err) || err_wrap(err, "%s", s->path);
}

/* ---- TLS ---- */

static enum tls_verify verify_of(const struct conf_route *r)
{
    return r->tls == CONF_TLS_OFFER ? TLS_VERIFY_OPPORTUNISTIC : TLS_VERIFY_REQUIRE;
}

static struct tls_context *context_load(struct daemon *d, const struct conf_route *r, struct err *err)
{
    struct daemon_source *sources[3] = {
        source_find(d, SOURCE_CA, r->ca[0] ? NULL : "", r->ca[0] ? r->ca : NULL),
        r->certificate[0] ? source_find(d, SOURCE_CERT, NULL, r->certificate) : NULL,
        r->key[0] ? source_find(d, SOURCE_KEY, NULL, r->key) : NULL,
    };
    struct buf texts[3];
    struct tls_context *c = NULL;
    struct tls_client_spec spec = { .verify = verify_of(r), .ca_name = r->ca[0] ? r->ca : "authorities" };
    bool ok = true;

    for (size_t i = 0; i < 3; i++)
        ok = source_read(sources[i], &texts[i], err) && ok;
    if (ok) {
        spec.ca = buf_view(&texts[0]);
        spec.client = (struct tls_pair){ r->certificate, buf_view(&texts[1]), buf_view(&texts[2]) };
        c = tls_client_new(&spec, err);
    }
    for (size_t i = 0; i < 3; i++)
        buf_clear(&texts[i]);
    return c;
}

/* Routes with the same files share a context: the system's authorities alone are a megabyte. */
static bool context_get(struct secure *s, struct daemon *d, const struct conf_route *r,
                        struct tls_context **out, struct err *err)
{
    struct buf key;
    struct tls_context *c;

    buf_init(&key, 4 * 4096);
    buf_addf(&key, "%d\n%s\n%s\n%s", (int)verify_of(r), r->ca, r->certificate, r->key);
    c = dict_get(s->contexts, buf_view(&key));
    if (c) {
        *out = tls_context_ref(c);
    } else {
        *out = context_load(d, r, err);
        if (*out)
            dict_set(s->contexts, buf_view(&key), *out);
    }
    buf_clear(&key);
    return *out != NULL;
}

/* ---- logins ---- */

static bool login_load(struct daemon *d, const struct conf_secret *conf, struct login **out, struct err *err)
{
    struct daemon_source *s = source_find(d, SOURCE_SECRET, conf->head.name, NULL);
    struct login *l = mem_new(sizeof *l);
    struct buf text;
    const char *why;
    bool ok;

    *out = l;
    l->name = conf->head.name;
    buf_init(&l->refused, WHY_MAX);
    ok = source_read(s, &text, err);
    if (ok && !sasl_secret_read(&l->secret, SV(conf->user), buf_view(&text), &why))
        ok = err_set(err, ERR_CONF, "secret %s: %s", conf->head.name, why);
    buf_clear(&text);
    if (s)
        fd_close(&s->fd); /* nobody reads it a second time */
    return ok;
}

static bool login_get(struct secure *s, struct daemon *d, const struct conf_route *r, struct login **out,
                      struct err *err)
{
    const struct conf *conf = daemon_conf(d);

    for (size_t i = 0; r->auth[0] && i < conf->secret_n; i++) {
        if (strcmp(conf->secrets[i]->head.name, r->auth) != 0)
            continue;
        if (!s->logins[i] && !login_load(d, conf->secrets[i], &s->logins[i], err))
            return false;
        *out = s->logins[i];
    }
    return true;
}

/* ---- all routes ---- */

bool secure_load(struct daemon *d, struct secure **out, struct err *err)
{
    const struct conf *conf = daemon_conf(d);
    struct secure *s = mem_new(sizeof *s);
    bool ok = true;

    s->routes = mem_array(conf->route_n + 1, sizeof *s->routes);
    s->logins = mem_array(conf->secret_n + 1, sizeof *s->logins);
    s->n = conf->route_n;
    s->login_n = conf->secret_n;
    s->by_route = dict_new();
    s->contexts = dict_new();
    tls_warm_up();
    for (size_t i = 0; ok && i < conf->route_n; i++) {
        const struct conf_route *r = conf->routes[i];
        struct secure_route *sr = &s->routes[i];

        ok = login_get(s, d, r, &sr->login, err) &&
             (r->tls == CONF_TLS_NONE || context_get(s, d, r, &sr->tls, err));
        dict_set_u64(s->by_route, (uintptr_t)r, sr);
    }
    dict_free(&s->contexts, NULL);
    if (!ok)
        secure_free(&s);
    *out = s;
    return ok;
}

static void login_free(struct login *l)
{
    if (!l)
        return;
    sasl_secret_clear(&l->secret);
    buf_clear(&l->refused);
    free(l);
}

void secure_free(struct secure **sp)
{
    struct secure *s = *sp;

    if (!s)
        return;
    *sp = NULL;
    for (size_t i = 0; i < s->n; i++)
        tls_context_unref(&s->routes[i].tls);
    for (size_t i = 0; i < s->login_n; i++)
        login_free(s->logins[i]);
    dict_free(&s->by_route, NULL);
    free(s->routes);
    free(s->logins);
    free(s);
}

const struct secure_route *secure_of(const struct secure *s, const struct conf_route *route)
{
    return s ? dict_get_u64(s->by_route, (uintptr_t)route) : NULL;
}
