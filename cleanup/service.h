/* service.h - cleanup as a whole: its peers, and what all transactions share */
#pragma once

#include "cleanup/txn.h"
#include "common/ipc/channel.h"
#include "common/net/loop.h"
#include "maps/client.h"

#define PEERS_MAX 256 /* smtpd processes: EDGE's index is a byte */

struct conf;
struct dict;
struct dsn_texts;

/* One smtpd process. */
struct peer {
    struct cleanup *cl;
    struct channel *ch; /* owned */
    struct dict *txns;  /* the peer's number -> struct txn; owned */
    unsigned index;
};

struct cleanup {
    const struct conf *conf; /* borrowed, like the loop: they outlive it */
    struct loop *loop;
    struct maps_client *maps; /* owned */
    struct channel *queued;   /* owned; NULL while it is away */
    struct dict *submitting;  /* number towards queued -> struct txn, from its first frame to its answer */
    struct peer *peers[PEERS_MAX];
    struct ipc_out out;     /* reused for every frame */
    struct key_chain chain; /* scratch of the resolver */
    struct drop *drops;       /* files of drop/ being read, or with queued */
    struct forward *forwards; /* being read, or with queued */
    struct notice *notices; /* being composed or resolved, or with queued */
    struct txn *doubts;     /* submitted, and queued was lost */
    struct loop_timer doubt_timer;
    struct txn *pool;
    size_t pooled, live;
    struct dsn_texts *notice_texts; /* owned */
    void (*idle)(void *arg); /* the last transaction ended; may be NULL */
    void *idle_arg;
};

void cleanup_init(struct cleanup *cl, const struct conf *conf, struct loop *loop);
void cleanup_clear(struct cleanup *cl);

/* Edges as mtad pushes them; each replaces the former one. They take fd. */
void cleanup_edge_smtpd(struct cleanup *cl, unsigned index, int fd);
void cleanup_edge_queued(struct cleanup *cl, int fd);
void cleanup_edge_mapd(struct cleanup *cl, int fd);

/* What notices say from now on; takes texts. */
void cleanup_texts(struct cleanup *cl, struct dsn_texts *texts);

/* receive.c, notice.c, commit.c: their rows of the dispatch tables. */
extern const struct channel_route receive_routes[];
extern const struct channel_route queued_routes[];

/* The transaction is over for its client: reply, forget, free. refused.verdict ACCEPT: it is durable (or went
   to /dev/null, as its addresses say). */
void txn_finish(struct txn *t);
/* The same without a word to anybody: what became of the message is not known. */
void txn_drop(struct txn *t);
/* Nobody wants it any more: queued is told unless it has everything, then it is gone (or goes with queued's
 * answer). */
void txn_abort(struct txn *t);
void txn_pool_clear(struct cleanup *cl);
