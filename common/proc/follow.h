/* follow.h - an operator follows one peer or domain for a while: whose dialogue is logged line by line */
#pragma once

#include "common/base/netaddr.h"
#include "common/base/strv.h"

struct channel;
struct ipc_in;

enum follow_kind { FOLLOW_PEER, FOLLOW_DOMAIN };

#define FOLLOW_MAX  16u  /* at a time */
#define FOLLOW_TEXT 256u /* with the NUL */

/* Ends by itself after ms. A peer is an address, a network, or a host name; a domain is itself and what is
   below it. False: neither, or too many. The same one again gets the new time. */
bool follow_add(enum follow_kind kind, struct strv text, int64_t ms);
/* LOG_FOLLOW of mtad. */
void follow_on_frame(void *arg, struct channel *ch, struct ipc_in *in);
bool follow_any(void); /* cheap: for the way that everybody goes */
/* name: what is known of it; may be empty. */
bool follow_peer(const struct netaddr *addr, struct strv name);
bool follow_domain(struct strv domain);
/* Whether that text can be followed. */
bool follow_is_valid(enum follow_kind kind, struct strv text);
