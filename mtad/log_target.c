/* log_target.c - where all processes of the suite log to, and syslog's comings and goings */
#include "mtad/log_target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/ipc/channel.h"
#include "common/os/fd.h"
#include "common/os/file.h"
#include "common/proc/logsink.h"
#include "conf/conf.h"
#include "conf/log.h"
#include "conf/top.h"

#define DEV_LOG  "/dev/log"
#define RETRY_MS 500

unsigned log_target_kind(const struct host *h)
{
    switch ((enum conf_log_kind)h->conf->log->kind) {
    case CONF_LOG_STDERR: return LOGSINK_STDERR;
    case CONF_LOG_FILE: return LOGSINK_FILE;
    case CONF_LOG_SYSLOG: return LOGSINK_SYSLOG;
    }
    return LOGSINK_STDERR;
}

static int syslog_open(struct err *err)
{
    struct sockaddr_un sun = { .sun_family = AF_UNIX, .sun_path = DEV_LOG };
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd >= 0 && connect(fd, (struct sockaddr *)&sun, sizeof sun) == 0)
        return fd;
    err_sys(err, "syslog at " DEV_LOG);
    fd_close(&fd);
    return -1;
}

int log_target_open(const struct host *h, struct err *err)
{
    int fd;

    err_clear(err);
    switch ((enum conf_log_kind)h->conf->log->kind) {
    case CONF_LOG_STDERR: return -1;
    case CONF_LOG_SYSLOG: return syslog_open(err);
    case CONF_LOG_FILE: break;
    }
    /* A symbolic link in a directory that others may write would send root's appends anywhere. */
    fd = open(h->conf->log->to, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC, 0640);
    if (fd < 0)
        err_sys(err, "log file %s", h->conf->log->to);
    return fd;
}

bool log_target_begin(struct host *h, struct err *err)
{
    int fd = log_target_open(h, err);

    if (fd < 0 && log_target_kind(h) == LOGSINK_FILE)
        return false;
    if (fd < 0 && err->text[0])
        LOG(WARN, "mtad.log.unreachable", KS("error", err->text));
    log_set_level((enum log_level)h->conf->log->level);
    logsink_open((enum logsink_kind)log_target_kind(h), fd, h->conf->log->facility, h->conf->top->hostname);
    return true;
}

/* True: somebody still waits. */
static bool children_serve(struct host *h)
{
    bool waiting = false;

    for (size_t i = 0; i < h->child_n; i++) {
        struct child *c = &h->children[i];
        struct err err = { 0 };
        struct ipc_out o;
        int fd;

        if (!c->wants_log || !c->control)
            continue;
        fd = log_target_open(h, &err);
        if (fd < 0) {
            waiting = true;
            continue;
        }
        c->wants_log = false;
        ipc_out_init(&o);
        ipc_begin(&o, IPC_LOG_FD, 0);
        ipc_put_fd(&o, fd);
        channel_send(c->control, &o);
        ipc_out_clear(&o);
    }
    return waiting;
}

static void on_timer(void *arg)
{
    struct host *h = arg;
    bool waiting = children_serve(h);

    if (!logsink_flush()) {
        struct err err = { 0 };
        int fd = log_target_open(h, &err);

        if (fd >= 0)
            logsink_replace(fd);
    }
    if (waiting || logsink_waiting() > 0)
        loop_timer_set(&h->log_timer, RETRY_MS);
}

static void on_wait(void *arg, bool dead)
{
    (void)dead;
    log_target_wanted(arg);
}

void log_target_watch(struct host *h)
{
    loop_timer_init(&h->log_timer, h->loop, on_timer, h);
    logsink_on_wait(on_wait, h);
    if (logsink_waiting() > 0)
        log_target_wanted(h);
}

void log_target_wanted(struct host *h)
{
    if (!loop_timer_is_set(&h->log_timer))
        loop_timer_set(&h->log_timer, RETRY_MS);
}

void log_target_reopen(struct host *h)
{
    struct err err = { 0 };
    int fd;

    if (log_target_kind(h) == LOGSINK_STDERR)
        return;
    fd = log_target_open(h, &err);
    if (fd < 0) {
        LOG(ERROR, "mtad.log.unreachable", KS("error", err.text));
        return;
    }
    logsink_replace(fd);
    for (size_t i = 0; i < h->child_n; i++)
        h->children[i].wants_log = h->children[i].control != NULL;
    if (children_serve(h))
        log_target_wanted(h);
}
