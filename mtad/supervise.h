/* supervise.h - starting in order, restarting what ends, and knowing why */
#pragma once

#include "mtad/host.h"

void supervise_begin(struct host *h);  /* starts the first role */
void supervise_ready(struct child *c); /* READY came */
void supervise_reap(struct host *h);   /* SIGCHLD */
