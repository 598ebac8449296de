/* daemon.h - what every daemon shares: start from mtad's frames, confinement, edges, drain, exit */
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
    char *name;                 /* listen section's label */
    struct netaddr address;
    int fd;                     /* -1 once taken */
    struct daemon_listener *next;
};

struct daemon_source {
    enum ipc_source kind;
    char *name;                 /* map name, mailbox label, ... */
    char *path;                 /* what mtad opened, for messages */
    int fd;                     /* -1 once taken */
    struct daemon_source *next;
};

struct daemon_spec {
    const char *name;           /* "queued" */
    enum role role;
    /* Before confinement (root, if started so): warm up what a jail hides. May be NULL. */
    bool (*open)(struct daemon *d, struct err *err);
    /* Makes threads. After ids and Landlock, before seccomp (TSYNC covers them). May be NULL. */
    bool (*threads)(struct daemon *d, struct err *err);
    /* Confined; the loop exists; edges known so far were announced through `edge` before. READY follows. */
    bool (*start)(struct daemon *d, struct err *err);
    /* A peer's channel is there, or was replaced (the daemon must give up the old one: its `lost` comes first).
       Takes fd: the daemon makes the channel with its own ops. lived: the peer ran before us (queued, deliverd). */
    void (*edge)(struct daemon *d, enum role peer, unsigned index, int fd, bool lived);
    /* A peer was ended and will not present anything any more (queued waits for inventories). May be NULL. */
    void (*peer_gone)(struct daemon *d, enum role peer, unsigned index);
    /* SIGTERM or DRAIN: stop accepting, finish, then call daemon_exit(d, 0) before the deadline (which forces it). */
    void (*drain)(struct daemon *d, int64_t deadline_ms);
    /* New source after start (table replaced). May be NULL. */
    void (*source)(struct daemon *d, struct daemon_source *s);
    void (*agent_reply)(struct daemon *d, struct ipc_in *in);           /* deliverd only */
    /* Frames of mtad that the skeleton does not know (helper answers, ...). May be NULL. */
    void (*control)(struct daemon *d, struct ipc_in *in);
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
struct channel *daemon_control(struct daemon *d);       /* the channel to mtad */
void *daemon_state(struct daemon *d);                   /* the daemon's own object */
void daemon_set_state(struct daemon *d, void *state);
bool daemon_draining(const struct daemon *d);
void daemon_exit(struct daemon *d, int status);
