/* place.h - where an agent works: a home, the spool of mbox files, a directory of virtual mailboxes; opened
 * without waiting for file servers
 */
#pragma once

#include <limits.h>

#include "mtad/host.h"

enum place_kind {
    PLACE_ROOT,    /* the directory of virtual mailboxes, a description of its own for each agent */
    PLACE_HOME,    /* must be the user's and nobody else's to write */
    PLACE_SPOOL,   /* mailboxes that are files in one directory, the home beside it; who has no home gets mail
                      too */
    PLACE_COMMAND, /* the home, or nothing: what a command finds there is its own business */
};

/* All borrowed for the call only. */
struct place_wish {
    enum place_kind kind;
    int rootfd; /* ROOT */
    const char *root, *spool;
    const char *user;
    struct strv home;
    uid_t uid;
};

struct place {
    int dirfd;   /* -1: see err. Whoever takes a descriptor sets it to -1; the others are closed. */
    int spoolfd; /* SPOOL; otherwise -1 */
    char path[PATH_MAX];
    struct err err;
};
typedef void place_fn(void *arg, struct place *p);

/* done runs later than this call returns, within opener.h's deadline for each directory. */
void place_ask(struct host *h, const struct place_wish *w, place_fn *done, void *arg);
