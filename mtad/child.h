/* child.h - one daemon process: its start with everything it gets, its edges, its end */
#pragma once

#include "mtad/host.h"

/* "smtpd[1]", for log lines. */
const char *child_label(const struct child *c, char dst[48]);

/* Starts the process and sends SETUP, sources, listeners, edges (new ends to the running peers too), START.
 */
bool child_start(struct child *c, struct err *err) __attribute__((warn_unused_result));
/* The process is gone: channel freed, peers told. */
void child_forget(struct child *c);
struct child *child_find(struct host *h, enum role role, unsigned index);
struct child *child_by_pid(struct host *h, pid_t pid);
void child_drain(struct child *c, int64_t deadline_ms);

/* SETUP of any process, agents too; log descriptor included. The caller adds fields and sends. jail: -1 for
   none; conf: -1 for none. Descriptors are duplicated. */
struct setup_frame {
    enum role role;
    unsigned index, process;
    const char *user; /* NULL: none */
    uid_t uid;
    gid_t gid, group;
    int conf, jail;
    bool peer_mtad;
    bool spool;   /* agent: a second SOURCE follows */
    bool command; /* agent: runs commands */
    bool faults; /* arm the fault points: the first start only, or a crash would repeat for ever */
};
struct ipc_out;
void child_setup_frame(struct host *h, const struct setup_frame *s, struct ipc_out *o);
