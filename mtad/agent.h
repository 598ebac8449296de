/* agent.h - processes that act as a recipient: who may be whom, how many, started and reaped */
#pragma once

#include "common/ipc/frame.h"
#include "mtad/host.h"

/* AGENT of a deliverd. Answered now, or when mapd has said who the user is. */
void agent_request(struct child *c, struct ipc_in *in);
/* AGENT_END of a deliverd: the agent it was given for that request hangs. Killed; its end follows. */
void agent_kill(struct child *c, const struct ipc_in *in);
/* A process that is no daemon has ended. */
void agent_ended(struct host *h, pid_t pid, int status);
/* Check build: an agent of the first virtual mailbox whose channel mtad keeps; -1 with err. */
int agent_for_attempt(struct host *h, struct err *err);
