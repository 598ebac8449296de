/* listener.c - listening sockets: opened once, for the life of mtad */
#include "mtad/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "common/base/mem.h"
#include "common/os/fd.h"
#include "conf/conf.h"
#include "conf/listen.h"
#include "mtad/generation.h"

#define BACKLOG 1024

static const char *hint_for(int sys)
{
    switch (sys) {
    case EADDRINUSE: return " (does another mail server run? see: ss -ltnp)";
    case EACCES: return " (ports below 1024 need root)";
    case EADDRNOTAVAIL: return " (this host does not have that address)";
    case EAFNOSUPPORT: return " (this host does not speak that protocol: no IPv6?)";
    default: return "";
    }
}

/* shared: beside another socket of ours with the same port. */
static int listener_open(const struct netaddr *a, bool shared)
{
    struct sockaddr_storage ss;
    socklen_t len = netaddr_to_sockaddr(a, &ss);
    int fd = socket(a->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;

    if (fd < 0)
        return -1;
    /* REUSEADDR: a restart must not wait for old connections. V6ONLY: [::] and 0.0.0.0 are two listeners. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        (shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0) ||
        (a->family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) < 0) ||
        bind(fd, (struct sockaddr *)&ss, len) < 0 || listen(fd, BACKLOG) < 0)
        fd_close(&fd);
    return fd;
}

/* 127.0.0.1:25 becomes 0.0.0.0:25, or the other way round: the kernel lets one program listen on both, as it
   must while the old sessions go on, when both sockets say so. They unsay it at once. */
static int beside_ours(const struct host *h, const struct netaddr *a)
{
    int fd = -1;

    for (int on = 1; on >= 0; on--) {
        for (const struct generation *g = h->generations; g; g = g->next) {
            for (size_t i = 0; i < g->listener_n; i++) {
                const struct listener_fd *l = &g->listeners[i];

                if (l->fd >= 0 && l->address.port == a->port && l->address.family == a->family &&
                    (netaddr_is_wildcard(&l->address) || netaddr_is_wildcard(a)))
                    setsockopt(l->fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
            }
        }
        if (on)
            fd = listener_open(a, true);
        else if (fd >= 0)
            setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    }
    return fd;
}

/* The socket stays the same: nobody who waits in its queue is lost. */
static int listener_share(const struct host *h, const struct netaddr *a)
{
    int fd;

    for (const struct generation *g = h->generations; g; g = g->next) {
        for (size_t i = 0; i < g->listener_n; i++) {
            if (g->listeners[i].fd >= 0 && netaddr_eq_ip(&g->listeners[i].address, a) &&
                g->listeners[i].address.port == a->port)
                return fcntl(g->listeners[i].fd, F_DUPFD_CLOEXEC, 0);
        }
    }
    fd = listener_open(a, false);
    return fd < 0 && errno == EADDRINUSE ? beside_ours(h, a) : fd;
}

static bool section_open(struct host *h, const struct conf_listen *section, struct err *err)
{
    for (size_t i = 0; i < section->address.n; i++) {
        struct listener_fd *l = &h->listeners[h->listener_n];
        char where[512], address[NETADDR_TEXT];
        int sys;

        *l = (struct listener_fd){ section, section->address.v[i],
                                   listener_share(h, &section->address.v[i]) };
        if (l->fd >= 0) {
            h->listener_n++;
            continue;
        }
        sys = errno;
        conf_where_text(conf_where(&section->head, "listen", "address"), where, sizeof where);
        netaddr_text(&l->address, address, sizeof address);
        return err_set(err, ERR_CONF, "%s: listen %s: cannot listen on %s: %s%s", where, section->head.name,
                       address, strerror(sys), hint_for(sys));
    }
    return true;
}

bool listener_open_all(struct host *h, struct err *err)
{
    size_t n = 0;

    for (size_t i = 0; i < h->conf->listen_n; i++)
        n += h->conf->listens[i]->address.n;
    if (n == 0)
        return true;
    h->listeners = mem_array(n, sizeof *h->listeners);
    for (size_t i = 0; i < h->conf->listen_n; i++) {
        if (!section_open(h, h->conf->listens[i], err))
            return false;
    }
    return true;
}

void listener_close_all(struct listener_fd *listeners, size_t n)
{
    for (size_t i = 0; i < n; i++)
        fd_close(&listeners[i].fd);
}
