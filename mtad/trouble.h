/* trouble.h - what does not work: said by daemons or found by mtad itself, kept for `mtactl status`
 *
 * A daemon's troubles are forgotten with its process. Each begin and end is a line of the log.
 */
#pragma once

#include <stdint.h>

#include "common/base/strv.h"
#include "common/ipc/frame.h"

#define TROUBLE_MAX 128u /* of one process */

struct trouble {
    char *what, *text, *advice; /* owned */
    int64_t since_ms, heard_ms; /* wall: of the first and of the last word */
    bool seen;                  /* troubles_keep */
};

struct troubles {
    struct trouble *rows; /* owned */
    unsigned n;
};

/* by: who says so, for the log. A trouble that is known gets new words and stays as old as it is. */
void troubles_set(struct troubles *t, const char *by, const char *what, const char *text, const char *advice,
                  int64_t now_ms);
/* False: there was none. */
bool troubles_end(struct troubles *t, const char *by, const char *what, int64_t now_ms);
/* A TROUBLE frame: sets, changes or ends one. */
void troubles_take(struct troubles *t, const char *by, const struct ipc_in *in, int64_t now_ms);
/* Ends those named `prefix...` that were not set since troubles_unsee. */
void troubles_unsee(struct troubles *t);
void troubles_keep_seen(struct troubles *t, const char *by, const char *prefix, int64_t now_ms);
/* Ends those of which nothing was heard for so long. */
void troubles_age(struct troubles *t, const char *by, int64_t age_ms, int64_t now_ms);
void troubles_clear(struct troubles *t);
