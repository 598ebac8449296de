/* drain.h - the orderly end: stage by stage, each with what is left of the time */
#pragma once

#include "mtad/host.h"

void drain_begin(struct host *h);       /* SIGTERM, SIGINT; a second one ends at once */
void drain_now(struct host *h);         /* everything is killed; host_run returns h->status */
void drain_child_ended(struct host *h); /* during the stop */
