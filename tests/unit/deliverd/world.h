/* world.h - deliverd on one loop with a fake queued, a fake dnsd and scripted servers on loopback */
#pragma once

#include "tests/support/unit.h"

#include "common/ipc/channel.h"
#include "common/net/loop.h"
#include "deliverd/deliverd.h"

#define RESULTS_MAX     64
#define SERVERS_MAX     3
#define WORLD_PORT_TEXT 8

/* One recipient's result as queued got it. */
struct told {
    uint64_t txn, id, index;
    enum ipc_outcome outcome;
    char enhanced[16], step[32], relay[400], reply[1000], group[300];
    bool remote, maybe;
    uint64_t lookup;
};

struct session;

/* A server on 127.0.0.<number>. */
struct server {
    struct world *w;
    struct listener *listener; /* NULL: refuses connections */
    unsigned number;
    struct session *sessions; /* open ones */
    unsigned sessions_n;      /* ever */
    char peer[NETADDR_TEXT];  /* of the last one, without its port */
    unsigned messages;
    struct buf data;     /* of the last message, as it came, without the dot */
    struct buf commands; /* all of them, joined by '|' */
    /* script; NULL: the good reply */
    const char *greeting, *mail, *rcpt_bad, *body; /* rcpt_bad: reply to recipients that begin with "bad" */
    unsigned rcpt_max;                             /* 452 4.5.3 beyond; 0: no limit */
    bool drip;                                     /* greets with one byte every 200 ms */
    const char *hang_at;                           /* verb after which nothing is said */
    const char *die_at;                            /* verb at which it hangs up: "DATA", or "." */
    unsigned die_times;                            /* only so often; 0: always */
};

struct world {
    struct deliverd d;
    struct conf *conf;
    struct loop *loop;
    uint16_t port;
    struct server servers[SERVERS_MAX];

    struct channel *queued, *dnsd, *mapd; /* mapd: NULL until world_join_mapd; it knows nobody */
    struct ipc_out out;
    uint64_t txn;
    bool local; /* jobs are for our mailboxes */
    bool no_ack;
    uint64_t flags; /* of J_START */
    struct told told[RESULTS_MAX];
    unsigned told_n, lasts, inventories, inventory_ends, running_n;
    uint64_t running[RESULTS_MAX]; /* recipient indexes of the inventory */

    unsigned dns_asked;
    enum ipc_dns dns_answer;
    const char *dns_hosts; /* "mx1 10 127.0.0.2,127.0.0.3; own.test 20 127.0.0.4" */
    bool dns_silent;
    unsigned dns_hold_ms; /* before each answer */
};

int world_setup(void **state);
int world_teardown(void **state);
void world_listen(struct world *w, unsigned server); /* begins to accept on 127.0.0.(2 + server) */
void world_deaf(struct world *w, unsigned server);
void server_close_idle(struct server *s);
void world_join_queued(struct world *w);
void world_lose_queued(struct world *w);
/* Turns the loop until the condition holds; fails the test after some seconds. */
void world_join_dnsd(struct world *w);
void world_join_mapd(struct world *w);
void world_until_told(struct world *w, unsigned n);
void world_until_over(struct world *w); /* no job is left */
void world_turn(struct world *w, unsigned rounds);

/* J_START with rcpts "a@x b@x" (indexes from 0) and the message in one frame. Returns the job's number. */
uint64_t job_send(struct world *w, const char *dest, const char *rcpts, const char *message);
/* The same, cut: first in J_START, chunk in J_BODY (NULL: none), file by descriptor (NULL: none). */
uint64_t job_send_parts(struct world *w, const char *dest, const char *rcpts, const char *first,
                        const char *chunk, const char *file);
const struct told *told_of(const struct world *w, uint64_t txn, uint64_t index);

#define WORLD(fn) cmocka_unit_test_setup_teardown(fn, world_setup, world_teardown)
