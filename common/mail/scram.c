/* scram.c - the two functions that SCRAM-SHA-256 is made of */
#include "common/mail/scram.h"

#include "common/base/err.h"
#include "common/base/mem.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

void scram_hmac(const uint8_t key[32], struct strv text, uint8_t out[32])
{
    unsigned n = 32;

    if (!HMAC(EVP_sha256(), key, 32, (const unsigned char *)text.p, text.n, out, &n) || n != 32)
        die("HMAC does not work");
}

void scram_hash(const uint8_t in[32], uint8_t out[32])
{
    if (!EVP_Digest(in, 32, out, NULL, EVP_sha256(), NULL))
        die("SHA-256 does not work");
}
