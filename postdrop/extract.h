/* extract.h - recipients from texts: arguments of the command line, and the header of the message for -t
 * (pure) */
#pragma once

#include "common/base/buf.h"
#include "common/base/err.h"

/* Appends each address of the text (`a@b, Full Name <c>`) and a LF; names without a domain stay so. False:
   one of them is none; err. */
bool extract_text(struct strv text, struct buf *out, struct err *err) __attribute__((warn_unused_result));

/* The same for To, Cc and Bcc of a header block with CRLF; when its last resending has
   recipients, for these alone (RFC 5322 3.6.6). */
bool extract_header(struct strv block, struct buf *out, struct err *err) __attribute__((warn_unused_result));
