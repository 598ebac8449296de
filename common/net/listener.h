/* listener.h - accepting connections from a socket that mtad opened */
#pragma once

#include "common/base/netaddr.h"

struct loop;
struct listener;

/* Does not take fd's socket away from other processes: all smtpd poll the same socket (EPOLLEXCLUSIVE, a
   small batch per wake-up). on_accept takes the new non-blocking fd. EMFILE never spins: the listener rests
   until listener_resume or a short timer. */
struct listener *listener_new(struct loop *l, int fd, unsigned batch,
                              void (*on_accept)(void *arg, int fd, const struct netaddr *peer), void *arg);
void listener_pause(struct listener *ls);
void listener_resume(struct listener *ls);
void listener_free(struct listener **ls); /* closes fd */
/* Another process takes over: what was this process's turn is accepted, then it is freed. Closed at once, a
   connection that woke only us would wait until the next one comes. */
void listener_hand_over(struct listener **ls);
