/* address.h - section `address`: what cleanup does with addresses */
#pragma once

#include "conf/types.h"

struct conf_masquerade {
    struct conf_head head;
    char *as;                       /* the domain to show */
    struct conf_strings from;       /* the domains to hide, subdomains included */
};

struct conf_address {
    struct conf_head head;
    char *aliases;                  /* name of a map; "" for none */
    char *virtual_map;              /* field `virtual`: name of a map; "" for none */
    char *extension;                /* separator characters of user+extension; "" is off */
    char *commands;                 /* "none", "any", or a directory: of which aliases may run programs */
    char *command_user;             /* system user that they run as, and that owns files */
    int64_t max_depth;              /* of alias expansion and :include: files */
    int64_t max_expansion;          /* recipients that one message may become */
    int64_t max_hops;               /* Received fields; more is a loop */
    bool sender_warning;            /* local submissions: tell when -f names somebody else */
    struct conf_strings trusted;    /* users of whom that is not told */
    struct conf_masquerade *masquerade;     /* NULL when absent */
};
