/* edge.h - the channels between daemons: made in pairs, pushed to both sides */
#pragma once

#include "mtad/host.h"

/* A new child: one pair with each running peer. */
bool edge_make_all(struct child *c, struct err *err) __attribute__((warn_unused_result));
/* queued gives nothing new to c from here on. */
void edge_retire(const struct child *c);
/* c closed its channel to a living peer because of what that one sent: both get new ends. A peer that does so
   again and again is ended; its successor may know better. */
void edge_remake(struct child *c, enum role peer, unsigned index);
/* mtad's own channel to mapd. */
void edge_watch_own(struct host *h);
