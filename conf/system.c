/* system.c - defaults that come from the host: its name and its resolvers */
#include "conf/system.h"

#include "common/base/buf.h"
#include "common/base/mem.h"

#include <fcntl.h>
#include <unistd.h>

#define TEXT_MAX ((size_t)256 * 1024)
#define RESOLVERS_MAX 8u

static bool read_text(const char *path, struct buf *text)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n = -1;
    if (fd < 0)
        return false;
    do {
        char *room = buf_reserve(text, 4096);
        if (!room)
            break;
        n = read(fd, room, 4096);
        if (n > 0)
            buf_commit(text, (size_t)n);
    } while (n > 0);
    close(fd);
    return n == 0;
}

static struct strv without_comment(struct strv line, const char *marks)
{
    for (size_t i = 0; i < line.n; i++) {
        if (byte_in_set(line.p[i], marks))
            return strv_sub(line, 0, i);
    }
    return line;
}

bool system_name_in_hosts(struct strv hosts, struct strv name, char *dst, size_t size)
{
    struct strv line, word;
    while (strv_cut(&hosts, '\n', &line)) {
        struct strv canonical;
        line = strv_trim(without_comment(line, "#"));
        if (!strv_word(&line, &word) || !strv_word(&line, &canonical) || !strv_has(canonical, '.'))
            continue;
        word = canonical;
        do {
            if (strv_ieq(word, name))
                return strv_cstr(canonical, dst, size);
        } while (strv_word(&line, &word));
    }
    return false;
}

void system_host_name(char *dst, size_t size)
{
    struct buf hosts;
    char full[256];
    if (gethostname(dst, size) < 0)
        dst[0] = '\0';
    dst[size - 1] = '\0';
    if (strchr(dst, '.'))
        return;
    /* Debian keeps the short name in /etc/hostname and the full one in /etc/hosts. The DNS is not asked: a
       start must not depend on it. */
    buf_init(&hosts, TEXT_MAX);
    if (dst[0] && read_text("/etc/hosts", &hosts) &&
        system_name_in_hosts(buf_view(&hosts), SV(dst), full, sizeof(full)))
        (void)strv_cstr(SV(full), dst, size);
    buf_clear(&hosts);
}

void system_parse_resolvers(struct strv text, struct conf_endpoints *servers)
{
    struct strv line, word;
    while (servers->n < RESOLVERS_MAX && strv_cut(&text, '\n', &line)) {
        struct netaddr addr;
        line = strv_trim(without_comment(line, "#;"));
        /* A link-local address with %zone is not understood by netaddr and is left out. */
        if (!strv_word(&line, &word) || !strv_is(word, "nameserver") || !strv_word(&line, &word) ||
            !netaddr_parse_ip(word, &addr))
            continue;
        addr.port = 53;
        servers->v = mem_resize(servers->v, servers->n + 1, sizeof(*servers->v));
        servers->v[servers->n++] = addr;
    }
}

void system_resolvers(const char *path, struct conf_endpoints *servers)
{
    struct buf text;
    buf_init(&text, TEXT_MAX);
    if (read_text(path, &text))
        system_parse_resolvers(buf_view(&text), servers);
    buf_clear(&text);
}
