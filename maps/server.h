/* server.h - mapd as a whole: tables, those who ask, and the workers */
#pragma once

#include "common/ipc/channel.h"
#include "common/net/loop.h"
#include "maps/map.h"

struct conf;
struct auths;
struct dict;
struct peer;
struct question;
struct snapshot;
struct tables;
struct workers;

struct mapd {
    const struct conf *conf; /* of who asks without a number: the newest whose tables are read; borrowed */
    struct loop *loop;
    struct tables *tables; /* of the same; owned, unless there are snapshots */
    uint64_t number; /* of the same */
    struct snapshot *snapshots; /* owned list, newest first; NULL: there is only conf */
    struct workers *workers;
    struct auths *auths;
    struct peer *peers;
    struct ipc_out out;
};

void mapd_init(struct mapd *md, const struct conf *conf, struct loop *loop);
void mapd_clear(struct mapd *md);

/* Somebody who asks: smtpd, cleanup, deliverd, mtad. Replaces the edge of that role and index. Takes fd. */
void mapd_edge(struct mapd *md, enum role role, unsigned index, int fd);
/* Questions that wait for an answer from these tables fail: the tables go. */
void mapd_abandon(struct mapd *md, const struct tables *tables);
