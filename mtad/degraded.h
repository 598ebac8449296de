/* degraded.h - what of the host does not work: said by its processes, found by mtad's own looks */
#pragma once

#include "mtad/child.h"

struct ctl_call;

/* One row for each, the same of several processes once. Looks again at what mtad itself watches. */
void degraded_rows(struct host *h, struct ctl_call *call);
void degraded_take(struct child *c, const struct ipc_in *in);
/* A child ended and will be started again. */
void degraded_child(struct child *c, const char *why);
void degraded_child_over(struct child *c); /* it is well, or not wanted any more */
/* mtad's own; text NULL: over. */
void degraded_set(struct host *h, const char *what, const char *text, const char *advice);
/* Certificates, drop/, children that live again: by itself from now on. */
void degraded_watch(struct host *h);
