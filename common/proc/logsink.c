/* logsink.c - where log lines of a process go */
#include "common/proc/logsink.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/os/fd.h"

#define LINE_SIZE  (4096 + 512)
#define NAME_SHOWN 32u

static struct {
    pthread_mutex_t lock; /* threads may log; nobody waits long */
    pthread_t owner;      /* who may be told */
    enum logsink_kind kind;
    int fd;
    int facility;
    char host[256];
    int64_t second; /* of stamp */
    char stamp[64], zone[32];
    bool dead;
    bool torn;  /* the last line that we began has no end: the disk was full */
    bool doubt; /* nothing could be written lately: perhaps a line of another process has no end */
    void (*on_wait)(void *arg, bool dead);
    void *arg;
    char *ring; /* owned; lines as u16 length + bytes, oldest at 0 */
    size_t used;
    unsigned lost;
} sink = { .lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1 };

static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

/* localtime once per second, not once per line. */
static void stamp_update(int64_t wall_ms)
{
    time_t t = (time_t)(wall_ms / 1000);
    struct tm tm;
    long off;

    if (sink.second == t && sink.stamp[0])
        return;
    sink.second = t;
    localtime_r(&t, &tm);
    if (sink.kind == LOGSINK_SYSLOG) {
        snprintf(sink.stamp, sizeof sink.stamp, "%s %2d %02d:%02d:%02d", months[tm.tm_mon % 12], tm.tm_mday,
                 tm.tm_hour, tm.tm_min, tm.tm_sec);
        return;
    }
    snprintf(sink.stamp, sizeof sink.stamp, "%04d-%02d-%02dT%02d:%02d:%02d", tm.tm_year + 1900, tm.tm_mon + 1,
             tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
    off = tm.tm_gmtoff / 60;
    snprintf(sink.zone, sizeof sink.zone, "%c%02ld:%02ld", off < 0 ? '-' : '+', (off < 0 ? -off : off) / 60,
             (off < 0 ? -off : off) % 60);
}

static int priority_of(enum log_level level)
{
    static const int severities[] = {
        [LOG_LV_ERROR] = LOG_ERR,
        [LOG_LV_WARN] = LOG_WARNING,
        [LOG_LV_INFO] = LOG_INFO,
        [LOG_LV_DEBUG] = LOG_DEBUG,
    };

    return sink.facility | severities[level];
}

static void put(char *dst, size_t *at, struct strv s)
{
    size_t room = LINE_SIZE - 1 - *at, n = s.n < room ? s.n : room;

    if (n)
        memcpy(dst + *at, s.p, n);
    *at += n;
}

static void put_number(char *dst, size_t *at, unsigned v, unsigned width)
{
    char text[10];
    unsigned from = sizeof text;

    for (; v > 0 || from == sizeof text || sizeof text - from < width; v /= 10)
        text[--from] = (char)('0' + v % 10);
    put(dst, at, strv_make(text + from, sizeof text - from));
}

/* Two lines for every message, so by hand: the format language takes as long as the rest of a line. */
static size_t line_make(char *dst, enum log_level level, const char *line, size_t len)
{
    bool syslog = sink.kind == LOGSINK_SYSLOG;
    int64_t now = clock_wall_ms();
    size_t at = 0;

    stamp_update(now);
    if (syslog) {
        put(dst, &at, SV_LIT("<"));
        put_number(dst, &at, (unsigned)priority_of(level), 1);
        put(dst, &at, SV_LIT(">"));
    }
    put(dst, &at, SV(sink.stamp));
    if (!syslog) {
        put(dst, &at, SV_LIT("."));
        put_number(dst, &at, (unsigned)(now % 1000), 3);
        put(dst, &at, SV(sink.zone));
        put(dst, &at, SV_LIT(" "));
        put(dst, &at, SV(sink.host));
    }
    put(dst, &at, SV_LIT(" mansio/"));
    put(dst, &at, strv_sub(SV(log_name()), 0, NAME_SHOWN));
    put(dst, &at, SV_LIT("["));
    put_number(dst, &at, (unsigned)getpid(), 1);
    put(dst, &at, SV_LIT("]: "));
    if (!syslog) {
        put(dst, &at, SV(log_level_name(level)));
        put(dst, &at, SV_LIT(" "));
    }
    put(dst, &at, strv_make(line, len));
    if (syslog)
        return at;
    /* Not reached by log_emit's lines; a cut line still ends. */
    if (at == LINE_SIZE - 1)
        at--;
    dst[at++] = '\n';
    return at;
}

enum outcome { WRITTEN, SLOW, DEAD, GONE };

static int file_fd(void)
{
    return sink.kind == LOGSINK_FILE ? sink.fd : STDERR_FILENO;
}

/* The file cannot be read: an empty line, where it was not torn, is the price. */
static bool torn_end(int fd)
{
    if ((sink.torn || sink.doubt) && !fd_write_full(fd, "\n", 1))
        return false;
    sink.torn = sink.doubt = false;
    return true;
}

/* One write per line: lines of several processes in one file must not mix (O_APPEND). */
static enum outcome file_write(int fd, const char *line, size_t len)
{
    ssize_t n;

    if (!torn_end(fd))
        return GONE;
    do {
        n = write(fd, line, len);
    } while (n < 0 && errno == EINTR);
    if (n > 0 && ((size_t)n == len || fd_write_full(fd, line + n, len - (size_t)n)))
        return WRITTEN;
    sink.torn = n > 0 && sink.kind == LOGSINK_FILE;
    sink.doubt = true;
    return GONE;
}

static enum outcome line_write(const char *line, size_t len)
{
    if (sink.kind != LOGSINK_SYSLOG)
        return file_write(file_fd(), line, len);
    if (sink.fd < 0)
        return DEAD;
    while (send(sink.fd, line, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
        if (errno == EINTR)
            continue;
        if (errno == EMSGSIZE)
            return GONE;
        return errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM ? SLOW : DEAD;
    }
    return WRITTEN;
}

static void ring_add(const char *line, size_t len)
{
    uint16_t n = (uint16_t)len;

    if (!sink.ring || sink.used + sizeof n + len > LOGSINK_RING) {
        sink.lost++;
        return;
    }
    memcpy(sink.ring + sink.used, &n, sizeof n);
    memcpy(sink.ring + sink.used + sizeof n, line, len);
    sink.used += sizeof n + len;
}

static void lost_tell(void)
{
    char text[128], line[LINE_SIZE];
    int len = snprintf(text, sizeof text, "event=log.lines.lost lines=%u", sink.lost);

    if (line_write(line, line_make(line, LOG_LV_WARN, text, (size_t)len)) == WRITTEN)
        sink.lost = 0;
}

/* A reader that was slow is told of the lost lines as soon as it has room; a full disk by the next line. */
static bool lost_waits(void)
{
    return sink.lost > 0 && sink.kind == LOGSINK_SYSLOG;
}

static enum outcome ring_write(void)
{
    enum outcome outcome = WRITTEN;
    size_t at = 0;

    while (at < sink.used) {
        uint16_t n;

        memcpy(&n, sink.ring + at, sizeof n);
        outcome = line_write(sink.ring + at + sizeof n, n);
        if (outcome == SLOW || outcome == DEAD)
            break;
        at += sizeof n + n;
    }
    if (at > 0)
        memmove(sink.ring, sink.ring + at, sink.used - at);
    sink.used -= at;
    if (sink.used == 0 && sink.lost > 0)
        lost_tell();
    return sink.used == 0 ? WRITTEN : outcome;
}

/* Whether the owner has to hear of it; called with the lock held. */
static bool wait_begins(enum outcome outcome, bool waited)
{
    bool news = outcome == DEAD ? !sink.dead : !waited;

    if (outcome == DEAD)
        sink.dead = true;
    return news && sink.on_wait && pthread_equal(sink.owner, pthread_self());
}

static void sink_line(void *arg, enum log_level level, const char *text, size_t text_len)
{
    char line[LINE_SIZE] MEM_UNSET; /* line_make says how much of it is set */
    enum outcome outcome;
    size_t len;
    bool waited, torn, tell = false;

    (void)arg;
    pthread_mutex_lock(&sink.lock);
    torn = sink.torn;
    len = line_make(line, level, text, text_len);
    waited = sink.used > 0;
    outcome = waited ? ring_write() : WRITTEN;
    if (!waited && sink.lost > 0)
        lost_tell();
    if (outcome == WRITTEN || outcome == GONE)
        outcome = line_write(line, len);
    if (outcome == SLOW || outcome == DEAD) {
        ring_add(line, len);
        tell = wait_begins(outcome, waited);
    } else if (outcome == GONE) {
        sink.lost++;
        /* Others write behind it as soon as there is room: its end must not wait for our next line. */
        tell = sink.torn && !torn && wait_begins(GONE, false);
    }
    pthread_mutex_unlock(&sink.lock);
    if (tell)
        sink.on_wait(sink.arg, outcome == DEAD);
}

void logsink_open(enum logsink_kind kind, int fd, int facility, const char *host)
{
    fd_close(&sink.fd);
    sink.kind = kind;
    sink.fd = fd;
    sink.facility = facility;
    sink.dead = sink.torn = sink.doubt = false;
    sink.stamp[0] = '\0';
    sink.owner = pthread_self();
    snprintf(sink.host, sizeof sink.host, "%s", host);
    if (kind == LOGSINK_SYSLOG && !sink.ring)
        sink.ring = mem_new(LOGSINK_RING);
    tzset();
    stamp_update(clock_wall_ms());
    log_set_sink(sink_line, NULL);
}

void logsink_replace(int fd)
{
    struct stat st = { .st_size = 1 };

    pthread_mutex_lock(&sink.lock);
    fd_close(&sink.fd);
    sink.fd = fd;
    sink.dead = false;
    /* Mostly the same file once more. */
    if (sink.kind == LOGSINK_SYSLOG || (fstat(fd, &st) == 0 && st.st_size == 0))
        sink.torn = sink.doubt = false;
    pthread_mutex_unlock(&sink.lock);
    /* All processes write what they kept at once: the reader's queue is short, and the rest waits again. */
    if (!logsink_flush() && !sink.dead && sink.on_wait)
        sink.on_wait(sink.arg, false);
}

enum logsink_kind logsink_kind_now(void)
{
    return sink.kind;
}

int logsink_fd(void)
{
    return sink.fd;
}

void logsink_on_wait(void (*fn)(void *arg, bool dead), void *arg)
{
    sink.on_wait = fn;
    sink.arg = arg;
    sink.owner = pthread_self();
}

bool logsink_flush(void)
{
    enum outcome outcome;
    bool tell, empty;

    pthread_mutex_lock(&sink.lock);
    if (sink.torn)
        torn_end(file_fd());
    outcome = ring_write();
    tell = outcome == DEAD && wait_begins(DEAD, true);
    empty = sink.used == 0 && !sink.torn && !lost_waits();
    pthread_mutex_unlock(&sink.lock);
    if (tell)
        sink.on_wait(sink.arg, true);
    return empty;
}

size_t logsink_waiting(void)
{
    return sink.used + sink.torn + lost_waits();
}
