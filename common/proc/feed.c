/* feed.c - lines about messages on their way to the history: the table of events, the buffer */
#include "common/proc/feed.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/metric.h"
#include "common/ipc/frame.h"
#include "common/net/loop.h"
#include "common/os/fd.h"
#include "common/proc/frame_io.h"

#define FULL (FEED_BUFFER - 8192u) /* a batch from here on: the next long line might not fit */

/* In byte order. All of them carry an id, a session, an address or a Message-ID to be found by
   (historyd/keys.c); all stand in docs/LOGGING.md (a test compares). */
const char *const feed_events[] = {
    "cleanup.alias.broken",
    "cleanup.drop.taken",
    "cleanup.drop.unresolved",
    "cleanup.forward.bad",
    "cleanup.forward.failed",
    "cleanup.forward.taken",
    "cleanup.message.discarded",
    "cleanup.message.doubtful",
    "cleanup.message.unheard",
    "cleanup.notice.composed",
    "cleanup.notice.failed",
    "cleanup.postmaster.kept",
    "cleanup.requeue.refused",
    "cleanup.requeue.taken",
    "cleanup.resolve.failed",
    "delivery.mailbox.bad",
    "delivery.result",
    "delivery.result.missing",
    "queue.big.missing",
    "queue.job.lost",
    "queue.message.deleted",
    "queue.message.edited",
    "queue.message.expired",
    "queue.message.finished",
    "queue.message.held",
    "queue.message.lost",
    "queue.message.refused",
    "queue.message.released",
    "queue.message.requeued",
    "queue.message.returned",
    "queue.message.stored",
    "queue.message.unreadable",
    "queue.notice.failed",
    "queue.notice.stored",
    "queue.requeue.kept",
    "relay.host.failed",
    "relay.tls.plain",
    "smtp.auth.failed",
    "smtp.auth.ok",
    "smtp.data.refused",
    "smtp.mail.refused",
    "smtp.message.accepted",
    "smtp.message.refused",
    "smtp.message.unsettled",
    "smtp.rcpt.refused",
    NULL,
};

#define EVENT_N (sizeof feed_events / sizeof *feed_events - 1)

static struct {
    pthread_mutex_t lock; /* threads may log; nobody holds it long */
    pthread_t owner;      /* who may touch the timer */
    int fd;               /* owned; -1: historyd is away */
    bool stuck;           /* it did not take the last batch: the timer tries again, lines do not */
    char *bytes;          /* owned; FEED_BUFFER */
    size_t used;
    uint64_t lost;          /* since the last frame */
    struct loop_timer wait; /* the owner's */
    bool watched;
} feed = { .lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1 };

static int event_compare(const void *key, const void *entry)
{
    return strcmp(key, *(const char *const *)entry);
}

bool feed_wants(enum log_level level, const char *event)
{
    return level <= LOG_LV_INFO &&
           bsearch(event, feed_events, EVENT_N, sizeof *feed_events, event_compare) != NULL;
}

/* False: the frame did not leave. Called with the lock held. */
static bool batch_send(void)
{
    struct err err = { 0 };
    struct ipc_out o;
    bool sent;

    if (feed.used == 0)
        return true;
    if (feed.fd < 0)
        return false;
    ipc_out_init(&o);
    ipc_begin(&o, IPC_HISTORY_LINES, 0);
    ipc_put_bytes(&o, TAG_DATA, strv_make(feed.bytes, feed.used));
    if (feed.lost)
        ipc_put_u64(&o, TAG_COUNT, feed.lost);
    sent = frame_io_send(feed.fd, &o, &err);
    ipc_out_clear(&o);
    if (!sent && err.sys != EAGAIN && err.sys != ENOBUFS && err.sys != ENOMEM)
        fd_close(&feed.fd); /* mtad brings the next one */
    feed.stuck = !sent;
    if (!sent)
        return false;
    feed.used = 0;
    feed.lost = 0;
    return true;
}

static void head_put(char *at, enum log_level level, size_t len, int64_t wall_ms)
{
    uint64_t ms = (uint64_t)wall_ms;

    at[0] = (char)(len >> 8);
    at[1] = (char)len;
    at[2] = (char)level;
    for (unsigned i = 0; i < 8; i++)
        at[3 + i] = (char)(ms >> (56 - 8 * i));
}

static void feed_line(enum log_level level, const char *line, size_t len)
{
    bool tell;

    pthread_mutex_lock(&feed.lock);
    if (feed.used >= FULL && !feed.stuck)
        batch_send();
    tell = feed.used == 0 && feed.watched && pthread_equal(feed.owner, pthread_self());
    if (feed.used + FEED_HEAD + len <= FEED_BUFFER) {
        head_put(feed.bytes + feed.used, level, len, clock_wall_ms());
        memcpy(feed.bytes + feed.used + FEED_HEAD, line, len);
        feed.used += FEED_HEAD + len;
    } else {
        feed.lost++;
        __atomic_fetch_add(&metric_cells[METRIC_HISTORY_LOST][0], 1, __ATOMIC_RELAXED);
    }
    pthread_mutex_unlock(&feed.lock);
    if (tell)
        loop_timer_set(&feed.wait, FEED_WAIT_MS);
}

void feed_open(int fd)
{
    static const struct log_feed reader = { feed_wants, feed_line };

    pthread_mutex_lock(&feed.lock);
    fd_close(&feed.fd);
    feed.fd = fd;
    feed.stuck = false;
    if (!feed.bytes)
        feed.bytes = mem_new(FEED_BUFFER);
    pthread_mutex_unlock(&feed.lock);
    log_set_feed(&reader);
}

static bool flush(void)
{
    bool empty;

    pthread_mutex_lock(&feed.lock);
    empty = batch_send();
    pthread_mutex_unlock(&feed.lock);
    return empty;
}

static void on_wait(void *arg)
{
    (void)arg;
    if (!flush())
        loop_timer_set(&feed.wait, FEED_WAIT_MS);
}

void feed_watch(struct loop *loop)
{
    loop_timer_init(&feed.wait, loop, on_wait, NULL);
    feed.owner = pthread_self();
    feed.watched = true;
}

void feed_end(void)
{
    flush();
    if (feed.watched)
        loop_timer_stop(&feed.wait);
    feed.watched = false;
}
