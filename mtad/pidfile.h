/* pidfile.h - one mtad per runtime directory */
#pragma once

#include "mtad/host.h"

/* Locks RUNTIME/mtad.lock for the life of this process and writes the pid into it. */
bool pidfile_take(struct host *h, struct err *err) __attribute__((warn_unused_result));
