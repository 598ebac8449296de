/* relay.h - section `relay`: who may send anywhere, and for which foreign domains mail is taken */
#pragma once

#include "conf/types.h"

struct conf_relay {
    struct conf_head head;
    struct conf_networks from;
    struct conf_strings to;         /* exact domains, lower case */
};
