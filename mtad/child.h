/* child.h - one daemon process: its start with everything it gets, its edges, its end */
#pragma once

#include "common/base/log.h"
#include "common/ipc/schema.h"
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
/* delay_ms: so long it goes on with what it has, as processes of a former generation do; -1: it finishes now.
 */
void child_drain(struct child *c, int64_t deadline_ms, int64_t delay_ms);
void child_level_send(struct child *c, enum log_level level);
void child_source_send(struct child *c, enum ipc_source kind, const char *name, const char *path, int fd);
/* They talk to each other: an edge of the graph, and of one generation unless one of them has none. */
bool child_is_peer(const struct child *a, const struct child *b);

/* SETUP of any process, agents too; log descriptor included. The caller adds fields and sends. jail: -1 for
   none; conf: -1 for none. Descriptors are duplicated. */
struct setup_frame {
    enum role role;
    unsigned index, process, generation;
    const char *user; /* NULL: none */
    uid_t uid;
    gid_t gid, group;
    int conf, jail;
    bool peer_mtad;
    bool spool;   /* agent: a second SOURCE follows */
    bool command; /* agent: runs commands */
    bool faults;  /* arm the fault points: the first start only, or a crash would repeat for ever */
};
struct ipc_out;
void child_setup_frame(struct host *h, const struct setup_frame *s, struct ipc_out *o);
