/* tls_tickets.c - the keys of session tickets: shared by the processes of one listener, new ones as time goes
   on

   The keys come from a chain: seed(n + 1) = HMAC(seed(n), "next"), one link for each PERIOD_S of wall time.
   Who has a link reaches all later ones and no earlier one, so processes that were given the same link at
   different times agree without a word, and what was forgotten cannot be found again. */
#include "common/net/tls_tickets.h"

#include "common/base/clock.h"
#include "common/base/hash.h"
#include "common/base/mem.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#define PERIOD_S TLS_TICKET_S
/* A clock that jumps by years costs a full handshake, not minutes of hashing. */
#define LINKS_MAX 20000

struct ticket_key {
    uint8_t name[16], cipher[32], mac[32];
};

struct tls_tickets {
    struct tls_seed seed; /* of the period behind `now`'s: what made `now` is forgotten */
    struct ticket_key now, before;
    struct buf purpose;
    EVP_CIPHER *cipher; /* owned */
};

/* ---- the chain ---- */

static void derive(const uint8_t secret[32], const char *what, struct strv purpose, uint8_t *dst, size_t n)
{
    uint8_t mac[32];
    unsigned got = sizeof mac;
    struct buf text;

    buf_init(&text, 1024);
    buf_adds(&text, what);
    buf_addc(&text, '\0');
    buf_addv(&text, purpose);
    if (!HMAC(EVP_sha256(), secret, 32, (const unsigned char *)text.data, text.len, mac, &got))
        die("HMAC does not work");
    memcpy(dst, mac, n);
    buf_clear(&text);
    OPENSSL_cleanse(mac, sizeof mac);
}

static int64_t period_of(int64_t wall_ms)
{
    return wall_ms / 1000 / PERIOD_S;
}

void tls_seed_new(struct tls_seed *s, int64_t wall_ms)
{
    rand_bytes(s->secret, sizeof s->secret);
    /* One earlier than now, so that who gets it has a key of the period before, too. */
    s->period = period_of(wall_ms) - 1;
}

static void seed_next(struct tls_seed *s)
{
    derive(s->secret, "next", strv_make("", 0), s->secret, sizeof s->secret);
    s->period++;
}

void tls_seed_turn(struct tls_seed *s, int64_t wall_ms)
{
    int64_t last = period_of(wall_ms) - 1;

    for (int i = 0; s->period < last && i < LINKS_MAX; i++)
        seed_next(s);
}

void tls_seed_write(const struct tls_seed *s, struct buf *out)
{
    for (int shift = 56; shift >= 0; shift -= 8)
        buf_addc(out, (char)(uint8_t)((uint64_t)s->period >> shift));
    buf_add(out, s->secret, sizeof s->secret);
}

bool tls_seed_read(struct tls_seed *s, struct strv text)
{
    uint64_t period = 0;

    if (text.n != 8 + sizeof s->secret)
        return false;
    for (size_t i = 0; i < 8; i++)
        period = period << 8 | (uint8_t)text.p[i];
    s->period = (int64_t)period;
    memcpy(s->secret, text.p + 8, sizeof s->secret);
    return true;
}

/* ---- keys ---- */

static void key_make(struct tls_tickets *t)
{
    struct strv purpose = buf_view(&t->purpose);

    t->before = t->now;
    derive(t->seed.secret, "name", purpose, t->now.name, sizeof t->now.name);
    derive(t->seed.secret, "cipher", purpose, t->now.cipher, sizeof t->now.cipher);
    derive(t->seed.secret, "mac", purpose, t->now.mac, sizeof t->now.mac);
    seed_next(&t->seed);
}

static void turn(struct tls_tickets *t)
{
    int64_t period = period_of(clock_wall_ms());

    for (int i = 0; t->seed.period <= period && i < LINKS_MAX; i++)
        key_make(t);
}

struct tls_tickets *tls_tickets_new(const struct tls_seed *seed, struct strv purpose)
{
    struct tls_tickets *t = mem_new(sizeof *t);

    t->seed = *seed;
    /* Until there is a key of the period before: one that nobody has, for zeros would be one that everybody
     * has. */
    rand_bytes(&t->now, sizeof t->now);
    buf_init(&t->purpose, 512);
    buf_addv(&t->purpose, purpose);
    t->cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    if (!t->cipher)
        die("the TLS library has no AES");
    key_make(t);
    turn(t);
    return t;
}

void tls_tickets_free(struct tls_tickets **tp)
{
    struct tls_tickets *t = *tp;

    if (!t)
        return;
    *tp = NULL;
    EVP_CIPHER_free(t->cipher);
    buf_clear(&t->purpose);
    OPENSSL_cleanse(t, sizeof *t);
    free(t);
}

static bool key_use(const struct tls_tickets *t, const struct ticket_key *k, const unsigned char *iv,
                    EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, bool sealing)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                            OSSL_PARAM_construct_end() };

    return EVP_CipherInit_ex2(cipher, t->cipher, k->cipher, iv, sealing, NULL) == 1 &&
           EVP_MAC_init(mac, k->mac, sizeof k->mac, params) == 1;
}

static int seal(struct tls_tickets *t, SSL *ssl, unsigned char *name, unsigned char *iv,
                EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
    /* In TLS 1.2 a ticket is the whole secret of the session: who finds the key later reads what was
       recorded. In 1.3 each session has a key exchange of its own. */
    if (SSL_version(ssl) < TLS1_3_VERSION)
        return 0;
    memcpy(name, t->now.name, sizeof t->now.name);
    if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(t->cipher)) != 1)
        return -1;
    return key_use(t, &t->now, iv, cipher, mac, true) ? 1 : -1;
}

int tls_tickets_callback(struct tls_tickets *t, SSL *ssl, unsigned char *name, unsigned char *iv,
                         EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int sealing)
{
    const struct ticket_key *k = NULL;

    turn(t);
    if (sealing)
        return seal(t, ssl, name, iv, cipher, mac);
    if (memcmp(name, t->now.name, sizeof t->now.name) == 0)
        k = &t->now;
    else if (memcmp(name, t->before.name, sizeof t->before.name) == 0)
        k = &t->before;
    if (!k)
        return 0;
    /* 2: with a new ticket, for clients use each but once, so that nobody can tell that it was they again
       (RFC 8446 C.4). */
    return key_use(t, k, iv, cipher, mac, false) ? 2 : -1;
}
