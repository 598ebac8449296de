/* credential.c - stored secrets and what proves that somebody knows them */
#include "maps/credential.h"

#include "common/base/b64.h"
#include "common/base/mem.h"
#include "common/mail/scram.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>

#define ITERATIONS_MAX 10000000u
#define SALT_MAX       256u

static bool key_read(struct strv b64, uint8_t out[32])
{
    struct buf raw;
    bool ok;

    buf_init_secret(&raw, 32);
    ok = b64_decode(b64, &raw) && raw.len == 32;
    if (ok)
        memcpy(out, raw.data, 32);
    buf_clear(&raw);
    return ok;
}

bool credential_scram_read(struct strv text, struct credential_scram *out)
{
    struct strv rest = text, iterations, stored;
    uint64_t n;

    if (!strv_istarts(text, SV_LIT(CREDENTIAL_SCRAM)))
        return false;
    rest = strv_from(text, sizeof CREDENTIAL_SCRAM - 1);
    if (!strv_cut(&rest, ',', &iterations) || !strv_u64(iterations, ITERATIONS_MAX, &n) || n == 0 || !rest.p)
        return false;
    if (!strv_cut(&rest, ',', &out->salt) || out->salt.n == 0 || out->salt.n > SALT_MAX || !rest.p)
        return false;
    out->iterations = (unsigned)n;
    return strv_cut(&rest, ',', &stored) && rest.p && key_read(stored, out->stored) &&
           key_read(rest, out->server);
}

/* Both keys of a password (RFC 5802 3). */
static bool keys_make(struct strv password, struct strv salt, unsigned iterations, uint8_t stored[32],
                      uint8_t server[32])
{
    uint8_t salted[32], client[32];
    struct buf raw;
    bool ok;

    buf_init(&raw, SALT_MAX);
    ok = b64_decode(salt, &raw) &&
         PKCS5_PBKDF2_HMAC(password.p, (int)password.n, (const unsigned char *)buf_cstr(&raw), (int)raw.len,
                           (int)iterations, EVP_sha256(), 32, salted) == 1;
    buf_clear(&raw);
    if (!ok)
        return false;
    scram_hmac(salted, SV_LIT("Client Key"), client);
    scram_hash(client, stored);
    scram_hmac(salted, SV_LIT("Server Key"), server);
    mem_wipe(salted, sizeof salted);
    mem_wipe(client, sizeof client);
    return true;
}

void credential_scram_write(struct strv password, struct strv salt, unsigned iterations, struct buf *out)
{
    uint8_t stored[32], server[32];

    if (!keys_make(password, salt, iterations, stored, server))
        die("a salt that is not base64");
    buf_addf(out, CREDENTIAL_SCRAM "%u,%.*s,", iterations, (int)salt.n, salt.p);
    b64_encode(strv_make((const char *)stored, 32), out);
    buf_addc(out, ',');
    b64_encode(strv_make((const char *)server, 32), out);
}

bool credential_crypt_write(struct strv password, struct buf *out, struct err *err)
{
    static struct crypt_data data; /* large */
    char setting[CRYPT_GENSALT_OUTPUT_SIZE], words[CRYPT_MAX_PASSPHRASE_SIZE];
    const char *hash;

    if (!strv_cstr(password, words, sizeof words))
        return err_set(err, ERR_LIMIT, "the password is too long, or holds a NUL");
    hash = crypt_gensalt_rn("$y$", 0, NULL, 0, setting, (int)sizeof setting)
               ? crypt_rn(words, setting, &data, (int)sizeof data)
               : NULL;
    if (hash)
        buf_adds(out, hash);
    mem_wipe(words, sizeof words);
    mem_wipe(&data, sizeof data);
    return hash || err_set(err, ERR_CONF, "crypt(3) of this host makes no yescrypt hashes");
}

bool credential_scram_verify(const struct credential_scram *c, struct strv auth_message,
                             const uint8_t proof[32], uint8_t signature[32])
{
    uint8_t key[32], hash[32];

    scram_hmac(c->stored, auth_message, key);
    for (size_t i = 0; i < 32; i++)
        key[i] ^= proof[i];
    scram_hash(key, hash);
    scram_hmac(c->server, auth_message, signature);
    mem_wipe(key, sizeof key);
    return CRYPTO_memcmp(hash, c->stored, 32) == 0;
}

static enum ipc_answer scram_check(const struct credential_scram *c, struct strv password)
{
    uint8_t stored[32], server[32];

    if (!keys_make(password, c->salt, c->iterations, stored, server))
        return ANSWER_ABSENT;
    return CRYPTO_memcmp(stored, c->stored, 32) == 0 ? ANSWER_FOUND : ANSWER_ABSENT;
}

static enum ipc_answer crypt_check(const char *stored, const char *password, struct err *err)
{
    static struct crypt_data data; /* one at a time; large */
    const char *hash = crypt_rn(password, stored, &data, (int)sizeof data);
    enum ipc_answer answer = ANSWER_ABSENT;

    if (!hash) {
        err_set(err, ERR_CONF, "the stored secret is no hash that crypt(3) of this host knows");
        answer = ANSWER_FAILED;
    } else if (strlen(hash) == strlen(stored) && CRYPTO_memcmp(hash, stored, strlen(hash)) == 0) {
        answer = ANSWER_FOUND;
    }
    mem_wipe(&data, sizeof data);
    return answer;
}

bool credential_is_usable(struct strv stored)
{
    struct credential_scram scram;

    /* "", "!" and "*" lock an account; a hash of 13 bytes (DES) looks at eight characters only. */
    return credential_scram_read(stored, &scram) || (stored.n > 0 && stored.p[0] == '$');
}

enum ipc_answer credential_check(struct strv stored, struct strv password, struct err *err)
{
    struct credential_scram scram;
    char hash[CRYPT_OUTPUT_SIZE], words[CRYPT_MAX_PASSPHRASE_SIZE];
    enum ipc_answer answer;

    if (credential_scram_read(stored, &scram))
        return scram_check(&scram, password);
    if (!credential_is_usable(stored))
        return ANSWER_ABSENT;
    if (!strv_cstr(stored, hash, sizeof hash) || !strv_cstr(password, words, sizeof words))
        return ANSWER_ABSENT;
    answer = crypt_check(hash, words, err);
    mem_wipe(words, sizeof words);
    return answer;
}
