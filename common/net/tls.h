/* tls.h - TLS contexts: certificates of ours, authorities we trust; sessions are stream.h's
 * (stream_start_tls) */
#pragma once

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/strv.h"

#include <stdint.h>

/* Keys, certificates and authorities come as PEM bytes: who uses them has no file access. A context is
   counted: each session holds it, so it can be replaced while sessions of the old one live. */
struct tls_context;

/* A certificate with its intermediate ones and its key; an empty key lies in the certificate's text. */
struct tls_pair {
    const char *name; /* for messages: the file's path */
    struct strv certificate, key;
};

/* OPPORTUNISTIC: the session comes up whatever the certificate is; stream_tls_info tells what it was worth.
   REQUIRE: only with a certificate that a trusted authority signed for the name given. */
enum tls_verify { TLS_VERIFY_NONE, TLS_VERIFY_OPPORTUNISTIC, TLS_VERIFY_REQUIRE };

struct tls_client_spec {
    enum tls_verify verify;
    struct strv ca;         /* PEM certificates of the authorities; empty: none is trusted */
    const char *ca_name;    /* for messages */
    struct tls_pair client; /* our own certificate; certificate empty: none */
};

/* What a session turned out to be. Texts live as long as the stream and hold nothing but printable ASCII. */
struct tls_info {
    const char *protocol; /* "TLSv1.3" */
    const char *cipher;   /* "TLS_AES_256_GCM_SHA384" */
    int bits;
    const char *peer;   /* name in the peer's certificate, "" for none */
    const char *sni;    /* server: the name that the client asked for, "" for none */
    bool verified;      /* client: chain and name are good */
    const char *verify; /* client: "ok", or why not */
    bool resumed;       /* taken up again with a ticket: no certificate was shown */
};

/* Debian's collection of authorities (package ca-certificates). */
#define TLS_SYSTEM_CA "/etc/ssl/certs/ca-certificates.crt"

/* Everything that would be loaded at the first session: call before the jail shuts. */
void tls_warm_up(void);

/* The first pair serves those who name nothing that another pair's certificate holds. NULL with err. */
struct tls_context *tls_server_new(const struct tls_pair *pairs, size_t n, struct err *err)
    __attribute__((warn_unused_result));
/* Where the keys of a server's session tickets come from: one link of a chain that moves with the time. */
struct tls_seed {
    int64_t period;
    uint8_t secret[32];
};
void tls_seed_new(struct tls_seed *s, int64_t wall_ms);
/* Forgets what made keys that nobody uses any more. */
void tls_seed_turn(struct tls_seed *s, int64_t wall_ms);
void tls_seed_write(const struct tls_seed *s, struct buf *out);
bool tls_seed_read(struct tls_seed *s, struct strv text) __attribute__((warn_unused_result));
/* Sessions of TLS 1.3 can be resumed from here on, for some hours, by every server with this seed and purpose
   and by no other (INCIDENTS 11). Without this call there is nothing to resume. */
void tls_server_tickets(struct tls_context *c, const struct tls_seed *seed, struct strv purpose);
struct tls_context *tls_client_new(const struct tls_client_spec *spec, struct err *err)
    __attribute__((warn_unused_result));
struct tls_context *tls_context_ref(struct tls_context *c);
void tls_context_unref(struct tls_context **c);

/* Loads, and the key belongs to the certificate? *expires: seconds since 1970 when the certificate ends; may
   be NULL. */
bool tls_pair_check(const struct tls_pair *pair, int64_t *expires, struct err *err)
    __attribute__((warn_unused_result));
/* Whether a client that looks for name accepts the certificate for it (it loads: tls_pair_check). */
bool tls_pair_covers(const struct tls_pair *pair, const char *name);
/* How many authorities the text holds; false with err when it is none at all or damaged. */
bool tls_ca_check(struct strv pem, const char *name, size_t *count, struct err *err)
    __attribute__((warn_unused_result));
