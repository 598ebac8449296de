/* deliverd.h - what the parts of a deliverd process share */
#pragma once

#include "common/ipc/frame.h"
#include "deliverd/route.h"

struct agents;
struct conf;
struct daemon;
struct dns_client;
struct forwarding;
struct jobs;
struct lmtp;
struct loop;
struct maps_client;
struct pool;
struct sections;
struct secure;
struct sources;
struct trouble;

struct deliverd {
    struct daemon *daemon; /* NULL in tests */
    struct loop *loop;
    const struct conf *conf;
    struct dns_client *dns; /* all owned from here */
    struct maps_client *maps;
    struct jobs *jobs;
    struct pool *pool;
    struct secure *secure; /* NULL in tests: no TLS */
    struct agents *agents;
    struct forwarding *forwardings; /* borrowed: questions to queued */
    struct lmtp *lmtp;
    struct trouble *trouble;
    struct sources *sources;
    struct sections *sections; /* NULL: no mailbox was delivered to */
    struct own_addresses own;
    struct ipc_out out;  /* scratch */
    int64_t patience_ms; /* for mapd or dnsd that is being replaced, before an attempt ends with "service" */
    unsigned index; /* among all deliverds */
    bool draining;
};
