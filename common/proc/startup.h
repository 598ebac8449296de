/* startup.h - what mtad tells a child before it begins, and the walls that follow from it */
#pragma once

#include <sys/types.h>

#include "common/ipc/frame.h"
#include "common/proc/daemon.h"

struct startup_edge {
    enum role peer;
    unsigned index;
    bool lived;
    int fd;
    struct startup_edge *next;
};

struct startup {
    enum role role;
    unsigned index, generation, process;
    bool unprivileged;
    unsigned landlock;
    char *user; /* owned, like hostname; NULL when not told */
    uid_t uid;
    gid_t gid, group;
    char *hostname;
    int conf_fd, jail_fd; /* -1 when absent */
    bool peer_mtad;       /* agent */
    bool two_sources;     /* agent: the second one is a spool directory */
    bool command;         /* agent: runs commands, so that most walls would stand in their way */
    int spool_fd;         /* borrowed: what stays within reach beside landlock_dir; -1: nothing */
    struct daemon_listener *listeners;
    struct daemon_source *sources;
    struct startup_edge *edges; /* in the order of the frames */
};

enum startup_step { STARTUP_MORE, STARTUP_COMPLETE };

void startup_init(struct startup *s);
void startup_clear(struct startup *s);
/* One frame of mtad before START. SETUP opens the log, seeds the ids and arms the fault points. The first
   frame must be SETUP for `role`. */
bool startup_frame(struct startup *s, enum role role, struct ipc_in *in, enum startup_step *step,
                   struct err *err) __attribute__((warn_unused_result));
struct daemon_source *startup_source(struct ipc_in *in); /* of a SOURCE frame; the caller owns it */

/* Before threads: jail, ids, limits, no_new_privs, Landlock. landlock_dir: what stays within reach, or -1. */
bool startup_confine(const struct startup *s, int landlock_dir, struct err *err)
    __attribute__((warn_unused_result));
/* After threads: no forks, filter, proof. */
bool startup_seal(const struct startup *s, struct err *err) __attribute__((warn_unused_result));
