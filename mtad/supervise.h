/* supervise.h - starting in order, restarting what ends, and knowing why */
#pragma once

#include "mtad/host.h"

struct generation;

void supervise_begin(struct generation *g); /* starts its first role; the others follow */
void supervise_ready(struct child *c); /* READY came */
void supervise_reap(struct host *h);   /* SIGCHLD */
