/* b64.h - base64 (RFC 4648 section 4), strict */
#pragma once

#include "common/base/buf.h"

void b64_encode(struct strv in, struct buf *out);
/* Refuses foreign characters, wrong padding and non-zero trailing bits; out is untouched on failure. */
bool b64_decode(struct strv in, struct buf *out);
