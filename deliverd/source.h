/* source.h - addresses of ours that connections leave from, when this host does not have them */
#pragma once

#include "common/base/netaddr.h"

struct conf_route;
struct deliverd;
struct sources;

#define STEP_SOURCE     "source" /* an attempt ended there: nothing was asked of the other side */
#define SOURCE_AGAIN_MS 10000    /* between looks at one that is missing */

struct sources *sources_new(struct deliverd *d);
void sources_free(struct sources **s);
/* At the start: those that are missing are told before there is mail for them. */
void sources_look(struct sources *s);

/* A connection of the route from there did not come up because of `sys`: whether this host does not have the
   address. That is logged once, and told until it has it. from NULL: the system's choice, never missing. */
bool source_is_missing(struct sources *s, const struct conf_route *route, const struct netaddr *from,
                       int sys);
