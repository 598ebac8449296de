/* status.h - enhanced status codes (RFC 3463) */
#pragma once

#include "common/base/strv.h"

struct status {
    uint8_t cls;                /* 2, 4 or 5; 0: none */
    uint16_t subject, detail;   /* 0..999 */
};

#define STATUS(c, s, d) ((struct status){ (c), (s), (d) })
#define STATUS_TEXT 12          /* "5.999.999" and a NUL */

/* The whole text is a status: class 2, 4 or 5, one to three digits each, no leading zeros. */
bool status_parse(struct strv text, struct status *out);

/* A status at the start of a reply's text, followed by a blank or the end; *rest is what follows, trimmed in
   front. */
bool status_take(struct strv text, struct status *out, struct strv *rest);

/* "" when none. */
void status_text(struct status s, char dst[STATUS_TEXT]);

/* X.0.0 of a reply code: 2yz, 4yz, 5yz; none for the rest (3yz). */
struct status status_from_code(int code);

static inline bool status_is_set(struct status s)
{
    return s.cls != 0;
}
