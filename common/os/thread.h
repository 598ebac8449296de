/* thread.h - the few threads there are: named, and deaf to signals */
#pragma once

#include <pthread.h>

#include "common/base/err.h"

/* All signals are blocked in the new thread, so that handlers run on the main thread only. name: <= 15 bytes.
 */
bool thread_start(pthread_t *out, const char *name, void *(*fn)(void *arg), void *arg, struct err *err)
    __attribute__((warn_unused_result));
