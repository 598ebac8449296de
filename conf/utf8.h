/* utf8.h - well-formed UTF-8, RFC 3629 */
#pragma once

#include "common/base/strv.h"

/* Length of the well-formed character at the front of s (no surrogates, nothing overlong, no NUL), or 0. */
size_t utf8_length(struct strv s);
/* Whether it is a C1 control: a terminal may take U+009B for the start of an escape sequence. */
bool utf8_is_control(struct strv c);
