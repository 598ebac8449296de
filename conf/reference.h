/* reference.h - what the reference and the manual page say of one field, with `marks` around words */
#pragma once

#include "conf/field.h"

/* "`none`, `offer`", "size, 0 to 4G" */
void conf_reference_values(const struct conf_field *field, struct buf *out);
/* "`50M`", "one per core", "must be given" */
void conf_reference_default(const struct conf_field *field, struct buf *out);
