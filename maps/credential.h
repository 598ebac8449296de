/* credential.h - stored secrets and what proves that somebody knows them: crypt(3) hashes, SCRAM (RFC 5802)
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/ipc/schema.h"

/* `{SCRAM-SHA-256}iterations,salt,stored-key,server-key`, the last three in base64. */
#define CREDENTIAL_SCRAM "{SCRAM-SHA-256}"

/* What `mtactl passwd` writes, and so what a login that nobody has must seem to have. 4096 is RFC 7677's
   least; a check of this many takes some 5 ms. */
#define CREDENTIAL_ITERATIONS 15000u

struct credential_scram {
    unsigned iterations;
    struct strv salt; /* base64; borrowed from the text */
    uint8_t stored[32], server[32];
};

/* False: not of this form. */
bool credential_scram_read(struct strv text, struct credential_scram *out);
/* For a new password. */
void credential_scram_write(struct strv password, struct strv salt, unsigned iterations, struct buf *out);
/* The same as a hash of crypt(3), by yescrypt. False: this host's crypt(3) does not make one. */
bool credential_crypt_write(struct strv password, struct buf *out, struct err *err);
/* RFC 5802 3: whether proof came from somebody who knows the password; then the server's signature. */
bool credential_scram_verify(const struct credential_scram *c, struct strv auth_message,
                             const uint8_t proof[32], uint8_t signature[32]);

/* False: nothing, or what locks an account: no password proves it. */
bool credential_is_usable(struct strv stored);
/* Takes milliseconds on purpose. FAILED: the host knows no such kind of hash. */
enum ipc_answer credential_check(struct strv stored, struct strv password, struct err *err);
