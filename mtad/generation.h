/* generation.h - one configuration with everything that was opened for it, and the processes that live by it
 *
 * smtpd, cleanup, deliverd and dnsd keep their configuration for life: another one comes with new processes.
 * queued, mapd and mapd-worker have no generations and belong to the current one.
 */
#pragma once

#include "mtad/host.h"

#define GENERATIONS_MAX 3 /* alive at once */

enum generation_state { GENERATION_STARTING, GENERATION_CURRENT, GENERATION_RETIRED };

struct generation {
    struct generation *next; /* older */
    struct host *host;
    unsigned number; /* never used again */
    enum generation_state state;
    unsigned history;  /* the kept configuration that it was made of; 0: the files */
    char by[48];       /* who asked for it */
    unsigned row;      /* of graph_roles: who starts now */
    struct conf *conf; /* owned, like all that follows */
    int confs[ROLE_COUNT];
    struct identity ids[ROLE_COUNT];
    struct listener_fd *listeners; /* closed when retired */
    size_t listener_n;
    struct source_fd *sources;
    size_t source_n;
    struct mailbox_root *mailboxes;
};

/* The one that host_load and host_prepare made; it is the current one from here on. Makes its children. */
struct generation *generation_first(struct host *h);
/* Loads and opens everything anew; listening sockets that are there already are shared. Nothing of it is in
   use yet, and nothing changes when it fails: NULL, and lines for the operator are added to report, too
   when it is taken although something is not in order. Reads the files, or the kept configuration
   h->reload_history. */
struct generation *generation_load(struct host *h, struct buf *report);
/* Slots for its processes, entered in the list of those alive. */
void generation_enter(struct generation *g);
/* The host's view (conf, sources, mailboxes, ...) is of this one from here on. */
void generation_show(struct generation *g);
/* No child of it is left: out of the list (when it is in it), and closed. */
void generation_free(struct generation **g);

/* Of the processes with generations only. */
bool generation_has(const struct generation *g, enum role role);
unsigned generation_count(const struct host *h); /* alive */
bool role_is_lasting(enum role role);            /* without generations */
