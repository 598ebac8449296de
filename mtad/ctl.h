/* ctl.h - the operator's sockets: made and accepted by mtad, handed to the daemon that is asked
 *
 * Only mtad listens and looks at paths; a client of another daemon's socket reaches it as an edge of role
 * mtactl, like every other peer. So no daemon needs accept(), and one that is down is said to be.
 */
#pragma once

#include "mtad/host.h"

bool ctl_open_all(struct host *h, struct err *err) __attribute__((warn_unused_result));
void ctl_watch(struct host *h); /* once the loop exists */
