/* selector.h - which messages are meant: ids, or what they are, as words of a command line (pure) */
#pragma once

#include "common/base/err.h"
#include "mtactl/ask.h"

/* Adds the arguments of a call for these words. any: something was said. */
bool selector_parse(struct ask *a, int argc, char **argv, bool *any, struct err *err);
/* "90", "90s", "5m", "4h", "2d", "1w" in seconds, more than 0. */
bool selector_age(struct strv text, uint64_t *seconds);
void selector_words(struct buf *out); /* its options, a blank before each */
