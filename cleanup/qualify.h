/* qualify.h - names without a domain in header fields of own clients: `To: root` becomes `To:
 * root@example.com` (pure) */
#pragma once

#include "common/mail/header.h"

/* Appends the field with the domain behind every bare name, everything else as it stands. False (and nothing
   is written) when the field holds no addresses, no bare name, or cannot be read. */
bool qualify_field(const struct header_field *f, struct strv domain, struct buf *out);
