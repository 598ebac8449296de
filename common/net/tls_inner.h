/* tls_inner.h - what the parts of TLS share; nobody else includes it */
#pragma once

#include "common/net/tls.h"
#include "common/net/transport.h"

#include <openssl/ssl.h>

struct tls_context {
    unsigned refs;
    bool server;
    enum tls_verify verify;
    SSL_CTX **ctx; /* owned; a client has one, a server one for each pair */
    X509 **leaf;   /* borrowed from ctx: the certificate of each */
    size_t n;
    struct tls_tickets *tickets; /* owned; NULL: none */
};

/* The oldest error of the library in words; empties its queue. */
const char *tls_library_error(char *dst, size_t size);

/* ---- one session, for stream ---- */
struct tls;

/* Takes a reference of c. name: client: whom we mean (SNI, and what the certificate must hold). NULL with err
   when the library refuses. */
struct tls *tls_new(struct tls_context *c, int fd, const char *name, struct err *err);
/* good: says goodbye to the peer, if the session is in a state for that. */
void tls_free(struct tls **t, bool good);
/* DONE: up. WAIT: *writing tells what for. ERROR: tls_why. */
enum transfer tls_handshake(struct tls *t, bool *writing);
enum transfer tls_read(struct tls *t, void *p, size_t n, size_t *done);
enum transfer tls_write(struct tls *t, const void *p, size_t n, size_t *done);
/* Bytes were taken from the socket that tls_read has not given yet: no readiness will be told for them. */
bool tls_has_more(const struct tls *t);
/* tls_read waits for the socket to take bytes (an answer to a change of keys). */
bool tls_read_wants_write(const struct tls *t);
const char *tls_why(const struct tls *t);
void tls_describe(struct tls *t, struct tls_info *out);
