/* main.c - smtpd: takes mail from clients; opens no file, makes no socket, connects to nothing */
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/metric.h"
#include "common/net/tls.h"
#include "common/proc/daemon.h"
#include "conf/conf.h"
#include "conf/listen.h"
#include "smtpd/certificate.h"
#include "smtpd/ctl.h"
#include "smtpd/server.h"

#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

/* Descriptors that are not clients': listeners, channels, log, timers, the loop's own. */
#define DESCRIPTORS_KEPT 64
/* Nobody means more, whatever the limit says ("unlimited", for one). */
#define SESSIONS_MAX 1000000

struct smtpd {
    struct server *server; /* owned */
    unsigned session_max;
    struct tls_context **tls; /* owned, as conf->listens; NULL: none needs it */
};

static unsigned session_max(rlim_t descriptors)
{
    if (descriptors > SESSIONS_MAX)
        return SESSIONS_MAX;
    return descriptors > 2 * DESCRIPTORS_KEPT ? (unsigned)descriptors - DESCRIPTORS_KEPT : DESCRIPTORS_KEPT;
}

static bool tls_load(struct daemon *d, struct smtpd *m, struct err *err)
{
    const struct conf *conf = daemon_conf(d);
    bool ok = true;

    /* In the jail there is nothing that the library could load. */
    tls_warm_up();
    m->tls = mem_array(conf->listen_n, sizeof *m->tls);
    for (size_t i = 0; ok && i < conf->listen_n; i++) {
        if (conf->listens[i]->tls == CONF_TLS_NONE)
            continue;
        m->tls[i] = certificate_load(d, conf->listens[i]->head.name, err);
        ok = m->tls[i] != NULL;
    }
    certificate_forget(d);
    return ok;
}

static bool smtpd_open(struct daemon *d, struct err *err)
{
    struct smtpd *m = mem_new(sizeof *m);
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return err_sys(err, "read the limit of descriptors");
    m->session_max = session_max(limit.rlim_cur);
    daemon_set_state(d, m);
    return !certificate_is_wanted(d) || tls_load(d, m, err);
}

static void on_over(void *arg)
{
    daemon_exit(arg, 0);
}

/* Edges come before start, so whoever is first makes it. */
static void on_room(void *arg, const char *listener, enum server_room room)
{
    static const char *const texts[] = {
        [ROOM_ENOUGH] = NULL,
        [ROOM_LITTLE] = "four fifths of its sessions are taken: strangers who are silent get less time",
        [ROOM_NONE] = "connections are refused: all its sessions are taken",
    };
    char what[64];

    snprintf(what, sizeof what, "listener %.36s of smtpd[%u]", listener, daemon_index(arg));
    daemon_trouble(arg, what, texts[room],
                   "look who has them (smtp.connection.refused); the limits: max_sessions and "
                   "max_sessions_per_client of listen, smtpd of processes");
}

static struct server *smtpd_server(struct daemon *d)
{
    struct smtpd *m = daemon_state(d);

    if (!m->server) {
        m->server = server_new(daemon_loop(d), daemon_conf(d), m->session_max, on_over, d);
        server_watch(m->server, on_room, d);
    }
    return m->server;
}

static bool smtpd_start(struct daemon *d, struct err *err)
{
    struct server *server = smtpd_server(d);
    struct smtpd *m = daemon_state(d);

    for (size_t i = 0; m->tls && i < daemon_conf(d)->listen_n; i++)
        server_tls(server, i, m->tls[i]);
    for (struct daemon_listener *l = daemon_listeners(d); l; l = l->next) {
        int fd = l->fd;

        l->fd = -1;
        if (!server_listen(server, l->name, fd))
            return err_set(err, ERR_BUG, "no section listen %s for a socket of that name", l->name);
    }
    return true;
}

static void smtpd_edge(struct daemon *d, enum role peer, unsigned index, int fd, bool lived)
{
    (void)lived;
    if (peer == ROLE_CLEANUP)
        server_cleanup(smtpd_server(d), fd, index);
    else if (peer == ROLE_MTACTL)
        smtpd_ctl_client(daemon_loop(d), daemon_conf(d),
                         ((struct smtpd *)daemon_state(d))->tls != NULL, fd);
    else if (peer == ROLE_DNSD)
        server_dns(smtpd_server(d), fd);
    else
        server_maps(smtpd_server(d), fd, daemon_generation(d));
}

static void smtpd_drain(struct daemon *d, int64_t deadline_ms)
{
    server_drain(smtpd_server(d), deadline_ms);
}

static void smtpd_retire(struct daemon *d, int64_t delay_ms)
{
    struct server *server = smtpd_server(d);

    server_retire(server);
    LOG(INFO, "smtp.retired", KI("sessions", server_sessions(server)), KMS("drain_in", delay_ms));
}

static void smtpd_measure(struct daemon *d)
{
    metric_set(METRIC_SESSIONS_OPEN, 0, server_sessions(smtpd_server(d)));
}

static const struct daemon_spec spec = {
    .name = "smtpd",
    .role = ROLE_SMTPD,
    .measure = smtpd_measure,
    .open = smtpd_open,
    .start = smtpd_start,
    .edge = smtpd_edge,
    .retire = smtpd_retire,
    .drain = smtpd_drain,
};

int main(int argc, char **argv)
{
    return daemon_main(&spec, argc, argv);
}
