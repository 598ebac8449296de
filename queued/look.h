/* look.h - what waits in a spool, read by somebody who is not its queued: nothing is changed or logged
 *
 * For root's mailq while the daemons are down or hang. A spool that is being worked on may change under the
 * reader: what cannot be read then is left out or told as unreadable, never guessed.
 */
#pragma once

#include "common/base/err.h"
#include "common/base/strv.h"

struct look;

struct look_message { /* valid until the next look_next */
    uint64_t id, size, arrival_s;
    const char *state; /* "active", "deferred", "held", "damaged" */
    struct strv sender;
    uint32_t rcpt_n; /* with those that are done; 0: the record cannot be read */
};

struct look_rcpt {
    struct strv to, reason;
    const char *state; /* "active", "deferred", "failed" */
    bool done;         /* delivered, or told: it waits no more */
};

/* directory: queue.directory. until: mono ms, after which it gives up (ERR_TEMP). */
bool look_open(const char *directory, int64_t until, struct look **out, struct err *err)
    __attribute__((warn_unused_result));
void look_close(struct look **l);
/* False at the end. */
bool look_next(struct look *l, struct look_message *out);
void look_rcpt(struct look *l, uint32_t i, struct look_rcpt *out); /* of the message of look_next */
size_t look_drops(const struct look *l); /* submissions in drop/ that the queue has not taken yet */
