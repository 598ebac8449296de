/* certificate.c - are the certificates and keys of the configuration good for anything? */
#include "mtad/certificate.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/net/tls.h"
#include "common/os/fd.h"
#include "common/os/file.h"
#include "conf/conf.h"
#include "conf/tls.h"

#define PEM_MAX (1024u * 1024u)
#define SOON_S  (7 * 24 * 3600)

struct check {
    const struct conf_tls_section *section;
    void (*warn)(const char *text);
};

static void where_of(const struct check *c, const char *field, char *dst, size_t size)
{
    conf_where_text(conf_where(&c->section->head, "tls", field), dst, size);
}

static void warn(const struct check *c, const char *field, const char *path, const char *what)
{
    char where[512], text[5000];

    where_of(c, field, where, sizeof where);
    snprintf(text, sizeof text, "%s: %s: %s", where, path, what);
    c->warn(text);
}

static bool pem_read(const struct check *c, const char *field, const char *path, bool secret, struct buf *out,
                     struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat st;
    bool ok = fd >= 0 && fstat(fd, &st) == 0;

    if (!ok)
        err_sys(err, "%s", path);
    else
        ok = file_read(fd, out, err) || err_wrap(err, "%s", path);
    if (ok && secret && (st.st_mode & S_IROTH))
        warn(c, field, path, "the private key is readable by everybody; chmod o-r");
    fd_close(&fd);
    return ok;
}

static bool pair_check(const struct check *c, const struct buf *cert, const struct buf *key, struct err *err)
{
    struct tls_pair pair = { c->section->certificate, buf_view(cert), buf_view(key) };
    int64_t expires, now = clock_wall_ms() / 1000;

    if (!tls_pair_check(&pair, &expires, err))
        return false;
    if (expires < now)
        warn(c, "certificate", c->section->certificate, "the certificate is over; renew it");
    else if (expires < now + SOON_S)
        warn(c, "certificate", c->section->certificate, "the certificate ends within a week; renew it");
    return true;
}

static bool section_check(const struct check *c, struct err *err)
{
    const struct conf_tls_section *tls = c->section;
    bool joined = tls->key[0] == '\0', ok;
    char where[512];
    struct buf cert, key;

    buf_init_secret(&cert, PEM_MAX);
    buf_init_secret(&key, PEM_MAX);
    ok = pem_read(c, "certificate", tls->certificate, joined, &cert, err) &&
         (joined || pem_read(c, "key", tls->key, true, &key, err)) && pair_check(c, &cert, &key, err);
    buf_clear(&cert);
    buf_clear(&key);
    where_of(c, "certificate", where, sizeof where);
    return ok || err_wrap(err, "%s", where);
}

bool certificate_check_all(const struct host *h, void (*warn_fn)(const char *text), struct err *err)
{
    for (size_t i = 0; i < h->conf->tls_n; i++) {
        struct check c = { h->conf->tls[i], warn_fn };

        if (c.section->certificate[0] != '\0' && !section_check(&c, err))
            return false;
    }
    return true;
}
