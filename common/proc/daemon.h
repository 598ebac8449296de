/* daemon.h - what every daemon shares: start from mtad's frames, confinement, edges, drain, exit
 *
 * Order: frames of mtad up to START -> configuration, log -> open -> chroot, ids, limits, no_new_privs,
 * Landlock -> loop -> threads -> system call filter on all threads -> proof -> edge for each peer known ->
 * start -> READY. The current directory is the jail: empty, but the spool for queued and the state directory
 * (compiled maps) for mapd, which may open below it with relative paths or below their SOURCE_SPOOL /
 * SOURCE_STATE descriptor. As root it is the chroot too. mapd-worker has no chroot (name services) and stands
 * in /.
 */
#pragma once

#include "common/base/err.h"
#include "common/base/netaddr.h"
#include "common/base/role.h"
#include "common/ipc/channel.h"
#include "common/ipc/schema.h"

struct conf;
struct loop;
struct daemon;

struct daemon_listener {
    char *name; /* listen section's label */
    struct netaddr address;
    int fd; /* -1 once taken */
    struct daemon_listener *next;
};

struct daemon_source {
    enum ipc_source kind;
    char *name; /* map name, mailbox label, ... */
    char *path; /* what mtad opened, for messages */
    int fd;     /* -1 once taken */
    struct daemon_source *next;
};

struct daemon_spec {
    const char *name; /* "queued" */
    enum role role;
    /* Before confinement (root, if started so): warm up what a jail hides. May be NULL. */
    bool (*open)(struct daemon *d, struct err *err);
    /* Makes threads (the loop exists). After ids and Landlock, before seccomp (TSYNC covers them). May be
     * NULL. */
    bool (*threads)(struct daemon *d, struct err *err);
    /* Confined; edges known so far were announced through `edge` before. READY follows. */
    bool (*start)(struct daemon *d, struct err *err);
    /* A peer's channel is there, or was replaced (the daemon must give up the old one: its `lost` comes
       first). Takes fd: the daemon makes the channel with its own ops. lived: the peer ran before us (queued,
       deliverd). */
    void (*edge)(struct daemon *d, enum role peer, unsigned index, int fd, bool lived);
    /* A peer was ended and will not present anything any more (queued waits for inventories). May be NULL. */
    void (*peer_gone)(struct daemon *d, enum role peer, unsigned index);
    /* A peer of a former generation finishes what it has: nothing new for it. May be NULL. */
    void (*peer_retired)(struct daemon *d, enum role peer, unsigned index);
    /* A new generation took over: no new clients; those that are there go on until `drain` is called, after
       delay_ms. NULL: drain is called at once. */
    void (*retire)(struct daemon *d, int64_t delay_ms);
    /* SIGTERM or DRAIN: stop accepting, finish, then call daemon_exit(d, 0) before the deadline (which forces
     * it). */
    void (*drain)(struct daemon *d, int64_t deadline_ms);
    /* New source after start (a table replaced, a configuration: source_conf.h). May be NULL. */
    void (*source)(struct daemon *d, struct daemon_source *s);
    void (*agent_reply)(struct daemon *d, struct ipc_in *in); /* deliverd only */
    /* Frames of mtad that the skeleton does not know (helper answers, ...). May be NULL. */
    void (*control)(struct daemon *d, struct ipc_in *in);
    /* About to be asked for its numbers: sets gauges (metric.h) that nobody keeps. May be NULL. */
    void (*measure)(struct daemon *d);
    /* Check build: runs fn(arg) on extra thread 1..thread_count and waits for its end. NULL: no threads. */
    void (*run_on_thread)(struct daemon *d, unsigned thread, void (*fn)(void *arg), void *arg);
    unsigned thread_count; /* threads that `threads` makes */
};

/* main() of every daemon. */
int daemon_main(const struct daemon_spec *spec, int argc, char **argv);

struct loop *daemon_loop(struct daemon *d);
const struct conf *daemon_conf(const struct daemon *d);
unsigned daemon_index(const struct daemon *d);
unsigned daemon_generation(const struct daemon *d);
bool daemon_unprivileged(const struct daemon *d);
struct daemon_listener *daemon_listeners(struct daemon *d);
struct daemon_source *daemon_sources(struct daemon *d);
/* The source of that kind (and name, unless NULL); NULL when mtad sent none. Take its fd, leave the rest. */
struct daemon_source *daemon_source_find(struct daemon *d, enum ipc_source kind, const char *name);
const char *daemon_hostname(const struct daemon *d);
struct channel *daemon_control(struct daemon *d); /* the channel to mtad */
void *daemon_state(struct daemon *d);             /* the daemon's own object */
void daemon_set_state(struct daemon *d, void *state);
/* Something does not work, in words for `mtactl status`, with what to do about it; text NULL: it works again.
   Costs nothing to repeat; not for what is one message's or one client's. d NULL: a test, nothing happens. */
void daemon_trouble(struct daemon *d, const char *what, const char *text, const char *advice);
/* It works again, also for the other processes of this role that said it does not: they may not try soon. */
void daemon_trouble_over(struct daemon *d, const char *what);
bool daemon_draining(const struct daemon *d);
/* Leaves the loop after this iteration; what is queued on the channel to mtad is flushed. */
void daemon_exit(struct daemon *d, int status);
