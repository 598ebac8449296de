/* notify.c - telling the starter: systemd's protocol by hand, and --ready-fd */
#include "mtad/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/log.h"
#include "common/os/fd.h"
#include "conf/conf.h"
#include "conf/listen.h"

static struct sockaddr_un manager;
static socklen_t manager_len;

void notify_begin(void)
{
    const char *path = getenv("NOTIFY_SOCKET");
    size_t n = path ? strlen(path) : 0;

    if (n > 1 && n < sizeof manager.sun_path && (path[0] == '/' || path[0] == '@')) {
        manager.sun_family = AF_UNIX;
        memcpy(manager.sun_path, path, n);
        if (path[0] == '@')
            manager.sun_path[0] = '\0';
        manager_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (path[0] == '/'));
    }
    unsetenv("NOTIFY_SOCKET");
}

static void manager_tell(const char *text)
{
    int fd;

    if (manager_len == 0)
        return;
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&manager, manager_len) < 0)
        LOG(WARN, "mtad.notify.failed", KS("socket", "NOTIFY_SOCKET"));
    fd_close(&fd);
}

static void line_of_listeners(const struct host *h, struct buf *line)
{
    const struct conf_listen *last = NULL;

    buf_adds(line, "ready");
    for (size_t i = 0; i < h->listener_n; i++) {
        char address[NETADDR_TEXT];

        if (h->listeners[i].section == last)
            continue;
        last = h->listeners[i].section;
        netaddr_text(&h->listeners[i].address, address, sizeof address);
        buf_addf(line, " %s=%s", last->head.name, address);
    }
    buf_addc(line, '\n');
}

void notify_ready(struct host *h)
{
    struct buf line;

    manager_tell("READY=1\nSTATUS=All daemons work.\n");
    if (h->options.ready_fd < 0)
        return;
    buf_init(&line, 65536);
    line_of_listeners(h, &line);
    /* The reader may have gone; that is its affair (SIGPIPE is ignored). */
    if (!fd_write_full(h->options.ready_fd, line.data, line.len))
        LOG(WARN, "mtad.notify.failed", KS("socket", "--ready-fd"));
    fd_close(&h->options.ready_fd);
    buf_clear(&line);
}

void notify_stopping(void)
{
    manager_tell("STOPPING=1\nSTATUS=Finishing what was begun.\n");
}
