/* received.h - the trace field (RFC 5321 4.4) */
#pragma once

#include "common/base/netaddr.h"
#include "common/mail/address.h"

/* Protocol keywords, RFC 3848 and RFC 6531. */
#define RECEIVED_ESMTP 1u       /* EHLO was used; LMTP implies it */
#define RECEIVED_TLS   2u
#define RECEIVED_AUTH  4u
#define RECEIVED_LMTP  8u
#define RECEIVED_UTF8  16u

struct received {
    struct strv helo;           /* what the client called itself; empty: local submission */
    struct netaddr client;      /* AF_UNSPEC: none */
    struct strv client_name;    /* its confirmed PTR name; empty: none */
    struct strv by;             /* our hostname */
    unsigned protocol;          /* RECEIVED_* */
    struct strv tls;            /* "TLSv1.3 TLS_AES_256_GCM_SHA384", written as a comment; empty: none */
    int64_t uid;                /* of a local submitter; -1: none */
    struct strv id;             /* the message's id */
    const struct address *rcpt; /* NULL unless the message has one recipient: RFC 5321 7.6, blind copies */
    int64_t wall_ms;
};

/* Appends the whole field with CRLF. Foreign texts (helo, client_name) are cut at 255 bytes, and what is
   not a letter of a host name or an address literal becomes '?', so none can end a comment, a field or a
   line. */
void received_write(const struct received *r, struct buf *out);

/* The keyword: SMTP, ESMTP, ESMTPS, ESMTPA, ESMTPSA, LMTP, ..., UTF8SMTPSA. */
const char *received_protocol(unsigned protocol);

/* Number of Received fields in a header block: the hop count. */
size_t received_count(struct strv block);
