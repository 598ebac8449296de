/* qp.h - quoted-printable (RFC 2045 6.7): text of any bytes over any hop, still nearly readable */
#pragma once

#include "common/base/buf.h"

/* Appends text, whose lines end with CRLF, in lines of at most 76 characters. */
void qp_encode(struct strv text, struct buf *out);
