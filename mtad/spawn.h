/* spawn.h - one new process: fork, the few descriptors it may hold, exec by descriptor */
#pragma once

#include <sys/types.h>

#include "common/base/err.h"

struct spawn {
    int binary;         /* borrowed */
    int devnull;        /* borrowed; becomes 0 and 1 */
    int control;        /* borrowed; becomes 3 */
    const char *name;   /* argv[0] */
    const char *detail; /* argv[1], for ps; NULL for none */
};

/* The pid, or -1 with err. The child has descriptors 0 to 3 and nothing else, a session of its own (no
   terminal, no Ctrl-C), default signals and an environment of PATH and TZ. */
pid_t spawn_process(const struct spawn *s, struct err *err);
