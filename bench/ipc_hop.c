/* ipc_hop.c - CPU per frame and hop: four processes in a row, chunks one way, a reply back, window of 64 */
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/ipc/channel.h"
#include "common/net/loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define HOPS 3

/* Every process of the row speaks as smtpd to the next and as cleanup to the one before: the messages of that
   edge have the shape that counts (a chunk with data, a small reply). */
struct node {
    struct loop *loop;
    struct channel *before, *next;
    struct ipc_out out;
    size_t size;
    uint64_t sent, done, total, window;
};

static char body[IPC_CHUNK_MAX];

static void put_data(struct channel *ch, struct ipc_out *o, uint64_t txn, struct strv data)
{
    ipc_begin(o, IPC_TX_END, txn);
    ipc_put_bytes(o, TAG_DATA, data);
    ipc_put_u64(o, TAG_SIZE, data.n);
    ipc_put_u64(o, TAG_COUNT, 1);
    channel_send(ch, o);
}

static void put_done(struct node *n, uint64_t txn)
{
    ipc_begin(&n->out, IPC_TX_DONE, txn);
    ipc_put_u64(&n->out, TAG_VERDICT, VERDICT_ACCEPT);
    channel_send(n->before, &n->out);
    channel_txn_end(n->before, txn);
}

static void fill_window(struct node *n)
{
    while (n->sent < n->total && n->sent - n->done < n->window)
        put_data(n->next, &n->out, ++n->sent, strv_make(body, n->size));
}

static void on_frame(void *arg, struct channel *ch, struct ipc_in *in)
{
    struct node *n = arg;

    if (ch == n->before) {
        channel_consumed(ch, in->txn, in->bulk);
        if (n->next)
            put_data(n->next, &n->out, in->txn, ipc_get(in, TAG_DATA));
        else
            put_done(n, in->txn);
        return;
    }
    channel_txn_end(ch, in->txn);
    if (n->before) {
        put_done(n, in->txn);
    } else {
        n->done++;
        fill_window(n);
        if (n->done == n->total)
            loop_stop(n->loop);
    }
}

static void on_lost(void *arg, struct channel *ch, const char *why)
{
    struct node *n = arg;

    (void)ch;
    (void)why;
    loop_stop(n->loop);
}

static const struct channel_ops ops = { on_frame, on_lost, NULL };

static void run_node(int before, int next, size_t size, uint64_t total, uint64_t window)
{
    struct node n = { .loop = loop_new(), .size = size, .total = total, .window = window };

    ipc_out_init(&n.out);
    if (before >= 0)
        n.before = channel_new(n.loop, before, ROLE_CLEANUP, ROLE_SMTPD, 0, &ops, &n);
    if (next >= 0)
        n.next = channel_new(n.loop, next, ROLE_SMTPD, ROLE_CLEANUP, 0, &ops, &n);
    if (before < 0)
        fill_window(&n);
    loop_run(n.loop);
    channel_free(&n.before);
    channel_free(&n.next);
    ipc_out_clear(&n.out);
    loop_free(&n.loop);
}

static double cpu_us(int who)
{
    struct rusage r;

    getrusage(who, &r);
    return 1e6 * (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
           (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

static void measure(size_t size, uint64_t total, uint64_t window)
{
    int s[HOPS][2];
    double before;
    int64_t start = clock_mono_ms();

    for (int i = 0; i < HOPS; i++)
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, s[i]) != 0)
            exit(1);
    before = cpu_us(RUSAGE_CHILDREN);
    for (int i = 0; i <= HOPS; i++) {
        if (fork() == 0) {
            for (int k = 0; k < HOPS; k++) {
                if (k != i - 1)
                    close(s[k][1]);
                if (k != i)
                    close(s[k][0]);
            }
            run_node(i > 0 ? s[i - 1][1] : -1, i < HOPS ? s[i][0] : -1, size, total, window);
            _exit(0);
        }
    }
    for (int i = 0; i < HOPS; i++) {
        close(s[i][0]);
        close(s[i][1]);
    }
    while (wait(NULL) > 0)
        continue;
    printf("%6zu bytes, window %3u: %6.2f us CPU per message over %d hops, %5.2f per hop, %.0f messages/s\n",
           size, (unsigned)window, (cpu_us(RUSAGE_CHILDREN) - before) / (double)total, HOPS,
           (cpu_us(RUSAGE_CHILDREN) - before) / (double)total / HOPS,
           1000.0 * (double)total / (double)(clock_mono_ms() - start + 1));
    fflush(stdout);
}

int main(void)
{
    memset(body, 'x', sizeof body);
    measure(64, 200000, 64);
    measure(4096, 200000, 64);
    measure(IPC_CHUNK_MAX, 30000, 64);
    measure(4096, 30000, 1);
    return 0;
}
