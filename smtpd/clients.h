/* clients.h - how many sessions each client address has open in this process (pure) */
#pragma once

#include "common/base/netaddr.h"

struct dict;

struct clients {
    struct dict *counts; /* owned */
};

void clients_init(struct clients *c);
void clients_clear(struct clients *c);
/* Counts one more session and returns how many there are now. IPv6 addresses of one /64 are one client: it is
   what a single customer gets. */
unsigned clients_add(struct clients *c, const struct netaddr *addr);
void clients_remove(struct clients *c, const struct netaddr *addr);
