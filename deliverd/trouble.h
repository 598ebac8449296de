/* trouble.h - which addresses and which family did not answer lately, so that the next message does not wait
   for them again (pure)

   from is the address of ours that connections leave from, NULL when the system chooses it: what does not
   answer one may answer another. */
#pragma once

#include "common/base/netaddr.h"

#define TROUBLE_ADDRESS_MS                                                                                   \
    120000 /* below the first retry: a host that is back gets its mail at the next attempt */
#define TROUBLE_FAMILY_MS 600000 /* a network without IPv6 stays without for longer than a host is down */
#define TROUBLE_MAX       4096   /* addresses; beyond that new ones are not remembered */

struct trouble;

struct trouble *trouble_new(void);
void trouble_free(struct trouble **t);
void trouble_address(struct trouble *t, const struct netaddr *addr, const struct netaddr *from, int64_t now);
void trouble_address_over(struct trouble *t, const struct netaddr *addr, const struct netaddr *from);
bool trouble_has_address(struct trouble *t, const struct netaddr *addr, const struct netaddr *from,
                         int64_t now);
/* IPv6 was silent where IPv4 answered; it answered. */
void trouble_v6(struct trouble *t, const struct netaddr *from, int64_t now);
void trouble_v6_over(struct trouble *t, const struct netaddr *from);
bool trouble_has_v6(const struct trouble *t, const struct netaddr *from, int64_t now);
