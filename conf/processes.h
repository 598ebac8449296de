/* processes.h - section `processes`: what mtad starts, and where it keeps its own things */
#pragma once

#include "conf/types.h"

struct conf_processes {
    struct conf_head head;
    int64_t smtpd;                  /* never 0 once loaded */
    int64_t deliverd;               /* never 0 once loaded */
    int64_t mapd_workers;
    int64_t agents;                 /* mansio-agent processes at once */
    int64_t agents_per_user;
    int64_t drain;                  /* seconds that sessions in progress get at a stop */
    int64_t watchdog;               /* seconds without an answer that end a daemon; 0: never */
    char *runtime;                  /* directory of ctl/ and of the empty jail */
    char *state;                    /* directory of compiled maps, the history, kept configurations */
};
