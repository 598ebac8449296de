/* peers.h - cleanup on one loop with a fake smtpd, queued and mapd at the other ends of its channels */
#pragma once

#include "tests/support/unit.h"

#include "cleanup/service.h"
#include "conf/conf.h"

#define STORED_MAX 16

/* What queued was given in one transaction. */
struct stored {
    uint64_t txn, id, body_size;
    struct buf sender, rcpts, header, body,
        words; /* rcpts: "a@b* (orig) c@d" ; words: "protocol=ESMTP ..." */
    unsigned frames;
    bool submitted, aborted, query;
};

struct world {
    struct conf *conf;
    struct loop *loop;
    struct cleanup cl;
    struct channel *smtpd, *queued, *mapd; /* the fakes' ends */
    struct ipc_out out;

    /* queued */
    struct stored stored[STORED_MAX];
    unsigned stored_n;
    bool hold;      /* does not answer Q_SUBMIT by itself */
    bool no_credit; /* gives none back */
    enum ipc_verdict verdict;
    int code;        /* of a refusal; 0: none given */
    bool knows;      /* its answer to Q_QUERY */
    unsigned failed; /* N_FAILED frames */
    char failed_origin[256];
    struct buf forwarded; /* N_FORWARDED: "1 5.1.1 text|..." */
    struct buf left;      /* N_LEFT_OUT: "0 a@b c@d|..." */

    /* mapd */
    bool mapd_fails, mapd_silent;
    unsigned asked; /* questions it got */

    /* smtpd */
    struct buf replies; /* "rcpt 0 550 5.1.1|done 0|..." */
    unsigned reply_n;
    unsigned ready;
};

extern const char world_conf[];
extern const char world_message[];

int world_setup(void **state);
int world_teardown(void **state);
void world_join_smtpd(struct world *w);
void world_join_queued(struct world *w);
void world_join_mapd(struct world *w);
void world_turn(struct world *w); /* until nothing moves any more */

void smtpd_open(struct world *w, uint64_t txn, bool own);
void smtpd_rcpt(struct world *w, uint64_t txn, uint64_t index, const char *rcpt, bool local);
void smtpd_body(struct world *w, uint64_t txn, struct strv data);
void smtpd_end(struct world *w, uint64_t txn, struct strv data, uint64_t size, uint64_t count);
void smtpd_abort(struct world *w, uint64_t txn);
void smtpd_whole(struct world *w, uint64_t txn, const char *text); /* TX_END alone, one recipient */
/* A message of that many long fields and at least that many bytes; its size. */
size_t message_large(struct buf *b, size_t header_fields, size_t size);
/* Its chunks, as far as credit allows, then waits for more. */
void smtpd_large(struct world *w, uint64_t txn, const struct buf *b);
void smtpd_query(struct world *w, uint64_t txn, uint64_t id);

void queued_answer(struct world *w, unsigned i, enum ipc_verdict verdict);
struct stored *stored_find(struct world *w, uint64_t txn);
/* All replies so far as text; then they are forgotten. */
void expect_replies(struct world *w, const char *name, const char *want);

#define WORLD(fn) cmocka_unit_test_setup_teardown(fn, world_setup, world_teardown)
