/* tls_context.c - certificates, keys and authorities from memory; what is permitted in a session */
#include "common/net/tls_inner.h"
#include "common/net/tls_tickets.h"

#include "common/base/hash.h"
#include "common/base/mem.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Forward secrecy always. CBC stays at the end: peers of ten years ago have nothing else with it, and the
   alternative to it between mail servers is plain text. */
#define CIPHERS_SERVER "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:!aNULL:!PSK:!SRP:!AESCCM:!ARIA:!CAMELLIA"
#define CIPHERS_REQUIRE                                                                                      \
    "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:ECDHE+AES:DHE+AES:!aNULL:!PSK:!SRP"
/* Anything is better than plain text, which is what would be used instead. */
#define CIPHERS_ANY "DEFAULT:!aNULL:!PSK:!SRP@SECLEVEL=1"

const char *tls_library_error(char *dst, size_t size)
{
    unsigned long code = ERR_get_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;

    snprintf(dst, size, "%s", reason ? reason : "no reason given");
    ERR_clear_error();
    return dst;
}

static bool fail(struct err *err, const char *name, const char *what)
{
    char why[160];

    return err_set(err, ERR_CONF, "%s: %s: %s", name, what, tls_library_error(why, sizeof why));
}

/* A key under a passphrase would make the library ask at the terminal. */
static int no_passphrase(char *dst, int size, int rwflag, void *arg)
{
    (void)dst;
    (void)size;
    (void)rwflag;
    (void)arg;
    return -1;
}

static BIO *reader(struct strv pem)
{
    BIO *b = BIO_new_mem_buf(pem.p ? pem.p : "", pem.n > INT32_MAX ? 0 : (int)pem.n);

    if (!b)
        die("out of memory for TLS");
    return b;
}

/* ---- what every context has ---- */

static SSL_CTX *base_new(bool server, const char *ciphers)
{
    SSL_CTX *ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());

    if (!ctx || !SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) || !SSL_CTX_set_cipher_list(ctx, ciphers))
        die("the TLS library refuses its settings");
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    /* Nothing to resume: no tickets (but see tls_server_tickets), no cache. */
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET |
                                 (server ? SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA : 0));
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    if (server)
        SSL_CTX_set_num_tickets(ctx, 0);
    /* One system call for a record instead of one for its head and one for its body. */
    SSL_CTX_set_read_ahead(ctx, 1);
    return ctx;
}

static bool chain_load(SSL_CTX *ctx, const struct tls_pair *pair, struct err *err)
{
    BIO *b = reader(pair->certificate);
    X509 *x = PEM_read_bio_X509_AUX(b, NULL, no_passphrase, NULL);
    bool ok = x && SSL_CTX_use_certificate(ctx, x) == 1;
    X509 *more;

    X509_free(x);
    if (!ok)
        fail(err, pair->name, "no usable certificate");
    while (ok && (more = PEM_read_bio_X509(b, NULL, no_passphrase, NULL))) {
        ok = SSL_CTX_add0_chain_cert(ctx, more) == 1;
        if (!ok) {
            X509_free(more);
            fail(err, pair->name, "no usable intermediate certificate");
        }
    }
    /* The end of the text is an error to the library, too. */
    if (ok && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE && ERR_peek_last_error() != 0)
        ok = fail(err, pair->name, "damaged certificate");
    ERR_clear_error();
    BIO_free(b);
    return ok;
}

/* The usual mistake in a file of several certificates is their order. 0: the key is none of theirs. */
static int key_place(SSL_CTX *ctx, EVP_PKEY *key)
{
    STACK_OF(X509) *chain = NULL;

    if (SSL_CTX_get0_chain_certs(ctx, &chain) != 1 || !chain)
        return 0;
    for (int i = 0; i < sk_X509_num(chain); i++)
        if (X509_check_private_key(sk_X509_value(chain, i), key) == 1)
            return i + 2;
    return 0;
}

static bool key_mismatch(SSL_CTX *ctx, EVP_PKEY *key, const char *name, struct err *err)
{
    int place = key_place(ctx, key);

    ERR_clear_error();
    if (place == 0)
        return err_set(err, ERR_CONF, "%s: the key does not belong to the certificate", name);
    return err_set(err, ERR_CONF,
                   "%s: the key belongs to certificate %d of the file; the host's own must come first, then "
                   "the one that signed it, and so on",
                   name, place);
}

static bool key_load(SSL_CTX *ctx, const struct tls_pair *pair, struct err *err)
{
    BIO *b = reader(pair->key.n ? pair->key : pair->certificate);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(b, NULL, no_passphrase, NULL);
    X509 *leaf = SSL_CTX_get0_certificate(ctx);
    bool ok = true;

    if (!key)
        ok = fail(err, pair->name, "no usable private key (one without passphrase is needed)");
    else if (X509_check_private_key(leaf, key) != 1)
        ok = key_mismatch(ctx, key, pair->name, err);
    else if (SSL_CTX_use_PrivateKey(ctx, key) != 1)
        ok = fail(err, pair->name, "the private key cannot be used");
    EVP_PKEY_free(key);
    BIO_free(b);
    ERR_clear_error();
    return ok;
}

static bool pair_load(SSL_CTX *ctx, const struct tls_pair *pair, struct err *err)
{
    ERR_clear_error();
    return chain_load(ctx, pair, err) && key_load(ctx, pair, err);
}

bool tls_pair_check(const struct tls_pair *pair, int64_t *expires, struct err *err)
{
    SSL_CTX *ctx = base_new(true, CIPHERS_SERVER);
    bool ok = pair_load(ctx, pair, err);
    struct tm tm;

    if (expires)
        *expires = 0;
    if (ok && expires && ASN1_TIME_to_tm(X509_get0_notAfter(SSL_CTX_get0_certificate(ctx)), &tm))
        *expires = timegm(&tm);
    SSL_CTX_free(ctx);
    return ok;
}

bool tls_pair_covers(const struct tls_pair *pair, const char *name)
{
    BIO *b = reader(pair->certificate);
    X509 *leaf = PEM_read_bio_X509(b, NULL, no_passphrase, NULL);
    bool ok = leaf && X509_check_host(leaf, name, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1;

    X509_free(leaf);
    BIO_free(b);
    ERR_clear_error();
    return ok;
}

/* ---- servers ---- */

/* The pair whose certificate holds the name that the client asks for; the first one otherwise. A name that is
   unknown here is no reason to refuse: mail servers ask for the name in the MX record, whatever it is. */
static int on_server_name(SSL *ssl, int *alert, void *arg)
{
    struct tls_context *c = arg;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

    (void)alert;
    for (size_t i = 0; name && i < c->n; i++) {
        if (X509_check_host(c->leaf[i], name, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) != 1)
            continue;
        SSL_set_SSL_CTX(ssl, c->ctx[i]);
        ERR_clear_error();
        return SSL_TLSEXT_ERR_OK;
    }
    ERR_clear_error();
    return SSL_TLSEXT_ERR_NOACK;
}

static struct tls_context *context_new(bool server, size_t n)
{
    struct tls_context *c = mem_new(sizeof *c);

    c->refs = 1;
    c->server = server;
    c->n = n;
    c->ctx = mem_array(n, sizeof *c->ctx);
    c->leaf = mem_array(n, sizeof *c->leaf);
    return c;
}

struct tls_context *tls_server_new(const struct tls_pair *pairs, size_t n, struct err *err)
{
    struct tls_context *c;
    uint8_t id[SSL_MAX_SID_CTX_LENGTH];

    if (n == 0) {
        err_set(err, ERR_CONF, "no certificate");
        return NULL;
    }
    c = context_new(true, n);
    rand_bytes(id, sizeof id);
    for (size_t i = 0; i < n; i++) {
        c->ctx[i] = base_new(true, CIPHERS_SERVER);
        SSL_CTX_set_session_id_context(c->ctx[i], id, sizeof id);
        if (!pair_load(c->ctx[i], &pairs[i], err)) {
            tls_context_unref(&c);
            return NULL;
        }
        c->leaf[i] = SSL_CTX_get0_certificate(c->ctx[i]);
    }
    SSL_CTX_set_tlsext_servername_callback(c->ctx[0], on_server_name);
    SSL_CTX_set_tlsext_servername_arg(c->ctx[0], c);
    return c;
}

static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int sealing)
{
    const struct tls_context *c = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

    return tls_tickets_callback(c->tickets, ssl, name, iv, cipher, mac, sealing);
}

void tls_server_tickets(struct tls_context *c, const struct tls_seed *seed, struct strv purpose)
{
    uint8_t id[SSL_MAX_SID_CTX_LENGTH];
    unsigned n = sizeof id;

    tls_tickets_free(&c->tickets);
    c->tickets = tls_tickets_new(seed, purpose);
    /* The library holds it against what stands in a ticket: the same in all processes of a listener. */
    if (EVP_Digest(purpose.p, purpose.n, id, &n, EVP_sha256(), NULL) != 1)
        die("SHA-256 does not work");
    for (size_t i = 0; i < c->n; i++) {
        SSL_CTX_set_session_id_context(c->ctx[i], id, sizeof id);
        SSL_CTX_set_app_data(c->ctx[i], c);
        SSL_CTX_set_tlsext_ticket_key_evp_cb(c->ctx[i], on_ticket);
        SSL_CTX_clear_options(c->ctx[i], SSL_OP_NO_TICKET);
        SSL_CTX_set_timeout(c->ctx[i], TLS_TICKET_S);
        SSL_CTX_set_num_tickets(c->ctx[i], 1);
    }
}

/* ---- clients ---- */

static bool ca_load(X509_STORE *store, struct strv pem, const char *name, size_t *count, struct err *err)
{
    BIO *b = reader(pem);
    X509 *x;
    bool ok = true;

    *count = 0;
    ERR_clear_error();
    while ((x = PEM_read_bio_X509_AUX(b, NULL, no_passphrase, NULL))) {
        /* The same one twice is no error since OpenSSL 1.1.1. */
        ok = ok && (!store || X509_STORE_add_cert(store, x) == 1);
        X509_free(x);
        ++*count;
    }
    if (!ok || (ERR_peek_last_error() != 0 && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE))
        ok = fail(err, name, "damaged certificate of an authority");
    else if (*count == 0)
        ok = err_set(err, ERR_CONF, "%s: no certificate of an authority in it", name);
    ERR_clear_error();
    BIO_free(b);
    return ok;
}

bool tls_ca_check(struct strv pem, const char *name, size_t *count, struct err *err)
{
    size_t n;

    return ca_load(NULL, pem, name, count ? count : &n, err);
}

struct tls_context *tls_client_new(const struct tls_client_spec *spec, struct err *err)
{
    bool must = spec->verify == TLS_VERIFY_REQUIRE;
    struct tls_context *c = context_new(false, 1);
    size_t count;

    c->verify = spec->verify;
    c->ctx[0] = base_new(false, must ? CIPHERS_REQUIRE : CIPHERS_ANY);
    SSL_CTX_set_verify(c->ctx[0], must ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    if ((spec->ca.n && !ca_load(SSL_CTX_get_cert_store(c->ctx[0]), spec->ca, spec->ca_name, &count, err)) ||
        (spec->client.certificate.n && !pair_load(c->ctx[0], &spec->client, err)))
        tls_context_unref(&c);
    return c;
}

/* ---- life ---- */

struct tls_context *tls_context_ref(struct tls_context *c)
{
    c->refs++;
    return c;
}

void tls_context_unref(struct tls_context **cp)
{
    struct tls_context *c = *cp;

    *cp = NULL;
    if (!c || --c->refs > 0)
        return;
    for (size_t i = 0; i < c->n; i++)
        SSL_CTX_free(c->ctx[i]);
    free(c->ctx);
    free(c->leaf);
    tls_tickets_free(&c->tickets);
    free(c);
}

void tls_warm_up(void)
{
    unsigned char bytes[16];
    SSL_CTX *ctx;
    SSL *ssl;

    /* The host's openssl.cnf is left out: what is permitted here stands above, and the file is not there in
       the jail. */
    if (OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_SSL_STRINGS |
                             OPENSSL_INIT_LOAD_CRYPTO_STRINGS,
                         NULL) != 1 ||
        RAND_bytes(bytes, sizeof bytes) != 1)
        die("the TLS library cannot start");
    ctx = base_new(false, CIPHERS_ANY);
    ssl = SSL_new(ctx);
    if (!ssl)
        die("the TLS library makes no session");
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    ERR_clear_error();
}
