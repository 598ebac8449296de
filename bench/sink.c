/* sink.c - SMTP server that takes everything and counts exactly
 *
 * bench-sink PORT FILE: FILE is mapped and holds u64 messages, u64 sessions, double time of the last message
 * (CLOCK_MONOTONIC), all native. Loopback only.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct counters {
    volatile uint64_t messages, sessions;
    volatile double last;
};

/* How much of CRLF . CRLF was seen. */
enum seen { IN_LINE, CR, LINE_START, DOT, DOT_CR };

struct conn {
    int fd;
    bool data;
    enum seen seen;
    size_t line_len;
    char line[1024];
};

static struct counters *count;
static char out[65536];
static size_t out_len;

static void say(const char *s)
{
    size_t n = strlen(s);

    if (out_len + n <= sizeof out) {
        memcpy(out + out_len, s, n);
        out_len += n;
    }
}

static bool command(struct conn *c)
{
    if (strncasecmp(c->line, "EHLO", 4) == 0) {
        say("250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 0\r\n");
    } else if (strncasecmp(c->line, "DATA", 4) == 0) {
        say("354 go\r\n");
        c->data = true;
        c->seen = LINE_START;
    } else if (strncasecmp(c->line, "QUIT", 4) == 0) {
        say("221 bye\r\n");
        return false;
    } else {
        say("250 ok\r\n");
    }
    return true;
}

static void message(struct conn *c)
{
    struct timespec t;

    c->data = false;
    c->line_len = 0;
    say("250 2.0.0 ok\r\n");
    clock_gettime(CLOCK_MONOTONIC, &t);
    count->last = (double)t.tv_sec + (double)t.tv_nsec / 1e9;
    count->messages++;
}

static const char *body(struct conn *c, const char *p, const char *end)
{
    if (c->seen == IN_LINE) {
        p = memchr(p, '\r', (size_t)(end - p));
        if (!p)
            return end;
    }
    char ch = *p++;

    switch (c->seen) {
    case IN_LINE: c->seen = ch == '\r' ? CR : IN_LINE; break;
    case CR: c->seen = ch == '\n' ? LINE_START : ch == '\r' ? CR : IN_LINE; break;
    case LINE_START: c->seen = ch == '.' ? DOT : ch == '\r' ? CR : IN_LINE; break;
    case DOT: c->seen = ch == '\r' ? DOT_CR : IN_LINE; break;
    case DOT_CR:
        c->seen = IN_LINE;
        if (ch == '\n')
            message(c);
        break;
    }
    return p;
}

/* False when the connection is to be closed. */
static bool input(struct conn *c, const char *p, const char *end)
{
    while (p < end) {
        if (c->data) {
            p = body(c, p, end);
            continue;
        }
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        size_t n = (size_t)((nl ? nl : end) - p);

        if (c->line_len + n < sizeof c->line) {
            memcpy(c->line + c->line_len, p, n);
            c->line_len += n;
            c->line[c->line_len] = '\0';
        }
        if (!nl)
            return true;
        p = nl + 1;
        c->line_len = 0;
        if (!command(c))
            return false;
    }
    return true;
}

static void accept_all(int listener, int ep)
{
    int fd, one = 1;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct conn *c = calloc(1, sizeof *c);
        struct epoll_event ev = { .events = EPOLLIN, .data.ptr = c };

        if (!c)
            exit(1);
        c->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
        count->sessions++;
        if (send(fd, "220 sink.test ESMTP\r\n", 21, MSG_NOSIGNAL) < 0)
            perror("bench-sink: greeting");
    }
}

static void serve(struct conn *c)
{
    static char in[65536];
    ssize_t n = read(c->fd, in, sizeof in);
    bool go_on;

    if (n < 0 && errno == EAGAIN)
        return;
    out_len = 0;
    go_on = n > 0 && input(c, in, in + n);
    if (out_len && send(c->fd, out, out_len, MSG_NOSIGNAL) < 0)
        go_on = false;
    if (!go_on) {
        close(c->fd);
        free(c);
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct epoll_event events[256];
    int fd, listener, ep, one = 1;

    if (argc < 3) {
        fprintf(stderr, "usage: bench-sink PORT FILE\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    a.sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10));
    fd = open(argv[2], O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0 || ftruncate(fd, sizeof *count) != 0)
        return 1;
    count = mmap(NULL, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&a, sizeof a) != 0 || listen(listener, 4096) != 0) {
        perror("bench-sink: listen");
        return 1;
    }
    ep = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event ev = { .events = EPOLLIN, .data.ptr = NULL };

    epoll_ctl(ep, EPOLL_CTL_ADD, listener, &ev);
    for (;;) {
        int n = epoll_wait(ep, events, 256, -1);

        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr)
                serve(events[i].data.ptr);
            else
                accept_all(listener, ep);
        }
    }
}
