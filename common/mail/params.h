/* params.h - ESMTP parameters of MAIL and RCPT (RFC 5321 4.1.2), and xtext (RFC 3461 4) */
#pragma once

#include "common/base/buf.h"

struct param {
    struct strv keyword; /* letters, digits, inner hyphens; compare without case */
    struct strv value;   /* printable ASCII without blank and '='; never empty when has_value */
    bool has_value;
};

enum param_step { PARAM_END, PARAM_OK, PARAM_BAD };

/* The next of the blank-separated parameters in *rest (as path_parse leaves it). PARAM_BAD: syntax error,
   stop. The same keyword twice is not noticed here; the caller that keeps the values does. */
enum param_step param_next(struct strv *rest, struct param *out);

/* SIZE (RFC 1870 3): 1 to 20 digits; what exceeds 64 bits is UINT64_MAX: too big in any case, not a syntax
   error. */
bool param_size(struct strv value, uint64_t *out);

enum param_body { PARAM_BODY_7BIT, PARAM_BODY_8BITMIME, PARAM_BODY_BINARYMIME };
bool param_body(struct strv value, enum param_body *out);
const char *param_body_name(enum param_body body);

/* Parameters of RFC 3461 4. What they say in xtext must decode to printable ASCII, because it stands in
   fields of a notice later. */
#define PARAM_ENVID_MAX 100 /* 4.4, 4.2: of the parameter as it is written */
#define PARAM_ORCPT_MAX 500
enum {
    PARAM_NOTIFY_NEVER = 1,
    PARAM_NOTIFY_SUCCESS = 2,
    PARAM_NOTIFY_FAILURE = 4,
    PARAM_NOTIFY_DELAY = 8,
};
/* Bits; NEVER stands alone, null elements are no error. */
bool param_notify(struct strv value, uint64_t *out);
bool param_ret(struct strv value, uint64_t *out);    /* 1 FULL, 2 HDRS */
bool param_envid(struct strv value, struct buf *out); /* appends it decoded */
bool param_orcpt(struct strv value, struct buf *out); /* appends "type;address", the address decoded */
/* The other way: what stands behind "ENVID=" and "ORCPT=". False, and out untouched, when it would be longer
   than allowed, has no type or holds what is not printable ASCII. */
bool param_envid_write(struct strv envid, struct buf *out);
bool param_orcpt_write(struct strv orcpt, struct buf *out);
void param_notify_write(uint64_t notify, struct buf *out); /* notify is not 0 */

/* Decodes "+XX" (upper case digits); refuses other '+', '=', blanks, controls and 8-bit bytes. The result
   may hold any byte, NUL, CR and LF included: it is for comparing and for encoding again, never for a line.
   out is untouched on failure. */
bool xtext_decode(struct strv in, struct buf *out);
void xtext_encode(struct strv in, struct buf *out);
