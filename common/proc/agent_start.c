/* agent_start.c - how mansio-agent begins: what mtad left for it on its channel, then the walls */
#include "common/proc/agent_start.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/os/fd.h"
#include "common/os/priv.h"
#include "common/proc/forbidden.h"
#include "common/proc/frame_io.h"
#include "common/proc/sanitizer.h"
#include "common/proc/setup.h"
#include "common/proc/startup.h"

#define ARGS_MAX 64u

/* SETUP, then SOURCE: the mailbox root, and perhaps one more, where mbox files lie. */
static bool frames_complete(const struct agent_start *a, const struct startup *s)
{
    return s->sources && (!s->two_sources || s->sources->next) && (!s->command || a->argv);
}

static bool command_take(struct agent_start *a, struct ipc_in *in, struct err *err)
{
    size_t at = 0, n = 0;
    struct strv value;

    a->argv = mem_array(ARGS_MAX + 1, sizeof *a->argv);
    while (ipc_next(in, TAG_VALUE, &at, &value)) {
        if (n == ARGS_MAX)
            return err_set(err, ERR_CONF, "the command has more than %u arguments", ARGS_MAX);
        a->argv[n++] = strv_dup(value);
    }
    a->timeout_s = (long)ipc_get_u64(in, TAG_DEADLINE);
    a->from_line = ipc_get_u64(in, TAG_FLAGS) & COMMAND_FROM_LINE;
    a->literal = ipc_get_u64(in, TAG_FLAGS) & COMMAND_LITERAL;
    a->of_user = ipc_get_u64(in, TAG_FLAGS) & COMMAND_OF_USER;
    return n > 0 || err_set(err, ERR_PROTO, "mtad sent an empty command");
}

static bool frames_read(struct agent_start *a, struct startup *s, struct err *err)
{
    static char buf[IPC_FRAME_MAX];

    while (!frames_complete(a, s)) {
        enum startup_step step;
        struct ipc_in in;
        int n = frame_io_recv(CONTROL_FD, buf, ROLE_AGENT, ROLE_MTAD, &in, err);
        bool ok;

        if (n == 0)
            return err_set(err, ERR_TEMP, "mtad went away before the start was complete");
        if (n < 0)
            return false;
        ok = in.type == IPC_A_COMMAND && !a->argv ? command_take(a, &in, err)
                                                  : startup_frame(s, ROLE_AGENT, &in, &step, err);
        frame_io_drop(&in);
        if (!ok)
            return false;
    }
    if (s->sources->kind != SOURCE_ROOT || s->sources->fd < 0)
        return err_set(err, ERR_PROTO, "mtad sent no mailbox root");
    return true;
}

/* The user with all groups that the system knows; looking them up is this process's own time. */
static bool become_user(struct agent_start *a, const struct startup *s, struct err *err)
{
    if (!s->unprivileged && !priv_become(a->user, s->uid, s->gid, err))
        return false;
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    return fchdir(a->root_fd) == 0 || chdir("/") == 0 || err_sys(err, "stand anywhere");
}

static bool begin(struct agent_start *a, struct startup *s, struct err *err)
{
    if (!frames_read(a, s, err))
        return false;
    a->root_fd = s->sources->fd;
    s->sources->fd = -1;
    a->root_path = mem_str(s->sources->path);
    if (s->sources->next) {
        a->spool_fd = s->spool_fd = s->sources->next->fd;
        s->sources->next->fd = -1;
        a->spool_path = mem_str(s->sources->next->path);
    }
    snprintf(a->user, sizeof a->user, "%s", s->user);
    snprintf(a->mailbox, sizeof a->mailbox, "%s", s->sources->name);
    snprintf(a->hostname, sizeof a->hostname, "%s", s->hostname);
    a->uid = s->uid;
    a->gid = s->gid;
    a->unprivileged = s->unprivileged;
    a->peer = s->peer_mtad ? ROLE_MTAD : ROLE_DELIVERD;
    if (s->command)
        return become_user(a, s, err);
    s->jail_fd = a->root_fd;
    if (!startup_confine(s, a->root_fd, err) || !startup_seal(s, err))
        return false;
    s->jail_fd = -1;
    return true;
}

bool agent_start(struct agent_start *a, struct err *err)
{
    struct startup s;
    bool ok;

    memset(a, 0, sizeof *a);
    a->root_fd = a->spool_fd = -1;
    a->channel_fd = CONTROL_FD;
    sanitizer_settings();
    log_set_name("agent");
    prctl(PR_SET_NAME, "mansio-agent", 0, 0, 0);
    signal(SIGPIPE, SIG_IGN);
    umask(077);
    startup_init(&s);
    fd_cloexec(CONTROL_FD, true);
    ok = begin(a, &s, err);
    if (!ok)
        LOG(ERROR, "proc.start.failed", KS("user", s.user), KS("error", err->text));
    s.jail_fd = -1;
    startup_clear(&s);
    return ok;
}

void agent_start_clear(struct agent_start *a)
{
    fd_close(&a->root_fd);
    fd_close(&a->spool_fd);
    MEM_FREE(a->spool_path);
    for (size_t i = 0; a->argv && a->argv[i]; i++)
        free(a->argv[i]);
    MEM_FREE(a->argv);
    MEM_FREE(a->root_path);
}

bool agent_common_frame(struct channel *ch, struct ipc_in *in)
{
#ifdef MANSIO_CHECK
    const struct forbidden_act *act;
    char path[4096];
    struct ipc_out o;

    if (in->type != IPC_TRY)
        return false;
    act = forbidden_find(ipc_get(in, TAG_ACT));
    if (!strv_cstr(ipc_get(in, TAG_PATH), path, sizeof path))
        path[0] = '\0';
    ipc_out_init(&o);
    ipc_begin(&o, IPC_TRIED, in->txn);
    ipc_put_text(&o, TAG_ACT, ipc_get(in, TAG_ACT));
    ipc_put_u64(&o, TAG_INDEX, 0);
    ipc_put_u64(&o, TAG_SYS, act ? (uint64_t)act->run(path) : ENOENT);
    ipc_put_u64(&o, TAG_COUNT, 0);
    channel_send(ch, &o);
    ipc_out_clear(&o);
    return true;
#else
    (void)ch;
    (void)in;
    return false;
#endif
}
