/* collect.h - historyd: lines from all channels into blocks, blocks to the keeper */
#pragma once

#include "common/base/role.h"
#include "common/net/loop.h"
#include "historyd/keeper.h"

struct channel;
struct conf_history;
struct ctl_server;
struct daemon;

#define HISTORY_COMMIT_MS 2000  /* lines are on disk after so long, questions see them at once */
#define HISTORY_TRIM_MS   30000 /* how often the age is looked at when nothing comes */

struct feed_in {
    struct history *history;
    struct channel *ch; /* owned */
    struct feed_in *next, **at;
};

struct history {
    struct daemon *daemon;
    struct loop *loop;
    struct keeper *keeper; /* owned */
    struct block block;    /* being filled */
    int64_t keep_ms;       /* 0 came with a reload: nothing is kept */
    uint32_t unwritten;    /* lines of it that no job has */
    uint64_t lines, lost;  /* of this run; lost: also what the senders said */
    uint64_t failed_lines; /* lost by the disk and not logged yet */
    int64_t failed_ms;     /* when that was logged last; 0: the disk works */
    struct store_state state;
    struct feed_in *feeds; /* owned */
    struct loop_timer commit, trim;
    struct loop_io wake;
    struct ctl_server *ctl; /* owned; NULL until somebody asks */
};

/* Before the filter: makes the thread. */
bool history_open(struct history *h, struct daemon *d, struct err *err) __attribute__((warn_unused_result));
void history_start(struct history *h);
void history_edge(struct history *h, enum role peer, unsigned index, int fd);
void history_conf(struct history *h, const struct conf_history *conf);
void history_commit(struct history *h);         /* what is in memory goes to the keeper now */
bool history_is_quiet(const struct history *h); /* nobody is there who could send */
void history_close(struct history *h);

/* ctl.c */
void history_ctl_client(struct history *h, int fd);
void history_found(struct history *h, struct keeper_job *job);
