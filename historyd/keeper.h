/* keeper.h - the thread that writes and reads the history
 *
 * So neither a slow disk nor a long search keeps the loop from emptying the channels.
 */
#pragma once

#include "common/base/buf.h"
#include "common/os/handover.h"
#include "historyd/store.h"

#define KEEPER_QUEUE  64u  /* blocks that wait for the disk; beyond that lines are lost */
#define KEEPER_KEYS   32u  /* of one question */
#define KEEPER_LINES  256u /* lines of one portion, about */
#define KEEPER_BLOCKS 512u /* blocks of one portion */

enum keeper_kind { KEEPER_BLOCK, KEEPER_FIND, KEEPER_LIMIT, KEEPER_LOOK };

struct keeper_job {
    struct handover_job link;
    enum keeper_kind kind;
    /* BLOCK: owned bytes of a whole block; open: more of it comes. */
    char *bytes;
    bool open;
    uint32_t line_n;
    /* FIND: the question, then lines as blocks have them (owned), newest block first. */
    struct strv forms[KEEPER_KEYS];
    char *form_bytes; /* owned: what forms point into */
    size_t form_n;
    int64_t since_ms;
    uint64_t from, next_block;
    struct buf lines;
    size_t found;
    void *asker; /* the loop's; NULL: it left */
    /* LIMIT, and everything's answer. */
    struct store_limits limits;
    struct store_state state;
    bool ok, damaged;
    struct err err;
};

struct keeper;

struct keeper *keeper_new(const struct store_limits *limits);
bool keeper_start(struct keeper *k, struct err *err) __attribute__((warn_unused_result));
void keeper_add(struct keeper *k, struct keeper_job *job); /* takes */
size_t keeper_waiting(struct keeper *k);                   /* blocks */
int keeper_wake_fd(const struct keeper *k);
struct keeper_job *keeper_take(struct keeper *k); /* all that are done; the caller frees */
struct keeper_job *keeper_job_next(const struct keeper_job *job); /* behind it in what keeper_take gave */
void keeper_job_free(struct keeper_job *job);
void keeper_stop(struct keeper **k); /* what waits is written first */
void keeper_run(struct keeper *k, void (*fn)(void *arg), void *arg);
