/* channel_pair.c - two channels joined by a socketpair on one loop, with a record of what each end saw */
#include "tests/unit/ipc/channel_pair.h"

#include "common/net/loop.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void on_frame(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct channel_end *e = arg;

    if (e->frame_count < EVENTS_MAX) {
        e->frames[e->frame_count].type = in->type;
        e->frames[e->frame_count].txn = in->txn;
        e->frames[e->frame_count].bulk = in->bulk;
    }
    e->frame_count++;
    if (e->keep_fds && e->kept_fd < 0)
        e->kept_fd = ipc_take_fd(in, 0);
    if (e->consume)
        channel_consumed(ch, in->txn, in->bulk);
    if (e->free_in_frame)
        channel_free(&e->ch);
}

static void on_lost(void *arg, struct channel *ch, const char *why)
{
    struct channel_end *e = arg;

    (void)ch;
    e->lost++;
    snprintf(e->why, sizeof e->why, "%s", why);
    if (e->free_in_lost)
        channel_free(&e->ch);
}

static void on_ready(void *arg, struct channel *ch, uint64_t txn)
{
    struct channel_end *e = arg;

    (void)ch;
    e->ready++;
    e->ready_txn = txn;
    if (e->on_ready)
        e->on_ready(e, txn);
}

static const struct channel_ops ops = { on_frame, on_lost, on_ready };

static void open_sockets(int s[2])
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, s) != 0)
        abort();
}

void pair_open(struct channel_pair *p, enum role a, enum role b)
{
    int s[2];

    memset(p, 0, sizeof *p);
    open_sockets(s);
    p->loop = loop_new();
    p->a.kept_fd = p->b.kept_fd = -1;
    p->a.ch = channel_new(p->loop, s[0], a, b, 0, &ops, &p->a);
    p->b.ch = channel_new(p->loop, s[1], b, a, 0, &ops, &p->b);
    p->raw = -1;
}

void pair_open_raw(struct channel_pair *p, enum role self, enum role peer)
{
    int s[2];

    memset(p, 0, sizeof *p);
    open_sockets(s);
    p->loop = loop_new();
    p->a.kept_fd = p->b.kept_fd = -1;
    p->a.ch = channel_new(p->loop, s[0], self, peer, 0, &ops, &p->a);
    p->raw = s[1];
}

void pair_close(struct channel_pair *p)
{
    channel_free(&p->a.ch);
    channel_free(&p->b.ch);
    if (p->a.kept_fd >= 0)
        close(p->a.kept_fd);
    if (p->b.kept_fd >= 0)
        close(p->b.kept_fd);
    if (p->raw >= 0)
        close(p->raw);
    loop_once(p->loop, 0);
    loop_free(&p->loop);
}

static unsigned long activity(const struct channel_pair *p)
{
    unsigned long queued = 0;

    if (p->a.ch)
        queued += channel_queued_bytes(p->a.ch);
    if (p->b.ch)
        queued += channel_queued_bytes(p->b.ch);
    return p->a.frame_count + p->b.frame_count + p->a.lost + p->b.lost + p->a.ready + p->b.ready +
           (queued << 32);
}

void pair_run(struct channel_pair *p)
{
    int quiet = 0;

    while (quiet < 3) {
        unsigned long before = activity(p);

        loop_once(p->loop, 0);
        quiet = activity(p) == before ? quiet + 1 : 0;
    }
}

unsigned fd_census(void)
{
    DIR *d = opendir("/proc/self/fd");
    unsigned n = 0;

    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n;
}
