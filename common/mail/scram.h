/* scram.h - the two functions that SCRAM-SHA-256 is made of (RFC 5802 2.2, RFC 7677), for client and server
 *
 * Both end the process when OpenSSL cannot do them: that is no answer to anybody's password.
 */
#pragma once

#include <stdint.h>

#include "common/base/strv.h"

/* HMAC(key, text) */
void scram_hmac(const uint8_t key[32], struct strv text, uint8_t out[32]);
/* H(in) */
void scram_hash(const uint8_t in[32], uint8_t out[32]);
