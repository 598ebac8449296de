/* ticket.c - the seed of session tickets' keys: one for each generation, shared by its smtpd processes */
#include "mtad/ticket.h"

#include "common/base/clock.h"
#include "common/ipc/schema.h"
#include "common/net/tls.h"
#include "common/os/fd.h"
#include "common/os/file.h"
#include "conf/conf.h"
#include "conf/listen.h"

#define SEED_MAX 64u

bool ticket_is_wanted(const struct conf *conf)
{
    for (size_t i = 0; i < conf->listen_n; i++)
        if (conf->listens[i]->tls != CONF_TLS_NONE)
            return true;
    return false;
}

static int seed_seal(const struct tls_seed *seed, struct err *err)
{
    struct buf text;
    int fd;

    buf_init_secret(&text, SEED_MAX);
    tls_seed_write(seed, &text);
    fd = file_seal("tickets", buf_view(&text), err);
    buf_clear(&text);
    return fd;
}

/* A new generation has new keys: a session that was begun under another configuration, or with a certificate
   that is no longer used, is not taken up again. */
int ticket_new(struct err *err)
{
    struct tls_seed seed;

    tls_seed_new(&seed, clock_wall_ms());
    return seed_seal(&seed, err);
}

bool ticket_turn(int *fd, struct err *err)
{
    struct tls_seed seed;
    struct buf text;
    int turned = -1;

    buf_init_secret(&text, SEED_MAX);
    if (file_read_sealed(*fd, &text, err)) {
        if (tls_seed_read(&seed, buf_view(&text))) {
            tls_seed_turn(&seed, clock_wall_ms());
            turned = seed_seal(&seed, err);
        } else {
            err_set(err, ERR_BUG, "no seed");
        }
    }
    buf_clear(&text);
    if (turned < 0)
        return false;
    fd_close(fd);
    *fd = turned;
    return true;
}
