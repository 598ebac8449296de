/* ticket.h - the seed of session tickets' keys */
#pragma once

#include <stdbool.h>

#include "common/base/err.h"

struct conf;

/* Does any listener speak TLS? */
bool ticket_is_wanted(const struct conf *conf);
/* A sealed memfd with a new seed; -1 with err. */
int ticket_new(struct err *err);
/* Replaces it by one that has forgotten the keys of former hours; on failure the old one stays. */
bool ticket_turn(int *fd, struct err *err) __attribute__((warn_unused_result));
