/* tls_tickets.h - session tickets of a server; for tls_context.c only, except for the seed (tls.h) */
#pragma once

#include "common/base/buf.h"
#include "common/net/tls.h"

#include <openssl/ssl.h>

struct tls_tickets;

/* How long a ticket is good: one period of keys, and those of the period before are kept. */
#define TLS_TICKET_S 21600

/* purpose: tickets of one are of no worth to another that has the same seed. */
struct tls_tickets *tls_tickets_new(const struct tls_seed *seed, struct strv purpose);
void tls_tickets_free(struct tls_tickets **t);
/* What SSL_CTX_set_tlsext_ticket_key_evp_cb wants, behind the object. */
int tls_tickets_callback(struct tls_tickets *t, SSL *ssl, unsigned char *name, unsigned char *iv,
                         EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int sealing);
