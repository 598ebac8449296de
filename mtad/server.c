/* server.c - connections to servers on Unix sockets: the child names a section, the configuration the path */
#include "mtad/server.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/os/fd.h"
#include "conf/conf.h"
#include "conf/mailbox.h"
#include "mtad/generation.h"

static const char *path_of(const struct conf *conf, struct strv label)
{
    for (size_t i = 0; i < conf->mailbox_n; i++) {
        const struct conf_mailbox *m = conf->mailboxes[i];

        if (strv_is(label, m->head.name))
            return m->method == CONF_METHOD_LMTP ? m->via.path : NULL;
    }
    return NULL;
}

/* Never waits: who listens there takes it at once, or its queue is full. */
static int connect_to(const char *path, struct err *err)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    size_t n = strlen(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        err_sys(err, "socket");
        return -1;
    }
    if (n >= sizeof to.sun_path) {
        err_set(err, ERR_PERM, "the path of the socket is too long");
        fd_close(&fd);
        return -1;
    }
    memcpy(to.sun_path, path, n + 1);
    if (connect(fd, (const struct sockaddr *)&to, sizeof to) == 0)
        return fd;
    if (errno == EAGAIN)
        err_set(err, ERR_TEMP, "its queue of connections is full");
    else
        err_set(err, ERR_TEMP, "%s", strerror(errno));
    fd_close(&fd);
    return -1;
}

int server_connect(const struct child *c, struct strv label, struct err *err)
{
    const char *path = c->gen ? path_of(c->gen->conf, label) : NULL;

    if (path)
        return connect_to(path, err);
    err_set(err, ERR_PERM, "no mailbox section of that name has a Unix socket");
    return -1;
}
