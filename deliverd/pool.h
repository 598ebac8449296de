/* pool.h - destinations: how many connections each may have, which of them are idle, who waits for one */
#pragma once

#include "common/base/strv.h"

#include <stdint.h>

struct connection;
struct deliverd;
struct dest;
struct pool;

#define POOL_IDLE_MAX  512   /* idle connections of the process; more are closed instead of kept */
#define POOL_ALIAS_MAX 10000 /* keys of which we know what they share; then all are found out anew */
/* So many bytes of them too: strangers choose how long the names of their hosts are. */
#define POOL_ALIAS_BYTES (8u * 1024u * 1024u)

/* A place in the line; embedded by whoever waits, zeroed. */
struct pool_wait {
    struct dest *dest;
    struct pool_wait *next, *prev;
    /* A connection to use, or NULL: the right to open one. Never before pool_get returned. */
    void (*granted)(void *arg, struct connection *c);
    void *arg;
    bool waiting;
};

struct pool *pool_new(struct deliverd *d);
/* Closes what is idle. */
void pool_free(struct pool **p);

enum pool_answer {
    POOL_CONNECTION, /* *out is idle and yours, with its slot */
    POOL_OPEN,       /* a slot is yours: open a connection */
    POOL_WAIT,       /* granted will be called */
};

/* Mail for `key` is mail for `shared`, as was just found out: for ms the next ones get a place there. */
void pool_learn(struct pool *p, struct strv key, struct strv shared, int64_t ms);
/* The key of a destination, as it was asked for or learned. */
struct strv pool_key(const struct dest *dest);

/* A slot at the destination `key`, of which there are max. w->dest is set in any case. */
enum pool_answer pool_get(struct pool *p, struct strv key, unsigned max, struct pool_wait *w,
                          struct connection **out);
/* Gives the slot back, with a connection that may be used again (kept idle_ms) or NULL. It goes to whoever
 * waits. */
void pool_put(struct pool *p, struct dest *dest, struct connection *c, int64_t idle_ms);
/* Leaves the line. */
void pool_leave(struct pool *p, struct pool_wait *w);
/* Draining: idle connections are closed, nothing is kept any more. */
void pool_close_idle(struct pool *p);
