/* server.h - mapd as a whole: tables, those who ask, and the workers */
#pragma once

#include "common/ipc/channel.h"
#include "common/net/loop.h"
#include "maps/map.h"

struct conf;
struct dict;
struct peer;
struct question;
struct tables;
struct workers;

struct mapd {
    const struct conf *conf; /* borrowed, like the loop */
    struct loop *loop;
    struct tables *tables; /* owned, like the others */
    struct workers *workers;
    struct peer *peers;
    struct ipc_out out;
};

void mapd_init(struct mapd *md, const struct conf *conf, struct loop *loop);
void mapd_clear(struct mapd *md);

/* Somebody who asks: smtpd, cleanup, deliverd, mtad. Replaces the edge of that role and index. Takes fd. */
void mapd_edge(struct mapd *md, enum role role, unsigned index, int fd);
