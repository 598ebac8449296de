/* operator.h - the far end of the queue at an operator: calls of mtactl in the test's hands */
#pragma once

#include "common/ipc/blocking.h"
#include "common/ipc/rowpack.h"
#include "tests/unit/queued/rig.h"

/* A new client at the queue: a call is made of blocking_* and sent; blocking_close ends it. */
void operator_open(struct rig *r, struct blocking *client);
/* Called once for each row (value NULL: it begins), then for each value of it. */
typedef void operator_row(const char *kind, const struct rowread_value *value);
/* The exit status of one portion; *cursor: of the next one, 0: there is none. */
int operator_answer(struct rig *r, struct blocking *client, operator_row *row, uint64_t *cursor);
