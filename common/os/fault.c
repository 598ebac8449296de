/* fault.c - fault points and the sync delay of check builds */
#include "common/os/fault.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static atomic_uint sync_delay_ms;

static void sleep_ms(unsigned ms)
{
    struct timespec left = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        ;
}

static int sync_with(int (*call)(int fd), int fd)
{
    unsigned ms = atomic_load_explicit(&sync_delay_ms, memory_order_relaxed);
    int rc;

    if (ms > 0)
        sleep_ms(ms);
    do {
        rc = call(fd);
    } while (rc < 0 && errno == EINTR);
    return rc;
}

int os_fdatasync(int fd)
{
    return sync_with(fdatasync, fd);
}

int os_fsync(int fd)
{
    return sync_with(fsync, fd);
}

#ifdef MANSIO_CHECK

#define POINTS_MAX 16
#define NAME_SIZE  64

enum action { ACT_CRASH, ACT_ERRNO, ACT_DELAY };

struct point {
    char name[NAME_SIZE];
    enum action action;
    unsigned value; /* errno, or milliseconds */
    unsigned count;
    bool for_ever;
};

static const struct {
    const char *name;
    int value;
} errnos[] = {
    {"ENOSPC",  ENOSPC},
    { "EIO",    EIO   },
    { "EDQUOT", EDQUOT},
    { "EMFILE", EMFILE},
    { "ENFILE", ENFILE},
    { "ENOMEM", ENOMEM},
    { "EACCES", EACCES},
    { "EPERM",  EPERM },
    { "EAGAIN", EAGAIN},
    { "EROFS",  EROFS },
    { "ENOENT", ENOENT},
    { "EEXIST", EEXIST},
    { "EFBIG",  EFBIG },
    { "EINVAL", EINVAL},
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct point points[POINTS_MAX];
static atomic_uint armed; /* points in use: none armed costs one load */

static bool action_parse(struct strv text, struct point *p)
{
    struct strv delay = SV_LIT("delay=");
    uint64_t ms;

    if (strv_is(text, "crash")) {
        p->action = ACT_CRASH;
        return true;
    }
    if (strv_starts(text, delay) && strv_u64(strv_from(text, delay.n), 600000, &ms)) {
        p->action = ACT_DELAY;
        p->value = (unsigned)ms;
        return true;
    }
    for (size_t i = 0; i < sizeof errnos / sizeof *errnos; i++) {
        if (strv_is(text, errnos[i].name)) {
            p->action = ACT_ERRNO;
            p->value = (unsigned)errnos[i].value;
            return true;
        }
    }
    return false;
}

bool fault_arm(struct strv spec, struct err *err)
{
    struct strv rest = spec, name, action, count;
    struct point p = { .count = 0 };
    uint64_t n = 0;
    unsigned used;

    if (!strv_cut(&rest, ':', &name) || name.n == 0 || !strv_cstr(name, p.name, sizeof p.name) ||
        !strv_cut(&rest, ':', &action) || !action_parse(action, &p))
        return err_set(err, ERR_CONF, "fault \"%.*s\" is not point:action[:count]", (int)spec.n, spec.p);
    if (strv_cut(&rest, ':', &count)) {
        if (!strv_u64(count, 1000000000, &n) || rest.p)
            return err_set(err, ERR_CONF, "fault \"%.*s\": bad count", (int)spec.n, spec.p);
        p.for_ever = p.action == ACT_ERRNO && n == 0;
    } else if (p.action == ACT_ERRNO) {
        n = 1;
    }
    p.count = (unsigned)n;
    pthread_mutex_lock(&lock);
    used = atomic_load(&armed);
    if (used < POINTS_MAX) {
        points[used] = p;
        atomic_store(&armed, used + 1);
    }
    pthread_mutex_unlock(&lock);
    return used < POINTS_MAX || err_set(err, ERR_LIMIT, "more than %d fault points", POINTS_MAX);
}

void fault_disarm_all(void)
{
    pthread_mutex_lock(&lock);
    atomic_store(&armed, 0);
    pthread_mutex_unlock(&lock);
}

void fault_sync_delay(unsigned ms)
{
    atomic_store(&sync_delay_ms, ms);
}

/* Whether the point strikes now; counts down. */
static bool point_strikes(struct point *p)
{
    if (p->action == ACT_ERRNO) {
        if (p->for_ever)
            return true;
        if (p->count == 0)
            return false;
        p->count--;
        return true;
    }
    if (p->count > 0) {
        p->count--;
        return false;
    }
    return true;
}

int fault_point(const char *name)
{
    struct point hit = { .action = ACT_ERRNO };

    if (atomic_load_explicit(&armed, memory_order_relaxed) == 0)
        return 0;
    pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < atomic_load(&armed); i++) {
        if (strcmp(points[i].name, name) == 0 && point_strikes(&points[i])) {
            hit = points[i];
            break;
        }
    }
    pthread_mutex_unlock(&lock);
    if (hit.action == ACT_CRASH) {
        /* The filter lets a process signal only itself, and only this way. */
        syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGKILL);
        _exit(137);
    }
    if (hit.action == ACT_DELAY)
        sleep_ms(hit.value);
    return hit.action == ACT_ERRNO ? (int)hit.value : 0;
}

#else

int fault_point(const char *name)
{
    (void)name;
    return 0;
}

bool fault_arm(struct strv spec, struct err *err)
{
    (void)spec;
    return err_set(err, ERR_CONF, "fault points exist only in check builds");
}

void fault_disarm_all(void)
{
}

void fault_sync_delay(unsigned ms)
{
    (void)ms;
}

#endif
