/* source.c - files that daemons may read but not open: table sources, certificate, key */
#include "mtad/source.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/ipc/schema.h"
#include "common/mail/dsn_text.h"
#include "common/os/fd.h"
#include "common/os/file.h"
#include "conf/conf.h"
#include "conf/map.h"
#include "conf/queue.h"
#include "conf/tls.h"
#include "mtad/opener.h"
#include "mtad/outgoing.h"
#include "mtad/ticket.h"

#define PEM_MAX (1024u * 1024u)

void source_add(struct host *h, enum role role, enum ipc_source kind, const char *name, const char *path,
                int fd)
{
    h->sources = mem_resize(h->sources, h->source_n + 1, sizeof *h->sources);
    h->sources[h->source_n++] = (struct source_fd){ role, kind, mem_str(name), mem_str(path), fd };
}

static int source_open(struct host *h, const char *path, const char *where, struct err *err)
{
    int fd = opener_wait(h, path, SOURCE_FLAGS, err);

    if (fd < 0)
        err_wrap(err, "%s", where);
    return fd;
}

bool source_refresh(struct host *h, struct source_fd *s, struct err *err)
{
    int fd = source_open(h, s->path, s->name, err);

    if (fd < 0)
        return false;
    fd_close(&s->fd);
    s->fd = fd;
    return true;
}

static bool maps_open(struct host *h, struct err *err)
{
    for (size_t i = 0; i < h->conf->map_n; i++) {
        const struct conf_map *m = h->conf->maps[i];
        char where[512];
        int fd;

        if (m->source[0] == '\0')
            continue;
        conf_where_text(conf_where(&m->head, "map", "source"), where, sizeof where);
        fd = source_open(h, m->source, where, err);
        if (fd < 0)
            return false;
        source_add(h, ROLE_MAPD, SOURCE_MAP, m->head.name, m->source, fd);
    }
    return true;
}

/* As a sealed copy, so that the daemon does not hold the file itself. */
static bool pem_open(struct host *h, enum role role, enum ipc_source kind,
                     const struct conf_tls_section *tls, struct err *err)
{
    const char *field = kind == SOURCE_CERT ? "certificate" : "key";
    const char *path = kind == SOURCE_CERT ? tls->certificate : tls->key;
    struct buf text;
    char where[512];
    int fd, sealed;

    conf_where_text(conf_where(&tls->head, "tls", field), where, sizeof where);
    fd = source_open(h, path, where, err);
    if (fd < 0)
        return false;
    buf_init_secret(&text, PEM_MAX);
    sealed = file_read(fd, &text, err) ? file_seal(field, buf_view(&text), err) : -1;
    buf_clear(&text);
    fd_close(&fd);
    if (sealed < 0)
        return err_wrap(err, "%s: %s", where, path);
    source_add(h, role, kind, tls->head.name, path, sealed);
    return true;
}

static bool tls_open(struct host *h, struct err *err)
{
    for (size_t i = 0; i < h->conf->tls_n; i++) {
        const struct conf_tls_section *tls = h->conf->tls[i];

        if (tls->certificate[0] == '\0')
            continue;
        if (!pem_open(h, ROLE_SMTPD, SOURCE_CERT, tls, err) ||
            (tls->key[0] != '\0' && !pem_open(h, ROLE_SMTPD, SOURCE_KEY, tls, err)))
            return false;
    }
    return true;
}

static bool tickets_open(struct host *h, struct err *err)
{
    int fd;

    if (!ticket_is_wanted(h->conf))
        return true;
    fd = ticket_new(err);
    if (fd < 0)
        return false;
    source_add(h, ROLE_SMTPD, SOURCE_TICKETS, "tickets", "seed of session tickets", fd);
    return true;
}

static bool notices_open(struct host *h, struct err *err)
{
    const char *path = conf_notices_templates(h->conf->queue);
    struct buf text;
    char where[512];
    int fd, sealed;

    if (path[0] == '\0')
        return true;
    conf_where_text(conf_notices_templates_where(h->conf->queue), where, sizeof where);
    fd = source_open(h, path, where, err);
    if (fd < 0)
        return false;
    buf_init(&text, DSN_TEXTS_MAX);
    sealed = file_read(fd, &text, err) ? file_seal("templates", buf_view(&text), err) : -1;
    buf_clear(&text);
    fd_close(&fd);
    if (sealed < 0)
        return err_wrap(err, "%s: %s", where, path);
    source_add(h, ROLE_CLEANUP, SOURCE_NOTICES, "templates", path, sealed);
    return true;
}

bool source_open_all(struct host *h, struct err *err)
{
    return maps_open(h, err) && tls_open(h, err) && tickets_open(h, err) && notices_open(h, err) &&
           outgoing_open(h, err);
}
