/* trouble.h - what daemons say does not work: kept for `mtactl status`, forgotten with the process */
#pragma once

#include <stdint.h>

#include "common/base/strv.h"
#include "common/ipc/frame.h"

#define TROUBLE_MAX 16u /* of one process */

struct trouble {
    char *what, *text, *advice; /* owned */
    int64_t since_ms;           /* wall */
};

struct troubles {
    struct trouble rows[TROUBLE_MAX];
    unsigned n;
};

/* A TROUBLE frame: sets, changes or ends one. */
void troubles_take(struct troubles *t, const struct ipc_in *in, int64_t now_ms);
void troubles_clear(struct troubles *t);
