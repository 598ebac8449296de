/* channel.c - frames over one SOCK_SEQPACKET socketpair

   Reading never stops: a peer that could not get rid of a reply could not hear that it must wait either. What
   bounds memory is credit. Loss is reported from one place, at the end of an iteration, whatever caused it.
 */
#include "common/ipc/channel.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/ipc/credit.h"
#include "common/ipc/queue.h"
#include "common/net/loop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECEIVE_BATCH 16u
/* After large frames the next batch is small: sixteen of 64 KiB would go through the caches and out again. */
#define LARGE_BATCH 2u
#define LARGE_FRAME 16384u
/* Told in portions: a small message costs no credit frame at all. */
#define CREDIT_STEP (IPC_CREDIT_START / 4)
/* With more than this waiting for the socket, no transaction gets room for chunks. */
#define QUEUE_SOFT (4u * 1024u * 1024u)
/* Replies need no credit; a peer that leaves this much unread has stopped working. */
#define QUEUE_HARD (64u * 1024u * 1024u)

struct channel {
    struct loop *loop;
    struct loop_io io;
    struct loop_task task;
    const struct channel_ops *ops;
    void *arg;
    int fd;
    enum role self, peer;
    unsigned peer_index;
    struct queue queue;
    struct credits credits;
    struct ipc_out credit_out;
    bool large_frames; /* the last one was */
    bool send_dead; /* the peer closed; what it sent before is still read */
    bool broken;    /* lost: nothing in or out any more */
    bool told;      /* ops->lost ran */
    bool freed;     /* channel_free ran; memory goes at the end of the iteration */
    char why[160];
};

/* ---- loss ---- */

static void drop_queue(struct channel *ch)
{
    struct queue_frame *f;

    while ((f = queue_take(&ch->queue))) {
        if (f->credit)
            credit_unqueued(&ch->credits, f->credit);
        queue_frame_free(&f);
    }
}

static void channel_lose(struct channel *ch, const char *why)
{
    if (ch->broken || ch->freed)
        return;
    ch->broken = true;
    snprintf(ch->why, sizeof ch->why, "%s", why);
    loop_io_clear(&ch->io);
    drop_queue(ch);
    loop_later(ch->loop, &ch->task);
}

static void (*on_broken)(void *arg, struct channel *ch);
static void *on_broken_arg;

void channel_on_broken(void (*fn)(void *arg, struct channel *ch), void *arg)
{
    on_broken = fn;
    on_broken_arg = arg;
}

/* Lost by our own decision: the peer lives and somebody may make a new channel. */
static void channel_give_up(struct channel *ch, const char *why)
{
    channel_lose(ch, why);
    if (on_broken)
        on_broken(on_broken_arg, ch);
}

void channel_break(struct channel *ch, const char *why)
{
    if (ch->broken || ch->freed)
        return;
    LOG(ERROR, "ipc.peer.nonsense", KS("peer", role_name(ch->peer)), KI("index", ch->peer_index),
        KS("why", why));
    channel_give_up(ch, why);
}

/* ---- sending ---- */

static void on_sent(void *arg, struct queue_frame *f)
{
    struct channel *ch = arg;

    if (f->credit)
        credit_unqueued(&ch->credits, f->credit);
}

static void wake_waiting(struct channel *ch)
{
    uint64_t txn;

    while (!ch->freed && !ch->broken && ch->queue.bytes < QUEUE_SOFT / 2 && credit_wake(&ch->credits, &txn))
        if (ch->ops->ready)
            ch->ops->ready(ch->arg, ch, txn);
}

void channel_flush(struct channel *ch)
{
    if (ch->broken || ch->send_dead || ch->freed)
        return;
    switch (queue_send(&ch->queue, ch->fd, on_sent, ch)) {
    case QUEUE_EMPTY: loop_io_set(&ch->io, LOOP_READ); break;
    case QUEUE_BLOCKED: loop_io_set(&ch->io, LOOP_READ | LOOP_WRITE); break;
    case QUEUE_PEER_GONE:
        /* The peer may have sent results before it closed: reading finds them, then the end. */
        ch->send_dead = true;
        drop_queue(ch);
        loop_later(ch->loop, &ch->task);
        break;
    case QUEUE_BROKEN: channel_give_up(ch, strerror(errno)); break;
    }
}

/* Dying in check builds makes the mistake visible where it was made; in production one channel is the price.
 */
static void channel_bug(struct channel *ch, const char *text)
{
    LOG(ERROR, "ipc.frame.bug", KS("peer", role_name(ch->peer)), KI("index", ch->peer_index),
        KS("why", text));
#ifdef MANSIO_CHECK
    die("frame for %s breaks the schema: %s", role_name(ch->peer), text);
#endif
    channel_give_up(ch, "we made a frame that breaks the schema");
}

static bool channel_may_send(struct channel *ch, struct ipc_out *o)
{
    struct err err = { 0 };

    if (!ipc_finish(o, &err)) {
        channel_bug(ch, err.text);
        return false;
    }
    if (!ipc_permitted(o->schema, ch->self, ch->peer)) {
        err_set(&err, ERR_BUG, "%s does not go from %s to %s", o->schema->name, role_name(ch->self),
                role_name(ch->peer));
        channel_bug(ch, err.text);
        return false;
    }
    return true;
}

void channel_send(struct channel *ch, struct ipc_out *o)
{
    struct credit *k = NULL;
    struct queue_frame *f;

    if (!channel_may_send(ch, o) || ch->broken || ch->send_dead || ch->freed) {
        for (unsigned i = 0; i < o->fd_count; i++)
            close(o->fds[i]);
        o->fd_count = 0;
        return;
    }
    f = queue_frame_take(o);
    if (f->chunk) {
        k = credit_get(&ch->credits, f->txn);
        k->charged += f->bulk;
    } else if (ch->queue.bulk.head) {
        k = credit_find(&ch->credits, f->txn);
        if (k && !k->queued)
            k = NULL; /* nothing of its transaction waits: it may overtake */
    }
    if (k)
        k->queued++;
    f->credit = k;
    queue_add(&ch->queue, f, !k);
    if (ch->queue.bytes > QUEUE_HARD) {
        channel_give_up(ch, "peer does not read");
        return;
    }
    if (!(ch->io.events & LOOP_WRITE))
        loop_later(ch->loop, &ch->task);
}

void channel_cancel_chunks(struct channel *ch, uint64_t txn)
{
    struct queue_frame *f;

    while ((f = queue_take_chunk(&ch->queue, txn))) {
        struct credit *k = f->credit;

        k->charged -= f->bulk < k->charged ? f->bulk : k->charged;
        credit_unqueued(&ch->credits, k);
        queue_frame_free(&f);
    }
}

unsigned channel_unsend(struct channel *ch, uint64_t txn)
{
    struct queue_frame *f;
    unsigned n = 0;

    while ((f = queue_take_of(&ch->queue, txn))) {
        struct credit *k = f->credit;

        if (k && f->chunk)
            k->charged -= f->bulk < k->charged ? f->bulk : k->charged;
        if (k)
            credit_unqueued(&ch->credits, k);
        queue_frame_free(&f);
        n++;
    }
    return n;
}

bool channel_is_congested(const struct channel *ch)
{
    return ch->queue.bytes > 2 * QUEUE_SOFT;
}

/* ---- credit ---- */

size_t channel_credit(struct channel *ch, uint64_t txn)
{
    struct credit *k;

    if (ch->broken || ch->send_dead || ch->freed)
        return 0;
    if (ch->queue.bytes > QUEUE_SOFT) {
        credit_wait(&ch->credits, credit_get(&ch->credits, txn));
        return 0;
    }
    k = credit_find(&ch->credits, txn);
    if (!k)
        return IPC_CREDIT_START;
    return k->charged < IPC_CREDIT_START ? IPC_CREDIT_START - k->charged : 0;
}

void channel_consumed(struct channel *ch, uint64_t txn, size_t n)
{
    struct credit *k;

    if (ch->broken || ch->freed || n == 0)
        return;
    k = credit_get(&ch->credits, txn);
    k->consumed += n;
    if (k->consumed < CREDIT_STEP)
        return;
    ipc_begin(&ch->credit_out, IPC_CREDIT, txn);
    ipc_put_u64(&ch->credit_out, TAG_CREDIT, k->consumed);
    k->consumed = 0;
    channel_send(ch, &ch->credit_out);
}

void channel_txn_end(struct channel *ch, uint64_t txn)
{
    struct credit *k = credit_find(&ch->credits, txn);

    if (k)
        credit_end(&ch->credits, k);
}

static void on_credit(struct channel *ch, const struct ipc_in *in)
{
    struct credit *k = credit_find(&ch->credits, in->txn);
    uint64_t n = ipc_get_u64(in, TAG_CREDIT);

    if (!k || k->over)
        return; /* the transaction ended meanwhile */
    k->charged -= n < k->charged ? (size_t)n : k->charged;
    if (ch->ops->ready)
        ch->ops->ready(ch->arg, ch, in->txn);
}

/* ---- receiving ---- */

/* One thread receives, one channel at a time: a process needs one set of buffers. */
static struct {
    struct mmsghdr msgs[RECEIVE_BATCH];
    struct iovec iov[RECEIVE_BATCH];
    _Alignas(struct cmsghdr) char control[RECEIVE_BATCH][CMSG_SPACE(sizeof(int) * IPC_FDS_MAX)];
    _Alignas(16) char data[RECEIVE_BATCH][IPC_FRAME_MAX];
} receive;

static void receive_prepare(unsigned batch)
{
    for (unsigned i = 0; i < batch; i++) {
        receive.iov[i] = (struct iovec){ receive.data[i], IPC_FRAME_MAX };
        receive.msgs[i].msg_hdr = (struct msghdr){
            .msg_iov = &receive.iov[i],
            .msg_iovlen = 1,
            .msg_control = receive.control[i],
            .msg_controllen = sizeof receive.control[i],
        };
    }
}

/* Descriptors that came with message i; the control buffer has room for no more than fds has. */
static unsigned receive_fds(unsigned i, int fds[IPC_FDS_MAX])
{
    struct msghdr *m = &receive.msgs[i].msg_hdr;
    unsigned n = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        size_t bytes;

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        bytes = c->cmsg_len - CMSG_LEN(0);
        for (size_t at = 0; at + sizeof(int) <= bytes && n < IPC_FDS_MAX; at += sizeof(int))
            memcpy(&fds[n++], CMSG_DATA(c) + at, sizeof(int));
    }
    return n;
}

static void close_fds(const int *fds, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

static bool receive_decode(struct channel *ch, unsigned i, unsigned fd_count, struct ipc_in *in)
{
    const struct mmsghdr *m = &receive.msgs[i];
    struct err err = { 0 };

    if (m->msg_hdr.msg_flags & MSG_TRUNC) {
        channel_break(ch, "frame larger than 64 KiB");
        return false;
    }
    if (m->msg_hdr.msg_flags & MSG_CTRUNC) {
        channel_break(ch, "more descriptors than we take");
        return false;
    }
    if (!ipc_decode((struct strv){ receive.data[i], m->msg_len }, fd_count, in, &err)) {
        channel_break(ch, err.text);
        return false;
    }
    if (!ipc_permitted(in->schema, ch->peer, ch->self)) {
        err_set(&err, ERR_PROTO, "%s is not for %s to send", in->schema->name, role_name(ch->peer));
        channel_break(ch, err.text);
        return false;
    }
    return true;
}

static void receive_one(struct channel *ch, unsigned i)
{
    struct ipc_in in;
    int fds[IPC_FDS_MAX];
    unsigned fd_count = receive_fds(i, fds);

    if (receive.msgs[i].msg_len == 0) {
        close_fds(fds, fd_count);
        channel_lose(ch, "closed by the peer");
        return;
    }
    if (!receive_decode(ch, i, fd_count, &in)) {
        close_fds(fds, fd_count);
        return;
    }
    in.fd_count = fd_count;
    memcpy(in.fds, fds, sizeof fds[0] * fd_count);
    if (in.type == IPC_CREDIT)
        on_credit(ch, &in);
    else
        ch->ops->frame(ch->arg, ch, &in);
    close_fds(in.fds, in.fd_count);
}

static void channel_receive(struct channel *ch)
{
    unsigned batch = ch->large_frames ? LARGE_BATCH : RECEIVE_BATCH;
    int n, i;

    do {
        receive_prepare(batch);
        n = recvmmsg(ch->fd, receive.msgs, batch, MSG_DONTWAIT | MSG_CMSG_CLOEXEC, NULL);
        /* A peer that closed with frames of ours unread leaves one ECONNRESET before what it sent itself. */
    } while (n < 0 && (errno == EINTR || errno == ECONNRESET));
    if (n < 0) {
        if (errno != EAGAIN)
            channel_give_up(ch, strerror(errno));
        else if (ch->send_dead)
            channel_give_up(ch, "the peer stopped reading");
        return;
    }
    ch->large_frames = receive.msgs[n - 1].msg_len > LARGE_FRAME;
    for (i = 0; i < n && !ch->broken && !ch->freed; i++)
        receive_one(ch, (unsigned)i);
    for (; i < n; i++) {
        int fds[IPC_FDS_MAX];

        close_fds(fds, receive_fds((unsigned)i, fds));
    }
}

static void on_io(void *arg, int events)
{
    struct channel *ch = arg;

    if (events & LOOP_WRITE) {
        channel_flush(ch);
        wake_waiting(ch);
    } else {
        channel_receive(ch);
    }
}

static void on_task(void *arg)
{
    struct channel *ch = arg;

    if (!ch->broken && ch->send_dead) {
        channel_receive(ch);
        if (!ch->broken && !ch->freed)
            loop_later(ch->loop, &ch->task);
    }
    if (ch->freed)
        return;
    channel_flush(ch);
    wake_waiting(ch);
    if (!ch->broken || ch->told || ch->freed)
        return;
    ch->told = true;
    ch->ops->lost(ch->arg, ch, ch->why);
}

/* ---- life ---- */

struct channel *channel_new(struct loop *loop, int fd, enum role self, enum role peer, unsigned peer_index,
                            const struct channel_ops *ops, void *arg)
{
    struct channel *ch = mem_new(sizeof *ch);

    ch->loop = loop;
    ch->fd = fd;
    ch->self = self;
    ch->peer = peer;
    ch->peer_index = peer_index;
    ch->ops = ops;
    ch->arg = arg;
    ch->task = (struct loop_task){ .fn = on_task, .arg = ch };
    queue_init(&ch->queue);
    credits_init(&ch->credits);
    ipc_out_init(&ch->credit_out);
    loop_io_init(&ch->io, loop, fd, on_io, ch);
    loop_io_set(&ch->io, LOOP_READ);
    return ch;
}

static void channel_destroy(void *obj)
{
    free(obj);
}

void channel_free(struct channel **chp)
{
    struct channel *ch = *chp;

    if (!ch)
        return;
    *chp = NULL;
    ch->freed = true;
    loop_later_cancel(ch->loop, &ch->task);
    loop_io_clear(&ch->io);
    drop_queue(ch);
    credits_clear(&ch->credits);
    ipc_out_clear(&ch->credit_out);
    close(ch->fd);
    loop_reap(ch->loop, channel_destroy, ch);
}

enum role channel_peer(const struct channel *ch)
{
    return ch->peer;
}

unsigned channel_peer_index(const struct channel *ch)
{
    return ch->peer_index;
}

uint64_t channel_txn_new(struct channel *ch)
{
    (void)ch;
    return txn_number();
}

size_t channel_queued_bytes(const struct channel *ch)
{
    return ch->queue.bytes;
}

size_t channel_txn_count(const struct channel *ch)
{
    return ch->credits.table.count;
}

bool channel_dispatch(const struct channel_route *routes, void *arg, struct channel *ch, struct ipc_in *in)
{
    char why[80];

    for (const struct channel_route *r = routes; r->type; r++) {
        if (r->type == in->type) {
            r->handle(arg, ch, in);
            return true;
        }
    }
    snprintf(why, sizeof why, "%s is not handled here", in->schema->name);
    channel_break(ch, why);
    return false;
}
