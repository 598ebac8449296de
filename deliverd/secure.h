/* secure.h - what each route needs for TLS and AUTH: contexts and logins, loaded before the jail shuts */
#pragma once

#include "common/base/err.h"
#include "common/mail/sasl_client.h"

struct conf;
struct conf_route;
struct daemon;
struct tls_context;

#define LOGIN_AGAIN_MS 60000 /* a login that was refused is not tried again so long: servers lock accounts   \
                              */

/* A login at a smart host; several routes may share it. */
struct login {
    const char *name; /* of its section; borrowed */
    struct sasl_secret secret;
    int64_t refused_until; /* loop ms */
    struct buf refused;    /* the server's words */
};

struct secure_route {
    struct tls_context *tls; /* counted; NULL: the route uses no TLS */
    struct login *login;     /* borrowed from struct secure; NULL: none */
};

struct secure;

/* Of all routes, from what mtad handed over. */
bool secure_load(struct daemon *d, struct secure **out, struct err *err) __attribute__((warn_unused_result));
void secure_free(struct secure **s);
/* NULL: neither TLS nor a login. s may be NULL. */
const struct secure_route *secure_of(const struct secure *s, const struct conf_route *route);
