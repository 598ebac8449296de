/* outgoing.c - what routes come with and hold against servers: addresses, authorities, pairs, logins */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/mail/sasl_client.h"
#include "common/net/stream.h"
#include "common/net/tls.h"
#include "conf/conf.h"
#include "conf/route.h"
#include "conf/secret.h"
#include "inspect/inspect.h"

#define SECRET_MAX 4096u

static const char *fix_of(const struct err *err, const char *otherwise)
{
    return err->sys == EACCES ? "call this as root" : otherwise;
}

static void open_to_all(const struct conf_head *head, const char *section, const char *field,
                        const char *path, const char *what, struct findings *f)
{
    char fix[4200];

    snprintf(fix, sizeof fix, "chmod o-r %s", path);
    findings_at(f, FINDING_FAULT, head, section, field, fix, "%s: the %s is readable by everybody", path,
                what);
}

static bool verifies(const struct conf_route *r)
{
    return r->tls == CONF_TLS_REQUIRE || r->tls == CONF_TLS_IMPLICIT;
}

static void look_at_ca(const struct conf_route *r, struct findings *f)
{
    struct err err = { 0 };
    struct buf text;
    mode_t mode;

    if (r->ca[0] == '\0') {
        if (verifies(r) && access(TLS_SYSTEM_CA, F_OK) != 0)
            findings_at(f, FINDING_ERROR, &r->head, "route", "tls",
                        "install the package ca-certificates, or set ca",
                        "servers cannot be verified: " TLS_SYSTEM_CA ": %s", strerror(errno));
        return;
    }
    buf_init(&text, CERTIFICATE_MAX);
    if (!inspect_read(r->ca, &text, &mode, &err) || !tls_ca_check(buf_view(&text), r->ca, NULL, &err))
        findings_at(f, FINDING_ERROR, &r->head, "route", "ca",
                    fix_of(&err, "put PEM certificates there, then: mtactl reload"), "%s", err.text);
    buf_clear(&text);
}

static void look_at_pair(const struct conf_route *r, struct findings *f)
{
    struct buf cert, key;
    struct err err = { 0 };
    struct tls_pair pair = { .name = r->certificate };
    int64_t expires = 0;
    mode_t mode = 0;
    bool joined = r->key[0] == '\0';

    if (r->certificate[0] == '\0')
        return;
    buf_init_secret(&cert, CERTIFICATE_MAX);
    buf_init_secret(&key, CERTIFICATE_MAX);
    if (inspect_read(r->certificate, &cert, &mode, &err) &&
        (joined || inspect_read(r->key, &key, &mode, &err))) {
        pair.certificate = buf_view(&cert);
        pair.key = buf_view(&key);
        if (mode & S_IROTH)
            open_to_all(&r->head, "route", joined ? "certificate" : "key", joined ? r->certificate : r->key,
                        "private key", f);
        if (tls_pair_check(&pair, &expires, &err) && expires && expires < clock_wall_ms() / 1000)
            findings_at(f, FINDING_FAULT, &r->head, "route", "certificate", "renew it, then: mtactl reload",
                        "%s: the certificate is over", r->certificate);
    }
    if (err.text[0])
        findings_at(f, FINDING_ERROR, &r->head, "route", "certificate",
                    fix_of(&err, "put a good pair there, then: mtactl reload"), "%s", err.text);
    buf_clear(&cert);
    buf_clear(&key);
}

static bool is_used(const struct conf *conf, const struct conf_secret *s)
{
    for (size_t i = 0; i < conf->route_n; i++)
        if (strcmp(conf->routes[i]->auth, s->head.name) == 0)
            return true;
    return false;
}

static void look_at_secret(const struct conf *conf, const struct conf_secret *s, struct findings *f)
{
    struct sasl_secret secret = { .iterations = 0 };
    struct err err = { 0 };
    struct buf text;
    const char *why;
    mode_t mode;

    if (!is_used(conf, s)) {
        findings_at(f, FINDING_ADVICE, &s->head, "secret", "file", "remove it, or name it as auth of a route",
                    "no route uses the login %s", s->head.name);
        return;
    }
    buf_init_secret(&text, SECRET_MAX);
    if (!inspect_read(s->file, &text, &mode, &err)) {
        findings_at(f, FINDING_ERROR, &s->head, "secret", "file", fix_of(&err, "put the password there"),
                    "%s", err.text);
    } else {
        if (mode & S_IROTH)
            open_to_all(&s->head, "secret", "file", s->file, "password", f);
        if (!sasl_secret_read(&secret, SV(s->user), buf_view(&text), &why))
            findings_at(f, FINDING_ERROR, &s->head, "secret", "file", "mend the file, then: mtactl reload",
                        "%s: %s", s->file, why);
        sasl_secret_clear(&secret);
    }
    buf_clear(&text);
}

static void look_at_source(const struct conf_route *r, struct findings *f)
{
    for (size_t i = 0; i < r->source.n; i++) {
        int sys = stream_from_error(&r->source.v[i]);
        char text[NETADDR_TEXT];

        if (!sys)
            continue;
        netaddr_ip_text(&r->source.v[i], text, sizeof text);
        findings_at(f, FINDING_FAULT, &r->head, "route", "source",
                    "give it to an interface (see ip address), or leave it out",
                    "route %s: no connection can leave from %s: %s", r->head.name, text, strerror(sys));
    }
}

void inspect_outgoing(const struct conf *conf, struct findings *f)
{
    for (size_t i = 0; i < conf->route_n; i++) {
        look_at_source(conf->routes[i], f);
        if (conf->routes[i]->tls == CONF_TLS_NONE)
            continue;
        look_at_ca(conf->routes[i], f);
        look_at_pair(conf->routes[i], f);
    }
    for (size_t i = 0; i < conf->secret_n; i++)
        look_at_secret(conf, conf->secrets[i], f);
}
