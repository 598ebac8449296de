/* route.h - section `route LABEL`: how mail leaves; a label is a domain, `.domain` or `default` */
#pragma once

#include "conf/types.h"

enum conf_family { CONF_FAMILY_ANY, CONF_FAMILY_IPV4, CONF_FAMILY_IPV6 };

struct conf_route {
    struct conf_head head;          /* name: the label, lower case */
    struct conf_target via;         /* host "" and no address: MX look-up; a port here beats `port` */
    int64_t port;
    int family;                     /* enum conf_family */
    struct conf_endpoints source;   /* at most one of each family, without ports */
    int tls;                        /* enum conf_tls; require and implicit verify, offer does not */
    char *tls_name;                 /* of the server; "": the host's name */
    char *ca;                       /* path; "": the system's */
    char *certificate, *key;        /* paths, shown to servers; "": none; key "": in the certificate's file */
    char *auth;                     /* name of a section `secret`; "" for none */
    bool auth_without_tls;
    char *helo;                     /* "" was replaced by hostname when the configuration was loaded */
    int64_t connect_timeout;        /* seconds per address */
    int64_t timeout;                /* seconds per reply (RFC 5321 4.5.3.2); the final one gets twice that */
    int64_t max_connections;        /* per destination (all domains with the same hosts), all processes */
    int64_t max_messages;           /* over one connection */
    int64_t max_recipients;         /* of one message at a time */
    int64_t rate;                   /* messages a minute to one destination; 0: as fast as it takes them */
    int64_t idle; /* seconds that an idle connection is kept for the next message; 0 is off */
};

/* The address that connections of this family leave from; NULL: the kernel chooses. */
const struct netaddr *conf_route_source(const struct conf_route *route, sa_family_t family);

/* What this route's connections, limits and failures are kept by, in deliverd and in queued: the label and
   the source addresses. "default", "default from 192.0.2.7,2001:db8::7". dst holds CONF_ROUTE_KEY. */
#define CONF_ROUTE_KEY 400
size_t conf_route_key(const struct conf_route *route, char *dst);
