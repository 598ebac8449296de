/* certificate.c - are the certificates and keys of the configuration good for anything? */
#include "inspect/certificate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/net/tls.h"
#include "common/os/fd.h"
#include "common/os/file.h"
#include "conf/conf.h"
#include "conf/listen.h"
#include "conf/tls.h"
#include "conf/top.h"

bool inspect_read(const char *path, struct buf *out, mode_t *mode, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat st;
    bool ok = fd >= 0 && fstat(fd, &st) == 0;

    if (!ok)
        err_sys(err, "%s", path);
    else
        ok = file_read(fd, out, err) || err_wrap(err, "%s", path);
    if (ok)
        *mode = st.st_mode;
    fd_close(&fd);
    return ok;
}

bool certificate_load(const struct conf_tls_section *tls, struct buf *cert, struct buf *key, int64_t *expires,
                      bool *open_key, struct err *err)
{
    struct tls_pair pair = { .name = tls->certificate };
    mode_t mode = 0;

    if (!inspect_read(tls->certificate, cert, &mode, err) ||
        (tls->key[0] != '\0' && !inspect_read(tls->key, key, &mode, err)))
        return false;
    *open_key = mode & S_IROTH;
    pair.certificate = buf_view(cert);
    pair.key = buf_view(key);
    return tls_pair_check(&pair, expires, err);
}

static void times(const struct conf_tls_section *tls, int64_t expires, struct findings *f)
{
    int64_t now = clock_wall_ms() / 1000;
    time_t end = (time_t)expires;
    char date[32];
    struct tm tm;

    if (expires == 0 || expires >= now + CERTIFICATE_SOON_S || !gmtime_r(&end, &tm))
        return;
    strftime(date, sizeof date, "%Y-%m-%d %H:%M UTC", &tm);
    findings_at(f, expires < now ? FINDING_FAULT : FINDING_ADVICE, &tls->head, "tls", "certificate",
                "renew it, then: mtactl reload",
                expires < now ? "%s: the certificate is over since %s" : "%s: the certificate ends at %s",
                tls->certificate, date);
}

static bool is_served(const struct conf *conf)
{
    for (size_t i = 0; i < conf->listen_n; i++) {
        if (conf->listens[i]->tls != CONF_TLS_NONE)
            return true;
    }
    return false;
}

/* *named: the host's name stands in one of them. */
static void look(const struct conf *conf, const struct conf_tls_section *tls, struct findings *f, bool *named)
{
    struct buf cert, key;
    struct err err = { 0 };
    int64_t expires = 0;
    bool open_key = false;

    buf_init_secret(&cert, CERTIFICATE_MAX);
    buf_init_secret(&key, CERTIFICATE_MAX);
    if (!certificate_load(tls, &cert, &key, &expires, &open_key, &err)) {
        findings_at(f, FINDING_ERROR, &tls->head, "tls", "certificate",
                    err.sys == EACCES ? "call this as root" : "put a good pair there, then: mtactl reload",
                    "%s", err.text);
        *named = true; /* perhaps */
    } else {
        struct tls_pair pair = { tls->certificate, buf_view(&cert), buf_view(&key) };
        char fix[4200];

        times(tls, expires, f);
        *named |= tls_pair_covers(&pair, conf->top->hostname);
        snprintf(fix, sizeof fix, "chmod o-r %s", tls->key[0] ? tls->key : tls->certificate);
        if (open_key)
            findings_at(f, FINDING_FAULT, &tls->head, "tls", tls->key[0] ? "key" : "certificate", fix,
                        "%s: the private key is readable by everybody",
                        tls->key[0] ? tls->key : tls->certificate);
    }
    buf_clear(&cert);
    buf_clear(&key);
}

void inspect_certificates(const struct conf *conf, struct findings *f)
{
    const struct conf_tls_section *first = NULL;
    bool named = false;

    for (size_t i = 0; i < conf->tls_n; i++) {
        if (conf->tls[i]->certificate[0] == '\0')
            continue;
        first = first ? first : conf->tls[i];
        look(conf, conf->tls[i], f, &named);
    }
    if (first && !named && is_served(conf))
        findings_at(
            f, FINDING_ADVICE, &first->head, "tls", "certificate",
            "ask your authority for one with that name, or change hostname",
            "%s: no certificate holds the name %s of this host: clients that check names will complain",
            first->certificate, conf->top->hostname);
}
