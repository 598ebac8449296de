/* socket.c - can the addresses of the configuration be listened on? */
#include "inspect/socket.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/os/fd.h"
#include "conf/conf.h"
#include "conf/listen.h"

#define TABLE_MAX (64u << 20) /* of /proc/net/tcp */

/* 0, or the errno of what mtad would meet. Nothing is listened on. */
static int bind_error(const struct netaddr *a)
{
    struct sockaddr_storage ss;
    socklen_t len = netaddr_to_sockaddr(a, &ss);
    int fd = socket(a->family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1, sys = 0;

    if (fd < 0)
        return errno;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        (a->family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) < 0) ||
        bind(fd, (struct sockaddr *)&ss, len) < 0)
        sys = errno;
    fd_close(&fd);
    return sys;
}

/* ---- who has it ---- */

static bool table_read(const char *path, struct buf *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = -1;

    while (fd >= 0) {
        char *room = buf_reserve(out, 65536);

        n = room ? read(fd, room, 65536) : -1;
        if (n <= 0)
            break;
        buf_commit(out, (size_t)n);
    }
    fd_close(&fd);
    return n == 0;
}

/* Of a line of /proc/net/tcp: `sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode`. */
static bool line_read(struct strv line, unsigned *port, bool *listens, struct strv *inode)
{
    struct strv word[10], hex;
    uint64_t value = 0;
    size_t at;

    for (size_t i = 0; i < 10; i++) {
        if (!strv_word(&line, &word[i]))
            return false;
    }
    if (!strv_rfind(word[1], ':', &at))
        return false;
    hex = strv_from(word[1], at + 1);
    for (size_t i = 0; i < hex.n; i++) {
        unsigned char c = (unsigned char)hex.p[i];

        value = value * 16 + (uint64_t)(isdigit(c) ? c - '0' : (tolower(c) - 'a' + 10));
    }
    *port = (unsigned)value;
    *listens = strv_is(word[3], "0A");
    *inode = word[9];
    return true;
}

static bool inode_find(const char *table, unsigned port, char *dst, size_t size)
{
    struct strv rest, line, inode;
    struct buf text;
    unsigned found;
    bool listens, ok = false;

    buf_init(&text, TABLE_MAX);
    if (table_read(table, &text)) {
        rest = buf_view(&text);
        while (!ok && strv_cut(&rest, '\n', &line))
            ok = line_read(line, &found, &listens, &inode) && listens && found == port &&
                 strv_cstr(inode, dst, size);
    }
    buf_clear(&text);
    return ok;
}

static bool process_holds(const char *pid, const char *link)
{
    char path[300], text[64];
    const struct dirent *e;
    bool found = false;
    DIR *dir;

    snprintf(path, sizeof path, "/proc/%.20s/fd", pid);
    dir = opendir(path);
    while (dir && !found && (e = readdir(dir))) {
        ssize_t n = readlinkat(dirfd(dir), e->d_name, text, sizeof text - 1);

        if (n > 0) {
            text[n] = '\0';
            found = strcmp(text, link) == 0;
        }
    }
    if (dir)
        closedir(dir);
    return found;
}

static void process_name(const char *pid, char *dst, size_t size)
{
    char path[64], name[64];
    int fd;
    ssize_t n;

    snprintf(path, sizeof path, "/proc/%.20s/comm", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    n = fd < 0 ? -1 : read(fd, name, sizeof name - 1);
    fd_close(&fd);
    name[n > 0 ? n : 0] = '\0';
    name[strcspn(name, "\n")] = '\0';
    snprintf(dst, size, "%s, pid %.20s", name[0] ? name : "?", pid);
}

bool socket_holder(const struct netaddr *a, char *dst, size_t size)
{
    char inode[32], link[64];
    const struct dirent *e;
    bool found = false;
    DIR *proc;

    if (!inode_find(a->family == AF_INET ? "/proc/net/tcp" : "/proc/net/tcp6", a->port, inode, sizeof inode))
        return false;
    snprintf(link, sizeof link, "socket:[%s]", inode);
    proc = opendir("/proc");
    while (proc && !found && (e = readdir(proc))) {
        if (!isdigit((unsigned char)e->d_name[0]) || !process_holds(e->d_name, link))
            continue;
        process_name(e->d_name, dst, size);
        found = true;
    }
    if (proc)
        closedir(proc);
    return found;
}

/* ---- */

static void told(const struct conf_listen *l, const struct netaddr *a, int sys, struct findings *f)
{
    static const struct {
        int sys;
        enum finding_level level;
        const char *fix;
    } rows[] = {
        { EADDRINUSE, FINDING_ERROR, "end that program, or choose another port" },
        { EADDRNOTAVAIL, FINDING_ERROR, "this host does not have that address: see ip address" },
        { EAFNOSUPPORT, FINDING_ERROR,
          "this host does not speak that protocol (no IPv6?): leave the address out" },
        { EACCES, FINDING_ADVICE, "ports below 1024 need root: call this as root to be sure" },
    };
    enum finding_level level = FINDING_ERROR;
    char text[NETADDR_TEXT], who[128] = "";
    const char *fix = "";

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].sys != sys)
            continue;
        level = rows[i].level;
        fix = rows[i].fix;
    }
    netaddr_text(a, text, sizeof text);
    if (sys == EADDRINUSE)
        socket_holder(a, who, sizeof who);
    findings_at(f, level, &l->head, "listen", "address", fix, "listen %s: cannot listen on %s: %s%s%s%s",
                l->head.name, text, strerror(sys), who[0] ? " (by " : "", who, who[0] ? ")" : "");
}

void inspect_sockets(const struct conf *conf, bool (*is_ours)(void *arg, const struct netaddr *a), void *arg,
                     struct findings *f)
{
    for (size_t i = 0; i < conf->listen_n; i++) {
        const struct conf_listen *l = conf->listens[i];

        for (size_t k = 0; k < l->address.n; k++) {
            const struct netaddr *a = &l->address.v[k];
            int sys = bind_error(a);

            if (sys && !(sys == EADDRINUSE && is_ours(arg, a)))
                told(l, a, sys, f);
        }
    }
}
