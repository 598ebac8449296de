/* amount.h - numbers with units: sizes, times and plain counts */
#pragma once

#include "conf/value.h"

/* Checks unit and range of a CT_BYTES, CT_SECONDS, CT_SECONDS_LIST or CT_INT. */
bool conf_amount_parse(const struct conf_field *field, struct strv word, int64_t *out, struct conf_why *why);
