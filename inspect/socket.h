/* socket.h - can the addresses of the configuration be listened on? */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/netaddr.h"
#include "inspect/finding.h"

struct conf;

/* Tries to bind each, without listening. is_ours: the host that runs has it. */
void inspect_sockets(const struct conf *conf, bool (*is_ours)(void *arg, const struct netaddr *a), void *arg,
                     struct findings *f);
/* "master, pid 123": who listens on that port. False: it cannot be told. */
bool socket_holder(const struct netaddr *a, char *dst, size_t size);
