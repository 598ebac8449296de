/* queue.c - frames that wait to be sent; memory of sent frames is used again by the next ones */
#include "common/ipc/queue.h"

#include "common/base/mem.h"
#include "common/base/metric.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH        32u                  /* frames of one sendmmsg */
#define SPARE_FRAMES 64u                  /* kept for reuse, ... */
#define SPARE_BYTES  (4u * 1024u * 1024u) /* ... but not more memory than this */

/* One thread sends: the spare frames and the vectors of the system call are the process's. */
static struct queue_frame *spare;
static unsigned spare_count;
static size_t spare_bytes;

void queue_init(struct queue *q)
{
    *q = (struct queue){ .bytes = 0 };
    q->urgent.tail = &q->urgent.head;
    q->bulk.tail = &q->bulk.head;
}

struct queue_frame *queue_frame_take(struct ipc_out *o)
{
    struct queue_frame *f = spare;
    struct buf bytes = o->bytes;

    if (f) {
        spare = f->next;
        spare_count--;
        spare_bytes -= f->bytes.cap;
    } else {
        f = mem_new(sizeof *f);
        buf_init(&f->bytes, IPC_FRAME_MAX);
    }
    o->bytes = f->bytes;
    f->bytes = bytes;
    f->next = NULL;
    f->fd_count = o->fd_count;
    for (unsigned i = 0; i < o->fd_count; i++)
        f->fds[i] = o->fds[i];
    o->fd_count = 0;
    f->chunk = o->schema->class == IPC_CLASS_CHUNK;
    f->txn = o->txn;
    f->bulk = o->bulk;
    f->credit = NULL;
    return f;
}

void queue_frame_free(struct queue_frame **fp)
{
    struct queue_frame *f = *fp;

    if (!f)
        return;
    *fp = NULL;
    for (unsigned i = 0; i < f->fd_count; i++)
        close(f->fds[i]);
    f->fd_count = 0;
    if (spare_count < SPARE_FRAMES && spare_bytes + f->bytes.cap <= SPARE_BYTES) {
        buf_reset(&f->bytes);
        f->next = spare;
        spare = f;
        spare_count++;
        spare_bytes += f->bytes.cap;
        return;
    }
    buf_clear(&f->bytes);
    free(f);
}

static void list_add(struct queue_list *l, struct queue_frame *f)
{
    f->next = NULL;
    *l->tail = f;
    l->tail = &f->next;
}

static struct queue_frame *list_remove(struct queue_list *l, struct queue_frame **at)
{
    struct queue_frame *f = *at;

    *at = f->next;
    if (l->tail == &f->next)
        l->tail = at;
    f->next = NULL;
    return f;
}

void queue_add(struct queue *q, struct queue_frame *f, bool urgent)
{
    list_add(urgent ? &q->urgent : &q->bulk, f);
    q->bytes += f->bytes.len;
    metric_add(METRIC_IPC_FRAMES, 0, 1);
    metric_add(METRIC_IPC_QUEUED, 0, f->bytes.len);
}

static void bytes_leave(struct queue *q, const struct queue_frame *f)
{
    q->bytes -= f->bytes.len;
    metric_cells[METRIC_IPC_QUEUED][0] -= f->bytes.len;
}

struct queue_frame *queue_take_chunk(struct queue *q, uint64_t txn)
{
    for (struct queue_frame **at = &q->bulk.head; *at; at = &(*at)->next) {
        if ((*at)->chunk && (*at)->txn == txn) {
            bytes_leave(q, *at);
            return list_remove(&q->bulk, at);
        }
    }
    return NULL;
}

static struct queue_frame *take_of(struct queue *q, struct queue_list *l, uint64_t txn)
{
    for (struct queue_frame **at = &l->head; *at; at = &(*at)->next) {
        if ((*at)->txn == txn) {
            bytes_leave(q, *at);
            return list_remove(l, at);
        }
    }
    return NULL;
}

struct queue_frame *queue_take_of(struct queue *q, uint64_t txn)
{
    struct queue_frame *f = take_of(q, &q->urgent, txn);

    return f ? f : take_of(q, &q->bulk, txn);
}

struct queue_frame *queue_take(struct queue *q)
{
    struct queue_list *l = q->urgent.head ? &q->urgent : &q->bulk;

    if (!l->head)
        return NULL;
    bytes_leave(q, l->head);
    return list_remove(l, &l->head);
}

struct batch {
    struct mmsghdr msgs[BATCH];
    struct iovec iov[BATCH];
    _Alignas(struct cmsghdr) char control[BATCH][CMSG_SPACE(sizeof(int) * IPC_FDS_MAX)];
};

static void batch_put(struct batch *b, unsigned i, struct queue_frame *f)
{
    struct msghdr *m = &b->msgs[i].msg_hdr;
    struct cmsghdr *c;

    b->iov[i] = (struct iovec){ f->bytes.data, f->bytes.len };
    *m = (struct msghdr){ .msg_iov = &b->iov[i], .msg_iovlen = 1 };
    if (!f->fd_count)
        return;
    memset(b->control[i], 0, sizeof b->control[i]);
    m->msg_control = b->control[i];
    m->msg_controllen = CMSG_SPACE(sizeof(int) * f->fd_count);
    c = CMSG_FIRSTHDR(m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int) * f->fd_count);
    memcpy(CMSG_DATA(c), f->fds, sizeof(int) * f->fd_count);
}

static unsigned batch_fill(struct batch *b, const struct queue *q)
{
    unsigned n = 0;

    for (struct queue_frame *f = q->urgent.head; f && n < BATCH; f = f->next)
        batch_put(b, n++, f);
    for (struct queue_frame *f = q->bulk.head; f && n < BATCH; f = f->next)
        batch_put(b, n++, f);
    return n;
}

static enum queue_result send_failed(int sys)
{
    switch (sys) {
    case EAGAIN:
    case ENOBUFS:
    case ENOMEM: return QUEUE_BLOCKED;
    case EPIPE:
    case ECONNRESET:
    case ENOTCONN:
    case ECONNREFUSED: return QUEUE_PEER_GONE;
    default: return QUEUE_BROKEN;
    }
}

enum queue_result queue_send(struct queue *q, int fd, void (*sent)(void *arg, struct queue_frame *f),
                             void *arg)
{
    static struct batch batch;

    for (;;) {
        unsigned n = batch_fill(&batch, q);
        int done;

        if (n == 0)
            return QUEUE_EMPTY;
        done = sendmmsg(fd, batch.msgs, n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (done < 0) {
            if (errno == EINTR)
                continue;
            return send_failed(errno);
        }
        for (int i = 0; i < done; i++) {
            struct queue_frame *f = queue_take(q);

            sent(arg, f);
            queue_frame_free(&f);
        }
        /* A short count hides an error, nearly always that the socket is full; any other shows when it is
         * not. */
        if ((unsigned)done < n)
            return QUEUE_BLOCKED;
    }
}
