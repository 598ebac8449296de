/* watch.h - daemons that live but do not answer: noticed, said, ended where that is safe
 *
 * Every eighth of processes.watchdog each READY child is asked for a sign of life from its event loop; missed
 * rounds are counted, not seconds, so that a host that stood still as a whole (suspended, paused, overloaded
 * together with mtad) suspects nobody.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct child;
struct host;

struct watch {
    bool asked;       /* and not answered yet */
    bool silent;      /* said */
    bool ended;       /* by us */
    unsigned missed;  /* rounds */
    int64_t asked_ms; /* wall: of the first question without an answer */
};

void watch_begin(struct host *h);
void watch_answered(struct child *c);
/* What the operator should know about it; false: nothing. */
bool watch_trouble(const struct child *c, const char **text, const char **advice);
