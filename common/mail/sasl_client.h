/* sasl_client.h - the client's side of AUTH: PLAIN (RFC 4616), LOGIN, SCRAM-SHA-256 (RFC 5802, 7677); bounded
 */
#pragma once

#include "common/base/buf.h"
#include "common/mail/sasl.h"

/* Below that a stolen exchange gives the password away (RFC 7677 4); above it a server could keep us busy. */
#define SASL_ITERATIONS_MIN 4096u
#define SASL_ITERATIONS_MAX 600000u

/* Who we are at a server. Owned by whoever gives mail to it; wiped by sasl_secret_clear. */
struct sasl_secret {
    struct buf login, password; /* password is secret */
    /* What the last SCRAM exchange cost to compute: the same salt comes with every connection. */
    bool keys_known;
    unsigned iterations;
    struct buf salt; /* raw */
    uint8_t client_key[32], server_key[32];
};

void sasl_secret_init(struct sasl_secret *s, struct strv login, struct strv password);
/* From a file: the first line is the password, or with user empty "login:password". False with why; to clear
   in any case. */
bool sasl_secret_read(struct sasl_secret *s, struct strv user, struct strv text, const char **why)
    __attribute__((warn_unused_result));
void sasl_secret_clear(struct sasl_secret *s);

/* One exchange. Nothing of it is encoded: base64 and lines are the caller's. */
struct sasl_client {
    enum sasl_mechanism mechanism;
    struct sasl_secret *secret; /* borrowed */
    unsigned round;             /* challenges answered */
    bool proved;                /* SCRAM: the server's signature was right */
    struct buf answer;          /* secret: what to say */
    struct buf first, nonce;    /* SCRAM: our first message without its header; our nonce */
    uint8_t signature[32];      /* SCRAM: what the server must show */
    const char *why;            /* of a false sasl_client_answer */
};

/* nonce: ours for SCRAM; printable, no comma. */
void sasl_client_init(struct sasl_client *c, enum sasl_mechanism m, struct sasl_secret *secret,
                      struct strv nonce);
void sasl_client_clear(struct sasl_client *c);
/* What can be said before the server has said anything, in `answer`; false: nothing. */
bool sasl_client_initial(struct sasl_client *c);
/* The answer to a challenge, in `answer`. False: such a challenge ends the exchange (say "*"), see `why`. */
bool sasl_client_answer(struct sasl_client *c, struct strv challenge);
/* The server says yes. False: it has not shown that it knows us. */
bool sasl_client_is_done(const struct sasl_client *c);
