/* sasl.h - the server's side of AUTH: PLAIN (RFC 4616), LOGIN, SCRAM-SHA-256 (RFC 5802, 7677); pure, bounded
 */
#pragma once

#include "common/base/buf.h"

/* It decodes what clients send and says what is to be asked of the store of secrets, which it never sees. */
enum sasl_mechanism { SASL_PLAIN, SASL_LOGIN, SASL_SCRAM_SHA_256, SASL__COUNT };

enum sasl_step {
    SASL_CHALLENGE, /* send `challenge` (not encoded yet); the client's next line comes to sasl_input */
    SASL_PASSWORD,  /* is `secret` the password of `login`? */
    SASL_SALT,      /* salt and iterations of `login`, for sasl_salt */
    SASL_PROOF,     /* is `proof` the one of `login` for `text`? Its signature for sasl_signature */
    SASL_GOOD,      /* the client has seen our proof, too */
    SASL_CANCELLED, /* the client sent "*" */
    SASL_BAD,       /* not what the mechanism wants */
};

#define SASL_LOGIN_MAX    255u
#define SASL_PASSWORD_MAX 1024u
#define SASL_NONCE_MAX    256u
#define SASL_TEXT_MAX     2048u

struct sasl {
    enum sasl_mechanism mechanism;
    unsigned round;    /* lines of the client so far */
    struct buf login;  /* as given, never empty when asked about; printable or not ASCII */
    struct buf secret; /* wiped */
    struct buf challenge;
    struct buf first;  /* SCRAM: client-first-message-bare */
    struct buf second; /* SCRAM: server-first-message */
    struct buf header; /* SCRAM: gs2 header */
    struct buf nonce;  /* SCRAM: both parts */
    struct buf text;   /* SCRAM: AuthMessage */
    uint8_t proof[32];
};

/* Any case; false: unknown. */
bool sasl_find(struct strv name, enum sasl_mechanism *out);
const char *sasl_name(enum sasl_mechanism m);

/* nonce: SCRAM's server part; printable, no comma. */
void sasl_init(struct sasl *s, enum sasl_mechanism m, struct strv nonce);
void sasl_clear(struct sasl *s);
/* The initial response as it stands behind the mechanism (base64, or "=" for an empty one); p NULL: none. */
enum sasl_step sasl_begin(struct sasl *s, struct strv initial);
/* The next line (base64, "*"). */
enum sasl_step sasl_input(struct sasl *s, struct strv line);
/* Answers of the store. salt: base64. */
enum sasl_step sasl_salt(struct sasl *s, struct strv salt, unsigned iterations);
enum sasl_step sasl_signature(struct sasl *s, const uint8_t signature[32]);
