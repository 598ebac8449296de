/* manual.h - all sections and fields in mdoc, from their tables, for mansio.conf(5) and the daemons' pages */
#pragma once

#include "common/base/buf.h"
#include "common/base/role.h"

/* The whole reference. */
void conf_manual(struct buf *out);
/* Names of the fields that a role is given. */
void conf_manual_role(enum role role, struct buf *out);
/* One text of a table as lines of mdoc: `word` becomes bold, nothing in it acts as a request. */
void conf_manual_text(const char *text, struct buf *out);
