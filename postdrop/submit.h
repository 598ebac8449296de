/* submit.h - one submission: postdrop as a child, fed through a pipe */
#pragma once

#include "common/base/err.h"
#include "common/mail/dropfile.h"

#include <sys/types.h>

struct submit {
    pid_t pid;
    int fd;      /* owned, -1 */
    bool broken; /* postdrop ended before we did; its status says why */
};

/* Starts postdrop (beside this program, else where it is installed) and sends it the envelope. conf may be
 * NULL. */
bool submit_begin(struct submit *s, const char *conf, const struct drop_head *head, struct err *err)
    __attribute__((warn_unused_result));
void submit_data(struct submit *s, struct strv bytes);
/* The message is complete: the status to exit with, which postdrop has explained when it is not 0. */
int submit_end(struct submit *s);
/* Nothing of it counts. */
void submit_abort(struct submit *s);
