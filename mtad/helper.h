/* helper.h - descriptors that a child may ask for while it works, by a name that the configuration knows */
#pragma once

#include "common/ipc/channel.h"
#include "mtad/host.h"

/* Answers a HELPER request. Today, of mapd: `include:/path`, the lists
   that alias tables name, and `source:NAME`, a table's source that was replaced. */
void helper_answer(struct child *c, struct ipc_in *in);
