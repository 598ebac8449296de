/* source.c - SMTP load generator: many connections in one process, so that the server is the limit, not we
 *
 * bench-source -h 127.0.0.1 -p PORT -c CONNECTIONS -n MESSAGES -l BYTES -f FROM -t TO [-u USERS] [-d]
 *   -d  many messages per connection (else one); MAIL, RCPT and DATA always in one write
 *   -u  a % in TO becomes 0 to USERS-1, in turn
 * Prints "messages refused seconds p50ms p99ms": latency from the final dot to its reply. Loopback only.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum step { S_GREETING, S_EHLO, S_ENVELOPE, S_BODY, S_QUIT };

struct client {
    int fd;
    enum step step;
    int replies_due;            /* of a pipelined group */
    bool refused;
    size_t sent;                /* bytes of the body that left */
    double dot_at;
    size_t line_len;
    char line[1024];
};

static struct {
    struct sockaddr_in to;
    long messages, started, done, refused, failed;
    int connections, live, epoll;
    bool many;
    const char *from, *to_before, *to_after; /* of the % in the recipient */
    long users;
    char *body;
    size_t body_len;
    float *latency;
} bench;

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void say(struct client *c, const char *text, size_t n)
{
    if (send(c->fd, text, n, MSG_NOSIGNAL) != (ssize_t)n)
        bench.failed++;
}

static void watch(struct client *c, uint32_t events, int op)
{
    struct epoll_event ev = { .events = events, .data.ptr = c };

    epoll_ctl(bench.epoll, op, c->fd, &ev);
}

static void client_connect(struct client *c)
{
    int one = 1;

    memset(c, 0, sizeof *c);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&bench.to, sizeof bench.to) != 0) {
        perror("bench-source: connect");
        exit(1);
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    watch(c, EPOLLIN, EPOLL_CTL_ADD);
    bench.live++;
}

static void client_end(struct client *c)
{
    close(c->fd);
    c->fd = -1;
    bench.live--;
    if (bench.started < bench.messages)
        client_connect(c);
}

static void next_message(struct client *c)
{
    if (bench.started >= bench.messages) {
        c->step = S_QUIT;
        say(c, "QUIT\r\n", 6);
        return;
    }
    char text[1024], user[24] = "";

    if (bench.to_after)
        snprintf(user, sizeof user, "%ld", bench.started % bench.users);
    bench.started++;
    c->refused = false;
    c->step = S_ENVELOPE;
    c->replies_due = 3;
    say(c, text,
        (size_t)snprintf(text, sizeof text, "MAIL FROM:<%s>\r\nRCPT TO:<%s%s%s>\r\nDATA\r\n", bench.from,
                         bench.to_before, user, bench.to_after ? bench.to_after : ""));
}

static void send_body(struct client *c)
{
    while (c->sent < bench.body_len) {
        ssize_t n = send(c->fd, bench.body + c->sent, bench.body_len - c->sent, MSG_NOSIGNAL);

        if (n < 0) {
            if (errno == EAGAIN)
                watch(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
            return;
        }
        c->sent += (size_t)n;
    }
    c->dot_at = now();
    watch(c, EPOLLIN, EPOLL_CTL_MOD);
}

static void message_done(struct client *c, char first)
{
    if (first == '2')
        bench.latency[bench.done++] = (float)((now() - c->dot_at) * 1000);
    else
        bench.refused++;
    if (bench.many) {
        next_message(c);
    } else {
        c->step = S_QUIT;
        say(c, "QUIT\r\n", 6);
    }
}

/* One final reply line. False when the connection is over. */
static bool on_reply(struct client *c, char first)
{
    switch (c->step) {
    case S_GREETING:
        c->step = S_EHLO;
        say(c, "EHLO bench.test\r\n", 17);
        break;
    case S_EHLO:
        next_message(c);
        break;
    case S_ENVELOPE:
        if (first != '2' && first != '3')
            c->refused = true;
        if (--c->replies_due > 0)
            break;
        if (c->refused) {
            bench.refused++;
            c->step = S_QUIT;
            say(c, "QUIT\r\n", 6);
            break;
        }
        c->step = S_BODY;
        c->sent = 0;
        send_body(c);
        break;
    case S_BODY:
        message_done(c, first);
        break;
    case S_QUIT:
        return false;
    }
    return true;
}

static void on_input(struct client *c)
{
    char in[4096];
    ssize_t n = recv(c->fd, in, sizeof in, 0);

    if (n <= 0) {
        if (n < 0 && errno == EAGAIN)
            return;
        if (c->step != S_QUIT)
            bench.failed++;
        client_end(c);
        return;
    }
    for (ssize_t i = 0; i < n; i++) {
        if (in[i] != '\n') {
            if (c->line_len < sizeof c->line)
                c->line[c->line_len++] = in[i];
            continue;
        }
        bool last = c->line_len >= 4 ? c->line[3] != '-' : true;
        char first = c->line_len ? c->line[0] : '5';

        c->line_len = 0;
        if (last && !on_reply(c, first)) {
            client_end(c);
            return;
        }
    }
}

static int float_cmp(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

static void make_body(size_t size)
{
    static const char head[] = "From: <bench@bench.test>\r\nTo: <a@bench.test>\r\nSubject: bench\r\n"
                               "Date: Fri, 20 Nov 2026 10:00:00 +0000\r\n"
                               "Message-ID: <bench@bench.test>\r\n\r\n";
    size_t n = sizeof head - 1;

    bench.body = malloc(size + sizeof head + 128);
    if (!bench.body)
        exit(1);
    memcpy(bench.body, head, n);
    while (n < size) {
        memcpy(bench.body + n,
               "XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX\r\n", 80);
        n += 80;
    }
    memcpy(bench.body + n, ".\r\n", 3);
    bench.body_len = n + 3;
}

static long number(const char *s, long max)
{
    char *end;
    long v = strtol(s, &end, 10);

    if (*end || v < 1 || v > max) {
        fprintf(stderr, "bench-source: bad number %s\n", s);
        exit(2);
    }
    return v;
}

static void options(int argc, char **argv)
{
    char to[256] = "to@bench.test", *percent;
    const char *host = "127.0.0.1";
    long size = 4096;
    int o;

    bench.connections = 1;
    bench.messages = 100;
    bench.users = 1;
    bench.from = "from@bench.test";
    bench.to.sin_family = AF_INET;
    while ((o = getopt(argc, argv, "h:p:c:n:l:f:t:u:d")) != -1) {
        switch (o) {
        case 'h': host = optarg; break;
        case 'p': bench.to.sin_port = htons((uint16_t)number(optarg, 65535)); break;
        case 'c': bench.connections = (int)number(optarg, 20000); break;
        case 'n': bench.messages = number(optarg, 100000000); break;
        case 'l': size = number(optarg, 1 << 30); break;
        case 'f': bench.from = optarg; break;
        case 't': snprintf(to, sizeof to, "%s", optarg); break;
        case 'u': bench.users = number(optarg, 1000000); break;
        case 'd': bench.many = true; break;
        default: exit(2);
        }
    }
    if (inet_pton(AF_INET, host, &bench.to.sin_addr) != 1 || (ntohl(bench.to.sin_addr.s_addr) >> 24) != 127) {
        fprintf(stderr, "bench-source: loopback addresses only\n");
        exit(2);
    }
    percent = strchr(to, '%');
    if (percent)
        *percent = '\0';
    bench.to_before = strdup(to);
    bench.to_after = percent ? strdup(percent + 1) : NULL;
    if (!bench.to_before || strlen(bench.from) > 256)
        exit(2);
    make_body((size_t)size);
}

int main(int argc, char **argv)
{
    struct epoll_event events[256];
    struct client *clients;
    double t0, t;

    options(argc, argv);
    clients = calloc((size_t)bench.connections, sizeof *clients);
    bench.latency = calloc((size_t)bench.messages + 1, sizeof *bench.latency);
    bench.epoll = epoll_create1(EPOLL_CLOEXEC);
    t0 = now();
    for (int i = 0; i < bench.connections && i < bench.messages; i++)
        client_connect(&clients[i]);
    while (bench.live > 0 && bench.failed < 1000) {
        int n = epoll_wait(bench.epoll, events, 256, 60000);

        if (n == 0)
            break;
        for (int i = 0; i < n; i++) {
            struct client *c = events[i].data.ptr;

            if ((events[i].events & EPOLLOUT) && c->step == S_BODY)
                send_body(c);
            if (events[i].events & ~(uint32_t)EPOLLOUT)
                on_input(c);
        }
    }
    t = now() - t0;
    qsort(bench.latency, (size_t)bench.done, sizeof *bench.latency, float_cmp);
    printf("%ld %ld %.3f %.2f %.2f\n", bench.done, bench.refused, t, (double)bench.latency[bench.done / 2],
           (double)bench.latency[bench.done * 99 / 100]);
    return bench.done + bench.refused == bench.messages && bench.failed == 0 ? 0 : 1;
}
