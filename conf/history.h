/* history.h - section `history` */
#pragma once

#include "conf/types.h"

struct conf_history {
    struct conf_head head;
    int64_t keep; /* seconds; 0: no history */
    int64_t size; /* bytes */
};
