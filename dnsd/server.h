/* server.h - the channels of those who ask, and their questions on the way */
#pragma once

#include "common/base/role.h"

struct loop;
struct lookup;
struct server;

/* trust_ad: the AD bit of the resolvers' answers is passed on as it came; else it is never set. */
struct server *server_new(struct loop *loop, struct lookup *lookup, bool trust_ad);
void server_free(struct server **s);
/* A peer's channel is there or was replaced. Takes fd. */
void server_edge(struct server *s, enum role peer, unsigned index, int fd);
