/* absent.h - messages that were named by their ids and are not in the queue */
#pragma once

#include "mtactl/ask.h"

struct absent {
    size_t n;
};

/* Takes a row "absent": shows it and counts it. False: it is another row. */
bool absent_row(struct absent *absent, struct tool *t, const struct row *r);
/* Whether the call named messages by their ids and none of them was there: a script must be able to tell. */
bool absent_all(const struct absent *absent, const struct ask *a);
/* The end of a call of which absent_all is true. */
int absent_end(const struct absent *absent, struct tool *t);
