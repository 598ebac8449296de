/* agent_start.h - how mansio-agent begins: what mtad left for it on its channel, then the walls
 *
 * mtad queues SETUP and SOURCE on the agent's end before deliverd gets the other one, so the first two frames
 * come from mtad although the channel's peer is deliverd afterwards. The agent stands in its mailbox root: as
 * root that directory is its chroot, and everything it opens is relative to root_fd (or to its current
 * directory).
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "common/base/err.h"
#include "common/base/role.h"
#include "common/ipc/channel.h"

struct agent_start {
    char user[65]; /* system user that the agent is */
    uid_t uid;
    gid_t gid;
    char mailbox[65];   /* label of the mailbox section */
    int spool_fd;       /* directory of mbox files; -1: none */
    char *spool_path;   /* owned: the same outside; NULL */
    char *root_path;    /* owned: what root_fd is outside of the jail, for messages */
    int root_fd;        /* directory; mailbox paths are below it */
    int channel_fd;     /* to deliverd: for channel_new(loop, fd, ROLE_AGENT, peer, ...) */
    enum role peer;     /* ROLE_DELIVERD; ROLE_MTAD when a check build tries the walls */
    char hostname[256]; /* for file names */
    bool unprivileged;
    /* An agent that runs commands: argv as configured, NULL-ended, owned; NULL for one that stores. */
    char **argv;
    bool from_line;
    bool literal; /* no argument stands for a value */
    bool of_user; /* the last argument is a command of the user's ~/.forward */
    long timeout_s;
};

/* An agent that runs commands has given up root for the user's ids and groups, and nothing else: its programs
   are set-id or need files everywhere.
   All of it: log, ids, chroot, limits, Landlock, filter, proof. False: nothing can be done but exit 1 (err is
   already in the log when there was one). Only the calling thread may exist, and no loop yet. */
bool agent_start(struct agent_start *a, struct err *err) __attribute__((warn_unused_result));
void agent_start_clear(struct agent_start *a);

/* Frames that every agent answers alike (check build). False: not one of these. */
bool agent_common_frame(struct channel *ch, struct ipc_in *in);
