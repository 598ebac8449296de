/* transport.h - moving bytes of one connection without waiting: the place where TLS comes in (inner part of
 * stream) */
#pragma once

#include "common/base/netaddr.h"

/* WAIT: nothing now. EOF: the peer's last byte was read. ERROR: errno tells. */
enum transfer { TRANSFER_DONE, TRANSFER_WAIT, TRANSFER_EOF, TRANSFER_ERROR };

enum transfer transport_read(int fd, void *p, size_t n, size_t *done);
enum transfer transport_write(int fd, const void *p, size_t n, size_t *done);

void transport_no_delay(int fd);
/* Begins to connect; from may be NULL. False: errno tells. */
bool transport_connect(int fd, const struct netaddr *to, const struct netaddr *from);
/* What keeps connections from leaving from that address: 0 or an errno. */
int transport_from_error(const struct netaddr *from);
/* How a connect ended: 0 or an errno. */
int transport_connected(int fd);
