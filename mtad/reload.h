/* reload.h - from one configuration to the next without an interruption of service
 *
 * Checked in full, then started beside the running one, then put in its place; the old processes finish what
 * they have. A failure at any point leaves the old one as it was.
 */
#pragma once

#include "mtad/host.h"

struct buf;
struct generation;

enum reload_result {
    RELOAD_REFUSED, /* report says why: located errors, one per line */
    RELOAD_BEGUN,   /* the end is told to the watchers; report: what is wrong and taken all the same */
    RELOAD_WAITS,   /* for the end of a former one; begins by itself, then the watchers are told */
};

/* SIGHUP, and the operator's word. The report is logged too. history: the number of a kept configuration, 0
   for the files; by: who asks. */
enum reload_result host_reload(struct host *h, unsigned history, const char *by, struct buf *report);
/* fn runs once, when the reload that was just begun (or waits) has ended: done, or why not. */
void reload_watch(struct host *h, void (*fn)(void *arg, bool ok, const char *text), void *arg);
void reload_unwatch(struct host *h, void *arg);

/* supervise.c: all children of a starting generation are READY; one of them failed. */
void reload_ready(struct generation *g);
void reload_failed(struct generation *g, const char *why);
/* A retired process has ended: it is forgotten, and its generation with the last one. */
void reload_child_ended(struct child *c);
/* A mapd is there again: a reload that waits for one begins. */
void reload_mapd_ready(struct host *h);
/* mapd has loaded the tables of the configuration that starts, or says why not. */
struct ipc_in;
void reload_tables(struct child *mapd, const struct ipc_in *in);
/* A mapd or mapd-worker that was started again gets what clients of other generations ask for. */
void reload_snapshots(struct child *c);
