/* server.h - what one smtpd process serves: its listeners, its sessions and their limits, its peers */
#pragma once

#include "common/base/netaddr.h"

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct conf;
struct server;
struct tls_context;

/* conf outlives it. session_max: what the process's descriptors allow. over is called when the last session
   of a draining server is gone and its last words had their time. */
struct server *server_new(struct loop *l, const struct conf *conf, unsigned session_max,
                          void (*over)(void *arg), void *arg);
void server_free(struct server **sv);

/* Room for further sessions of a listener: while little is left, strangers get less time; then none is. */
enum server_room { ROOM_ENOUGH, ROOM_LITTLE, ROOM_NONE };

/* fn runs when that has changed. */
void server_watch(struct server *sv, void (*fn)(void *arg, const char *listener, enum server_room room),
                  void *arg);
/* Takes fd, a listening socket of that `listen` section. False (and fd closed) when there is no such section.
 */
bool server_listen(struct server *sv, const char *name, int fd);
/* Take fd: a peer's channel, or its replacement. */
void server_cleanup(struct server *sv, int fd, unsigned index);
void server_dns(struct server *sv, int fd);
/* snapshot: of the configuration, for questions to mapd. */
void server_maps(struct server *sv, int fd, uint64_t snapshot);
/* Takes a reference: what TLS uses in the sessions of conf->listens[listen]; NULL: none. Before
 * server_listen. */
void server_tls(struct server *sv, size_t listen, struct tls_context *tls);
/* No new connections: another process takes them. Sessions go on; over is called
   after the last one, as when draining. */
void server_retire(struct server *sv);
/* No new connections; sessions end at the first command outside a transaction, idle ones soon. */
void server_drain(struct server *sv, int64_t deadline_ms);
unsigned server_sessions(const struct server *sv);
