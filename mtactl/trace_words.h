/* trace_words.h - a step of a message in words for people (pure) */
#pragma once

#include "mtactl/rows.h"

/* Row: `event` and its fields as docs/LOGGING.md names them. */
void trace_words(struct buf *out, const struct row *r);
