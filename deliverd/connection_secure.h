/* connection_secure.h - TLS and AUTH of a connection; inside of connection.c's object */
#pragma once

#include "common/net/stream.h"
#include "deliverd/connection.h"

/* Behind client_init: what the route wants of this server. t NULL: a connection without a target (LMTP). */
void connection_terms(struct connection *c);
/* Whom the server's certificate must name. */
void connection_set_name(struct connection *c, const struct target *t);
/* The engine waits for TLS: begins the handshake, or tells the engine that there is none. */
void connection_shake(struct connection *c);
/* The handshake is over; or failed, as the stream ended. */
void connection_secured(struct connection *c);
void connection_shake_failed(struct connection *c, enum stream_end how, int sys);
/* A connection is ready, or did not become so: what that says about our login. */
void connection_login(struct connection *c);
