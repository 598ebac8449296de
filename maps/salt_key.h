/* salt_key.h - the key of nobody's salts (auth.h), kept in mapd's directory from one start to the next */
#pragma once

#include "common/base/err.h"
#include "maps/auth.h"

/* Reads the file in the current directory, or makes it, durable, when there is none or it has another
   length; one that cannot be read stays. False: it could not be read or kept; key is a random one all the
   same. */
bool salt_key_load(uint8_t key[AUTH_SALT_KEY], struct err *err) __attribute__((warn_unused_result));
