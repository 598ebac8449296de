/* host.h - everything that mtad holds: one object, one per process */
#pragma once

#include <sys/types.h>

#include "common/base/err.h"
#include "common/base/netaddr.h"
#include "common/base/role.h"
#include "common/net/loop.h"
#include "mtad/graph.h"
#include "mtad/options.h"
#include "mtad/trouble.h"
#include "mtad/watch.h"

struct channel;
struct conf;
struct conf_listen;
struct conf_mailbox;
struct generation;
struct host;
struct maps_client;
struct openers;
struct reload_watcher;

struct identity {
    const char *user; /* borrowed from the configuration; NULL without root */
    uid_t uid;
    gid_t gid;
};

struct listener_fd {
    const struct conf_listen *section; /* borrowed from the configuration */
    struct netaddr address;
    int fd;
};

struct source_fd {
    enum role role;    /* who gets it */
    unsigned kind;     /* enum ipc_source */
    char *name, *path; /* owned */
    int fd;
};

/* What a mailbox section is to the agents. */
struct mailbox_root {
    const struct conf_mailbox *section; /* borrowed */
    int fd;                             /* -1: mailboxes lie in the users' homes */
    uid_t uid;                          /* of the owner of virtual mailboxes */
    gid_t gid;
    gid_t group; /* the agents' one further group, 0: none */
};

enum child_state { CHILD_DOWN, CHILD_STARTING, CHILD_READY };

struct child {
    struct host *host;
    enum role role; /* ROLE_COUNT: the slot is not used */
    unsigned index, process;
    enum child_state state;
    pid_t pid;               /* 0 when down */
    struct channel *control; /* owned; NULL when down or lost */
    int64_t started_ms;
    long backoff_ms;
    struct generation *gen; /* whose configuration it has; NULL for a slot that is not used */
    bool retired;           /* told to finish, as its generation does */
    unsigned runs;
    struct troubles troubles; /* what it says does not work */
    struct watch watch;       /* whether it answers */
    unsigned nonsense; /* channels that peers closed on it since nonsense_since_ms */
    int64_t nonsense_since_ms;
    unsigned ends; /* in a row; 0: it is well */
    bool was_restarted;      /* this run is not the first */
    bool wants_log;          /* its syslog descriptor died */
    struct loop_timer timer; /* READY deadline, restart, kill after drain */
};

/* queued, mapd, historyd, 32 workers, and three times dnsd, cleanup, 64 smtpd and 64 deliverd. */
#define CHILDREN_MAX 425

enum host_phase { HOST_STARTING, HOST_RUNNING, HOST_STOPPING };

struct host {
    struct options options;
    struct conf *conf; /* of the current generation, like confs to mailboxes; its own until there is one */
    struct loop *loop; /* owned */
    int64_t began_ms;  /* of the loop's clock */
    bool privileged;
    enum host_phase phase;
    int status; /* of the exit */
    int binaries[ROLE_COUNT];
    int confs[ROLE_COUNT]; /* sealed memfds */
    struct identity ids[ROLE_COUNT];
    int devnull, jail_fd, spool_fd, state_fd, history_fd, lock_fd;
    struct listener_fd *listeners; /* owned */
    size_t listener_n;
    struct source_fd *sources; /* owned */
    size_t source_n;
    struct mailbox_root *mailboxes; /* owned; as conf->mailboxes */
    struct child *children;         /* owned; CHILDREN_MAX slots, child_n of them were used */
    size_t child_n;
    struct generation *generations; /* owned list of those alive, newest first */
    struct generation *current;     /* of them */
    struct generation *reloading;   /* of them; NULL: none is being started */
    unsigned generation_last;       /* number */
    bool tables_ready;              /* of reloading, in mapd */
    const char *history_dir;        /* borrowed: of processes.state, which never changes */
    unsigned history_number;        /* of the kept configuration that runs; 0: it could not be kept */
    unsigned reload_history;        /* what the next reload takes: a kept configuration, 0: the files */
    char reload_by[48];             /* who asked for it */
    bool reload_wanted;             /* once a former generation has ended */
    struct reload_watcher *reload_watchers; /* owned list */
    struct loop_task reload_again;
    struct loop_timer reload_timer;
    unsigned stop_stage;
    int64_t stop_by_ms;
    struct loop_timer stop_timer, log_timer, watch_timer;
    struct troubles troubles; /* mtad's own */
    struct loop_timer degraded_timer;
    int64_t degraded_hung_ms; /* wall: a look at files hung; 0: none did lately */
    struct maps_client *maps; /* owned: questions about users */
    struct openers *openers;  /* owned; NULL until the loop runs */
    struct agent *agents;     /* owned list */
    unsigned agent_n;
    struct attempt *attempt; /* owned: --try-forbidden */
};

/* Loads and checks the configuration; what is wrong goes to stderr. */
bool host_load(struct host *h);
/* Opens everything that children need: users, directories, listeners, programs, sources, log. */
bool host_prepare(struct host *h, struct err *err) __attribute__((warn_unused_result));
/* The configuration of each role as a sealed text. */
bool host_seal_confs(struct host *h, struct err *err) __attribute__((warn_unused_result));
/* Runs until the end; the exit status. */
int host_run(struct host *h);
