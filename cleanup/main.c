/* main.c - cleanup: messages in flight, from smtpd's transactions and queued's notices to queued's spool */
#include "cleanup/ctl.h"
#include "cleanup/service.h"

#include "common/mail/dsn_text.h"
#include "common/os/fd.h"
#include "common/os/file.h"
#include "common/proc/daemon.h"

static struct cleanup cleanup;

static void on_idle(void *arg)
{
    struct daemon *d = arg;

    if (daemon_draining(d))
        daemon_exit(d, 0);
}

/* The first edge comes before start. */
static struct cleanup *service(struct daemon *d)
{
    if (!cleanup.conf) {
        cleanup_init(&cleanup, daemon_conf(d), daemon_loop(d));
        maps_client_snapshot(cleanup.maps, daemon_generation(d));
        cleanup.idle = on_idle;
        cleanup.idle_arg = d;
    }
    return &cleanup;
}

struct complaint {
    const char *path;
    struct err *err;
};

static void on_mistake(void *arg, unsigned line, const char *what, enum dsn_unknown unknown, struct strv word)
{
    const struct complaint *c = arg;

    (void)unknown;
    (void)word;
    err_set(c->err, ERR_CONF, "%s:%u: %s", c->path, line, what);
}

/* mtad has looked at the file before it sent it. */
static bool texts_take(struct daemon *d, struct err *err)
{
    struct daemon_source *s = daemon_source_find(d, SOURCE_NOTICES, NULL);
    struct complaint complaint = { .err = err };
    struct dsn_texts *texts;
    struct buf text;
    bool ok;

    if (!s)
        return true;
    complaint.path = s->path;
    buf_init(&text, DSN_TEXTS_MAX);
    ok = file_read_sealed(s->fd, &text, err);
    fd_close(&s->fd);
    texts = ok ? dsn_texts_read(buf_view(&text), on_mistake, &complaint) : NULL;
    buf_clear(&text);
    if (texts)
        cleanup_texts(service(d), texts);
    return texts != NULL;
}

static bool on_start(struct daemon *d, struct err *err)
{
    service(d);
    return texts_take(d, err);
}

static void on_edge(struct daemon *d, enum role peer, unsigned index, int fd, bool lived)
{
    struct cleanup *cl = service(d);

    (void)lived;
    switch (peer) {
    case ROLE_SMTPD: cleanup_edge_smtpd(cl, index, fd); return;
    case ROLE_QUEUED: cleanup_edge_queued(cl, fd); return;
    case ROLE_MAPD: cleanup_edge_mapd(cl, fd); return;
    case ROLE_MTACTL: cleanup_ctl_client(cl, fd); return;
    default: die("an edge to %s", role_name(peer));
    }
}

/* smtpd drains first and leaves when its transactions are over; what is left here ends by the loss of its
 * channel. */
static void on_drain(struct daemon *d, int64_t deadline_ms)
{
    (void)deadline_ms;
    if (!service(d)->live)
        daemon_exit(d, 0);
}

int main(int argc, char **argv)
{
    static const struct daemon_spec spec = {
        .name = "cleanup",
        .role = ROLE_CLEANUP,
        .start = on_start,
        .edge = on_edge,
        .drain = on_drain,
    };

    return daemon_main(&spec, argc, argv);
}
