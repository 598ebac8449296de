/* forbidden.c - check build: acts that a confined process must be refused */
#include "common/proc/forbidden.h"

#include <stddef.h>

const struct forbidden_act *forbidden_find(struct strv name)
{
    for (const struct forbidden_act *a = forbidden_acts; a->name; a++) {
        if (strv_is(name, a->name))
            return a;
    }
    return NULL;
}

#ifndef MANSIO_CHECK
const struct forbidden_act forbidden_acts[] = { { .name = NULL } };
#endif
