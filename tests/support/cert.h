/* cert.h - certificates for tests, made when they are needed: an authority, and hosts that it signs */
#pragma once

#include "common/base/buf.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

struct cert {
    X509 *x;
    EVP_PKEY *key;
    struct buf pem, key_pem;
};

static inline void cert_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *ext;

    X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
    ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    X509_add_ext(x, ext, -1);
    X509_EXTENSION_free(ext);
}

static inline void cert_bio(BIO *b, struct buf *out)
{
    char *p;
    long n = BIO_get_mem_data(b, &p);

    buf_init(out, 65536);
    buf_add(out, p, (size_t)n);
    BIO_free(b);
}

/* san: "DNS:a.example,IP:127.0.0.1"; NULL makes an authority. issuer NULL: signs itself. days may be
   negative: over already. */
static inline struct cert cert_make(const char *cn, const char *san, const struct cert *issuer, int days)
{
    static long serial = 1;
    struct cert c = { .x = X509_new(), .key = EVP_EC_gen("P-256") };
    X509_NAME *name = X509_get_subject_name(c.x);
    BIO *b;

    X509_set_version(c.x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(c.x), serial++);
    X509_gmtime_adj(X509_getm_notBefore(c.x), -86400L * 30);
    X509_gmtime_adj(X509_getm_notAfter(c.x), 86400L * days);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1, 0);
    X509_set_issuer_name(c.x, issuer ? X509_get_subject_name(issuer->x) : name);
    X509_set_pubkey(c.x, c.key);
    if (san)
        cert_extension(c.x, issuer ? issuer->x : c.x, NID_subject_alt_name, san);
    else
        cert_extension(c.x, c.x, NID_basic_constraints, "critical,CA:TRUE");
    X509_sign(c.x, issuer ? issuer->key : c.key, EVP_sha256());
    b = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(b, c.x);
    cert_bio(b, &c.pem);
    b = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey(b, c.key, NULL, NULL, 0, NULL, NULL);
    cert_bio(b, &c.key_pem);
    return c;
}

static inline void cert_clear(struct cert *c)
{
    X509_free(c->x);
    EVP_PKEY_free(c->key);
    buf_clear(&c->pem);
    buf_clear(&c->key_pem);
}
