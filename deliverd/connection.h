/* connection.h - one TCP connection to a server: the client engine on a stream, with deadlines */
#pragma once

#include "common/base/netaddr.h"
#include "common/net/loop.h"
#include "deliverd/client_engine.h"

struct conf_route;
struct connection;
struct deliverd;
struct dest;
struct secure_route;
struct stream;
struct target;

/* Then a new one: lets changes in DNS be seen and load balancers on the far side do their work, as does the
   route's max_messages. */
#define CONNECTION_AGE_MS 300000

/* Who uses the connection now. Nothing is called before the function that caused it returned, except result
   and body. A connection that is down frees itself afterwards: forget it. */
struct connection_ops {
    void (*up)(void *arg, struct connection *c);    /* connected; the greeting is waited for */
    void (*ready)(void *arg, struct connection *c); /* the server takes messages */
    /* It never got ready: no connection, 554, nonsense. */
    void (*down)(void *arg, struct connection *c, const struct client_result *failure);
    void (*result)(void *arg, size_t rcpt, const struct client_result *r);
    enum client_body (*body)(void *arg, size_t max, struct strv *piece);
    /* Every recipient has its result. alive: the next message may begin; else it is down. */
    void (*finished)(void *arg, struct connection *c, bool alive);
    void (*gone)(void *arg, struct connection *c); /* down while idle; or idle for too long: still alive */
};

enum connection_phase {
    CONNECTION_CONNECTING,
    CONNECTION_OPENING,
    CONNECTION_READY,
    CONNECTION_MESSAGE,
    CONNECTION_CLOSED,
};

struct connection {
    struct deliverd *d;
    struct stream *stream; /* owned */
    struct client client;
    enum connection_phase phase;
    const struct conf_route *route; /* borrowed: timeouts, EHLO name */
    const struct connection_ops *ops;
    void *arg;
    struct loop_task task;
    struct loop_timer idle;
    int64_t started;
    bool deadline_set, timed_out;
    bool shaking; /* TLS was begun */
    bool reset; /* between the handshake and our look at it */
    bool lmtp;  /* set by whoever made it, before it is up */
    bool plain; /* no TLS, whatever is offered */
    enum client_step deadline_step;
    unsigned replies_seen;
    struct dest *dest;              /* of pool.c */
    struct connection *next, *prev; /* in its idle list */
    const struct secure_route *secure; /* borrowed; NULL: neither TLS nor a login */
    char tls_name[256];                /* whom a certificate must name */
    char tls[96];                      /* protocol and cipher; "" in the clear */
    const char *verified;              /* "yes", or why not; NULL in the clear */
    char nonce[33];
    struct netaddr addr;
    const struct netaddr *from; /* the route's, of that family; NULL: the system's choice */
    char relay[340]; /* "host[ip]:port" */
};

/* Begins to connect. NULL when no socket of that family can be made (*sys: errno). */
struct connection *connection_new(struct deliverd *d, const struct conf_route *route, const struct target *t,
                                  const struct connection_ops *ops, void *arg, int *sys);
/* The same for LMTP on a socket that mtad connected; takes fd. It is up: the greeting is waited for. relay:
   what logs and results call it. */
struct connection *connection_adopt(struct deliverd *d, const struct conf_route *route, int fd,
                                    struct strv relay, const struct connection_ops *ops, void *arg);
/* Another user from now on. */
void connection_use(struct connection *c, const struct connection_ops *ops, void *arg);
/* READY only; m lives until finished. */
void connection_begin(struct connection *c, const struct client_message *m);
/* May take another message after this one. */
bool connection_is_fresh(const struct connection *c);
/* READY only: `gone` after ms. */
void connection_idle(struct connection *c, int64_t ms);
/* Says QUIT when that can be said, closes, forgets; no callback. */
void connection_close(struct connection **c, const char *why);
