/* listener.h - listening sockets: opened once, for the life of mtad */
#pragma once

#include "mtad/host.h"

bool listener_open_all(struct host *h, struct err *err) __attribute__((warn_unused_result));
