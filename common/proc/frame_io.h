/* frame_io.h - single frames over a socketpair without a loop: the start of a child, and what mtad queues for
 * it */
#pragma once

#include "common/ipc/frame.h"

/* Waits for one frame and checks it, with the route table too. buf: IPC_FRAME_MAX bytes that in borrows from.
   Descriptors are owned by in: frame_io_drop closes what was not taken. 1, 0 at the end, -1 with err. */
int frame_io_recv(int fd, char *buf, enum role self, enum role peer, struct ipc_in *in, struct err *err);
void frame_io_drop(struct ipc_in *in);

/* Sends one frame at once; takes the descriptors of o. The socket's queue must have room: nothing is waited
 * for. */
bool frame_io_send(int fd, struct ipc_out *o, struct err *err) __attribute__((warn_unused_result));
