/* lookup.h - one question, answered from the cache, from a question already on its way, or by the resolvers;
   CNAME chains that a server left open are followed */
#pragma once

#include "common/net/loop.h"
#include "dnsd/message.h"

struct lookup;
struct flight;
struct resolver;

#define LOOKUP_CACHE_MAX   20000 /* answers; about 300 bytes each */
#define LOOKUP_FLIGHTS_MAX 4000  /* different questions on their way; more are "could not tell" at once */

struct lookup *lookup_new(struct loop *loop, struct resolver *resolver);
void lookup_free(struct lookup **l);

/* One question on its way; embedded by the caller, zeroed. It must live until done ran or lookup_cancel. */
struct lookup_ask {
    struct lookup *l;
    struct flight *flight; /* waiting there; NULL when the answer is at hand or nothing was asked */
    struct lookup_ask *next, *prev;
    struct dns_answer *answer; /* ref: at hand, told from the loop */
    struct loop_task task;
    void (*done)(void *arg, struct dns_answer *answer);
    void *arg;
};

/* done gets a borrowed answer once, from the loop, never before this returns. It may free or reuse ask. A
   name that cannot exist is DNS_NXDOMAIN. */
void lookup_start(struct lookup *l, struct lookup_ask *ask, struct strv name, uint16_t type,
                  void (*done)(void *arg, struct dns_answer *answer), void *arg);
void lookup_cancel(struct lookup_ask *ask);
