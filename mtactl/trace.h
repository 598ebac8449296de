/* trace.h - what the history has of a message */
#pragma once

#include "mtactl/tool.h"

/* All lines about a message in the order of time; false (rows stay empty): the history did not answer. */
bool trace_of(struct tool *t, struct strv id, struct rows *out);
/* Steps among them that are attempts of this recipient, one line each, with the words of the other side. */
void trace_attempts(struct buf *out, const struct rows *steps, struct strv recipient);
/* "2026-11-21 06:10:11.123", local */
void trace_when(struct buf *out, uint64_t wall_ms);
