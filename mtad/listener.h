/* listener.h - listening sockets: opened once, for the life of mtad */
#pragma once

#include "mtad/host.h"

/* Sockets for the addresses of the configuration; shared with living generations that have the same address.
 */
bool listener_open_all(struct host *h, struct err *err) __attribute__((warn_unused_result));
void listener_close_all(struct listener_fd *listeners, size_t n);
