/* top.h - what stands outside of every section */
#pragma once

#include "conf/types.h"

struct conf_top {
    struct conf_head head;
    char *hostname;                 /* banner, EHLO, Received; lower case, has a dot */
    struct conf_strings domains; /* own domains, lower case; ask conf_domain_is_own instead of walking it */
};
