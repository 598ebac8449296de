/* dial.h - connecting to the best target that answers: one after the other, but not waiting for the silent
 * ones
 *
 * The next address is tried as soon as one is refused; targets_next says when one starts beside a silent one.
 * The first that connects wins; the others are hung up before they greet and count as not tried.
 */
#pragma once

#include "common/net/loop.h"
#include "deliverd/connection.h"
#include "deliverd/route.h"

struct dial_ops {
    /* Connected and forgotten by the dial: the greeting is waited for; use it (connection_use) before
     * returning. */
    void (*up)(void *arg, struct connection *c);
    /* One target did not connect; the next is on its way, or exhausted follows. */
    void (*failed)(void *arg, const char *relay, const struct client_result *failure);
    void (*exhausted)(void *arg); /* no target is left */
};

struct dial {
    struct deliverd *d;
    const struct conf_route *route; /* borrowed */
    struct targets *targets;        /* borrowed */
    const struct dial_ops *ops;
    void *arg;
    struct loop_timer timer;
    struct loop_task task;
    struct {
        struct connection *c;
        struct target *t;
    } pending[TARGETS_PENDING_MAX + 1];
    unsigned pending_n;
    bool lmtp;      /* what the targets speak; set after dial_init */
    bool v6_waited; /* an IPv6 address was silent long enough for IPv4 to be started */
};

void dial_init(struct dial *d, struct deliverd *deliverd, const struct conf_route *route,
               struct targets *targets, const struct dial_ops *ops, void *arg);
/* Begins, or goes on with the targets not tried yet. Callbacks follow from the loop. */
void dial_next(struct dial *d);
void dial_clear(struct dial *d);
