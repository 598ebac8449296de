/* resolver.h - one question to the configured resolvers over c-ares: which server next, when it is enough */
#pragma once

#include "common/base/err.h"
#include "conf/types.h"
#include "dnsd/message.h"

struct loop;
struct resolver;
struct resolver_query;

#define RESOLVER_SERVERS_MAX 8

struct resolver_options {
    const struct conf_endpoints *servers;
    int64_t timeout_ms; /* per question and server */
    unsigned attempts;  /* rounds over all servers */
};

/* Makes the channels: c-ares looks at files here (random numbers, resolv.conf), so before confinement. */
struct resolver *resolver_new(const struct resolver_options *o, struct err *err);
/* Confined, the loop exists. */
void resolver_start(struct resolver *r, struct loop *loop);
/* fn runs whenever a server stops or begins again to answer: text says which do not, NULL: all do. While one
   does not it is asked for the root now and then, so that the end is noticed without anybody's question. */
void resolver_watch(struct resolver *r, void (*fn)(void *arg, const char *text), void *arg);
/* Pending questions are dropped without an answer. Never from a callback of it. */
void resolver_free(struct resolver **r);

/* Asks for (name, type); name as dns_name_normal gives it. done runs once from the loop, never before this
   returns, with a borrowed answer: SERVFAIL, REFUSED, silence and nonsense were tried with every server
   before it is DNS_TEMPFAIL. */
struct resolver_query *resolver_ask(struct resolver *r, struct strv name, uint16_t type,
                                    void (*done)(void *arg, struct dns_answer *answer), void *arg);
/* done will not run; the query is invalid afterwards. */
void resolver_cancel(struct resolver_query *q);
