/* types.h - values that a configuration field can hold, and where it was said */
#pragma once

#include "common/base/netaddr.h"
#include "common/base/strv.h"

/* Where something was written. file is "default" and line 0 for what nobody wrote; both live as long as the
   struct conf. In a child the place is still that of the operator's file, never of the text from mtad. */
struct conf_where {
    const char *file;
    unsigned line, column;
};

/* First member of every section. */
struct conf_head {
    char *name;                     /* owned label, "" when none */
    struct conf_where where;        /* of the section's name */
    struct conf_where *at;          /* owned: per field, in the order of its table */
    const void *node;               /* the loader's; NULL once loaded */
};

/* Lists own their elements; n == 0 has v == NULL. */
struct conf_strings {
    char **v;
    size_t n;
};

struct conf_endpoints {
    struct netaddr *v;              /* with ports */
    size_t n;
};

struct conf_networks {
    struct netprefix *v;
    size_t n;
};

struct conf_numbers {
    int64_t *v;
    size_t n;
};

/* A host to connect to: a name for the resolver (with or without MX look-up is the reader's rule) or an
 * address. */
struct conf_target {
    char *host;                     /* owned, lower case; "" when unset; NULL for an address */
    struct netaddr addr;            /* family AF_UNSPEC unless an address was written; its port stays 0 */
    uint16_t port;                  /* 0 when none was written */
    char *path;                     /* owned: a Unix socket, host is NULL then; servers only, else NULL */
};

enum conf_tls { CONF_TLS_NONE, CONF_TLS_OFFER, CONF_TLS_REQUIRE, CONF_TLS_IMPLICIT };
enum conf_auth { CONF_AUTH_NONE, CONF_AUTH_OFFER, CONF_AUTH_REQUIRE };

bool conf_networks_contain(const struct conf_networks *list, const struct netaddr *addr);
/* ASCII case ignored. */
bool conf_strings_have(const struct conf_strings *list, struct strv s);
