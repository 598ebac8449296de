/* notify.h - telling the starter: systemd's protocol by hand, and --ready-fd */
#pragma once

#include "mtad/host.h"

void notify_begin(void);           /* reads NOTIFY_SOCKET and takes it out of the environment */
void notify_ready(struct host *h); /* "ready NAME=ADDRESS ...": each listen section's first address */
void notify_stopping(void);
