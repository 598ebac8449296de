/* certificate.c - from the keys and certificates that mtad handed over to what listeners use */
#include "smtpd/certificate.h"

#include "common/base/mem.h"
#include "common/net/tls.h"
#include "common/os/fd.h"
#include "common/os/file.h"
#include "common/proc/daemon.h"
#include "conf/conf.h"
#include "conf/listen.h"
#include "conf/tls.h"

#include <stdlib.h>

#define PEM_MAX (1024u * 1024u)

bool certificate_is_wanted(const struct daemon *d)
{
    const struct conf *conf = daemon_conf(d);

    for (size_t i = 0; i < conf->listen_n; i++)
        if (conf->listens[i]->tls != CONF_TLS_NONE)
            return true;
    return false;
}

/* Empty when mtad sent none. */
static bool source_read(struct daemon *d, enum ipc_source kind, const char *name, struct buf *out,
                        struct err *err)
{
    struct daemon_source *s = daemon_source_find(d, kind, name);

    buf_init_secret(out, PEM_MAX);
    if (!s || file_read_sealed(s->fd, out, err))
        return true;
    return err_wrap(err, "%s", s->path);
}

/* Each listener has contexts of its own, so that what was agreed on one is of no worth on another. */
static bool tickets_begin(struct daemon *d, const char *listener, struct tls_context *c, struct err *err)
{
    struct tls_seed seed;
    struct buf text;
    bool ok;

    if (!daemon_source_find(d, SOURCE_TICKETS, NULL))
        return true;
    ok = source_read(d, SOURCE_TICKETS, NULL, &text, err);
    if (ok && tls_seed_read(&seed, buf_view(&text)))
        tls_server_tickets(c, &seed, SV(listener));
    else if (ok)
        ok = err_set(err, ERR_PROTO, "the seed of session tickets is damaged");
    buf_clear(&text);
    return ok;
}

void certificate_forget(struct daemon *d)
{
    for (struct daemon_source *s = daemon_sources(d); s; s = s->next)
        fd_close(&s->fd);
}

struct tls_context *certificate_load(struct daemon *d, const char *listener, struct err *err)
{
    const struct conf *conf = daemon_conf(d);
    struct tls_pair *pairs = mem_array(conf->tls_n + 1, sizeof *pairs);
    struct buf *texts = mem_array(2 * conf->tls_n + 1, sizeof *texts);
    struct tls_context *c = NULL;
    size_t n = 0;
    bool ok = true;

    for (size_t i = 0; ok && i < conf->tls_n; i++) {
        const struct conf_tls_section *t = conf->tls[i];

        ok = source_read(d, SOURCE_CERT, t->head.name, &texts[2 * i], err) &&
             source_read(d, SOURCE_KEY, t->head.name, &texts[2 * i + 1], err);
        if (ok && texts[2 * i].len > 0)
            pairs[n++] =
                (struct tls_pair){ t->certificate, buf_view(&texts[2 * i]), buf_view(&texts[2 * i + 1]) };
    }
    if (ok)
        c = tls_server_new(pairs, n, err);
    if (c && !tickets_begin(d, listener, c, err))
        tls_context_unref(&c);
    for (size_t i = 0; i < 2 * conf->tls_n; i++)
        buf_clear(&texts[i]);
    free(texts);
    free(pairs);
    return c;
}
