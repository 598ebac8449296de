/* opener.h - what may lie on a file server is opened by helper processes, with a deadline
 *
 * open() of a home on a server that hangs does not return, and cannot be called off in the process that made
 * it. So mtad does not make it: small processes of its own (forked, with the one capability that opening
 * needs) do, and one that takes too long is killed. What hung once is refused at once for a while, so that
 * one server does not take all of them.
 */
#pragma once

#include <sys/stat.h>

#include "mtad/host.h"

struct opened {
    int fd;         /* -1: see err. The receiver takes it by setting -1; otherwise it is closed. */
    struct stat st; /* of fd */
    struct err err; /* ERR_TEMP when it hangs */
};
typedef void opened_fn(void *arg, struct opened *o);

/* Once the loop exists and the walls are up. */
void opener_begin(struct host *h);
/* With dirfd (not taken) it is that directory, a description of its own, and path only its name. flags are
   open's. done runs from the loop, always later than this call returns. */
void opener_ask(struct host *h, int dirfd, const char *path, int flags, opened_fn *done, void *arg);
/* The same, and waits for it: for the operator's own files, at a reload. Before the loop runs it opens
   itself: there is nothing yet that could be held up. -1 with err. */
int opener_wait(struct host *h, const char *path, int flags, struct err *err);
/* Runs look(arg) in a process of its own and waits for its end, not for its result: false when it takes so
   long that a file system must hang. What it reads can be read here then. */
bool opener_probe(struct host *h, void (*look)(void *arg), void *arg, struct err *err);
/* Whether pid was one of them. */
bool opener_ended(struct host *h, pid_t pid);
