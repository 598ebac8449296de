/* dns.h - section `dns` */
#pragma once

#include "conf/types.h"

struct conf_dns {
    struct conf_head head;
    struct conf_endpoints servers;  /* never empty once loaded: resolv.conf's, or 127.0.0.1:53 */
    int64_t timeout;                /* seconds per question to one server */
    int64_t attempts;               /* per server */
    bool trust_ad; /* believe the AD bit of these servers (they validate and the way is safe) */
};
