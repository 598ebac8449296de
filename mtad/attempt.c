/* attempt.c - check build, --try-forbidden: every child and thread tries every forbidden act */
#include "mtad/attempt.h"

#ifdef MANSIO_CHECK

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/os/fd.h"
#include "common/proc/forbidden.h"
#include "conf/conf.h"
#include "conf/processes.h"
#include "conf/queue.h"
#include "mtad/agent.h"
#include "mtad/child.h"
#include "mtad/drain.h"

#define ANSWER_MS 5000

struct attempt {
    size_t target; /* index of children; child_n: the agent */
    unsigned thread, thread_n;
    size_t act;
    unsigned tried, holes;
    struct channel *agent; /* owned */
    int listener;          /* abstract socket that nobody may reach */
    char name[64];         /* its name */
    struct loop_timer timer;
};

static void act_send(struct host *h);

static void done(struct host *h)
{
    struct attempt *a = h->attempt;

    printf("%u acts tried, %u not refused\n", a->tried, a->holes);
    fflush(stdout);
    loop_timer_stop(&a->timer);
    if (a->agent)
        channel_free(&a->agent);
    fd_close(&a->listener);
    h->status = a->holes > 0 ? 1 : 0;
    drain_begin(h);
}

static void report(struct host *h, const char *outcome)
{
    struct attempt *a = h->attempt;
    char label[48] = "agent";

    if (a->target < h->child_n)
        child_label(&h->children[a->target], label);
    printf("%s thread=%u act=%s %s\n", label, a->thread, forbidden_acts[a->act].name, outcome);
    fflush(stdout);
}

static enum role target_role(const struct host *h)
{
    return h->attempt->target < h->child_n ? h->children[h->attempt->target].role : ROLE_AGENT;
}

static struct channel *target_channel(struct host *h)
{
    struct attempt *a = h->attempt;

    return a->target < h->child_n ? h->children[a->target].control : a->agent;
}

static void target_next(struct host *h)
{
    struct attempt *a = h->attempt;

    a->target++;
    a->thread = a->thread_n = 0;
    a->act = 0;
    if (a->target > h->child_n)
        done(h);
    else
        act_send(h);
}

static void act_next(struct host *h)
{
    struct attempt *a = h->attempt;

    a->act++;
    if (!forbidden_acts[a->act].name) {
        a->act = 0;
        a->thread++;
    }
    if (a->thread > a->thread_n)
        target_next(h);
    else
        act_send(h);
}

/* Another's files: queued tries mapd's, the others try the spool. */
static void path_of_act(const struct host *h, char *dst, size_t size)
{
    const char *act = forbidden_acts[h->attempt->act].name;

    if (strcmp(act, "connect-abstract") == 0)
        snprintf(dst, size, "%s", h->attempt->name);
    else if (target_role(h) == ROLE_QUEUED)
        snprintf(dst, size, "%s/mapd/forbidden", h->conf->processes->state);
    else
        snprintf(dst, size, "%s/%s", h->conf->queue->directory,
                 strcmp(act, "spool-unlink") == 0 ? "lock" : "forbidden");
}

static void act_send(struct host *h)
{
    struct attempt *a = h->attempt;
    struct channel *ch = target_channel(h);
    char path[PATH_MAX];
    struct ipc_out o;

    if (!ch) {
        report(h, "DIED");
        a->holes++;
        target_next(h);
        return;
    }
    path_of_act(h, path, sizeof path);
    ipc_out_init(&o);
    ipc_begin(&o, IPC_TRY, channel_txn_new(ch));
    ipc_put_text(&o, TAG_ACT, SV(forbidden_acts[a->act].name));
    ipc_put_u64(&o, TAG_INDEX, a->thread);
    ipc_put_text(&o, TAG_PATH, SV(path));
    channel_send(ch, &o);
    ipc_out_clear(&o);
    loop_timer_set(&a->timer, ANSWER_MS);
}

/* An act that killed its process is a refusal too, but a rude one: the table promises an errno. */
static void on_silence(void *arg)
{
    struct host *h = arg;

    report(h, "NO ANSWER");
    h->attempt->holes++;
    target_next(h);
}

void attempt_tried(struct host *h, struct channel *ch, struct ipc_in *in)
{
    struct attempt *a = h->attempt;
    const struct forbidden_act *act;
    char outcome[256];
    int sys = (int)ipc_get_u64(in, TAG_SYS);
    const char *name = strerrorname_np(sys);

    if (!a || ch != target_channel(h) || !strv_is(ipc_get(in, TAG_ACT), forbidden_acts[a->act].name))
        return;
    act = &forbidden_acts[a->act];
    a->tried++;
    if (sys == 0 && (act->exempt & ROLE_BIT(target_role(h)))) {
        snprintf(outcome, sizeof outcome, "permitted (%s)", act->why);
    } else if (sys == 0) {
        snprintf(outcome, sizeof outcome, "NOT REFUSED");
        a->holes++;
    } else {
        snprintf(outcome, sizeof outcome, "refused %s", name ? name : "?");
    }
    a->thread_n = (unsigned)ipc_get_u64(in, TAG_COUNT);
    report(h, outcome);
    act_next(h);
}

static void on_agent_frame(void *arg, struct channel *ch, struct ipc_in *in)
{
    attempt_tried(arg, ch, in);
}

static void on_agent_lost(void *arg, struct channel *ch, const char *why)
{
    struct host *h = arg;

    (void)ch;
    (void)why;
    channel_free(&h->attempt->agent);
}

static const struct channel_ops agent_ops = { .frame = on_agent_frame, .lost = on_agent_lost };

static int abstract_listen(const char *name)
{
    struct sockaddr_un sun = { .sun_family = AF_UNIX };
    size_t n = strlen(name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memcpy(sun.sun_path + 1, name, n);
    if (fd >= 0 &&
        (bind(fd, (struct sockaddr *)&sun, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n)) < 0 ||
         listen(fd, 128) < 0))
        fd_close(&fd);
    return fd;
}

void attempt_begin(struct host *h)
{
    struct attempt *a = mem_new(sizeof *a);
    struct err err = { 0 };
    int fd;

    h->attempt = a;
    loop_timer_init(&a->timer, h->loop, on_silence, h);
    snprintf(a->name, sizeof a->name, "mansio-forbidden-%d", (int)getpid());
    a->listener = abstract_listen(a->name);
    if (a->listener < 0)
        die("cannot listen on an abstract socket: %s", strerror(errno));
    fd = agent_for_attempt(h, &err);
    if (fd >= 0)
        a->agent = channel_new(h->loop, fd, ROLE_MTAD, ROLE_AGENT, 0, &agent_ops, h);
    else
        LOG(ERROR, "mtad.attempt.failed", KS("error", err.text));
    act_send(h);
}

#else

void attempt_begin(struct host *h)
{
    (void)h;
}

void attempt_tried(struct host *h, struct channel *ch, struct ipc_in *in)
{
    (void)h;
    (void)ch;
    (void)in;
}

#endif
