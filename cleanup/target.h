/* target.h - what a target in `virtual` or `aliases` stands for (pure) */
#pragma once

#include "common/base/strv.h"

struct address;

/* Whether a target in `virtual` takes something from the address that it stands for. */
bool target_is_filled(struct strv text);
/* The address that text means in an entry of `from`. Without a domain it has that of from. In `virtual`
   tables (fill) Postfix's `@domain` keeps the local part of from, and sendmail's %1, %2, %3 in a local part
   are its user, its detail, and separator and detail. separators: of address.extension. False: no address. */
bool target_address(struct strv text, const struct address *from, struct strv separators, bool fill,
                    struct address *out);
