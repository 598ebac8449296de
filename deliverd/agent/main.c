/* main.c - mansio-agent: a recipient's hands; stores messages in one user's mailboxes, then ends */
#include <signal.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/net/loop.h"
#include "common/proc/agent_start.h"
#include "common/proc/logsink.h"
#include "deliverd/agent/session.h"

static struct session session;          /* its buffers are large */

static struct command command;

static void command_take(const struct agent_start *start)
{
    command = (struct command){ .user = start->user,
                                .home = start->root_path,
                                .from_line = start->from_line,
                                .literal = start->literal,
                                .of_user = start->of_user,
                                .timeout_s = start->timeout_s,
                                .channel_fd = start->channel_fd };
    for (size_t i = 0; i < COMMAND_ARGS_MAX && start->argv[i]; i++)
        command.argv[i] = start->argv[i];
}

int main(void)
{
    struct agent_start start;
    struct err err = { 0 };
    struct maildir_place place, spool;
    struct loop *loop;

    /* A limit on file sizes that the user has is a failed write with words, not a death. */
    signal(SIGXFSZ, SIG_IGN);
    if (!agent_start(&start, &err))
        return 1;
    place = (struct maildir_place){ start.root_fd, start.root_path, start.hostname, geteuid() };
    loop = loop_new();
    LOG(DEBUG, "agent.started", KS("user", start.user), KS("mailbox", start.mailbox), KI("uid", place.uid),
        KS("root", start.root_path));
    spool = (struct maildir_place){ start.spool_fd, start.spool_path, start.hostname, place.uid };
    if (start.argv)
        command_take(&start);
    session_start(&session, loop, start.channel_fd, start.peer, &place, spool.root_fd < 0 ? NULL : &spool);
    if (start.argv)
        session.deposit.command = &command;
    loop_run(loop);
    session_end(&session);
    loop_free(&loop);
    agent_start_clear(&start);
    logsink_flush();
    return 0;
}
