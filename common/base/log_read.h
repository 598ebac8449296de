/* log_read.h - reads back what log.h wrote: the fields of a line */
#pragma once

#include "common/base/strv.h"

/* Takes the next `key=value` off the line; value as it stands there, with its quotes. False at the end, or
   where the line is none that log_format makes. */
bool log_read(struct strv *rest, struct strv *key, struct strv *value);

/* The value without quotes and escapes, at most size bytes of it; the length. A cut value keeps its "...". */
size_t log_value(struct strv value, char *dst, size_t size);
