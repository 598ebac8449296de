/* log.h - section `log` */
#pragma once

#include "conf/types.h"

enum conf_log_kind { CONF_LOG_SYSLOG, CONF_LOG_STDERR, CONF_LOG_FILE };

struct conf_log {
    struct conf_head head;
    char *to;                       /* "syslog", "stderr" or an absolute path */
    int kind;                       /* enum conf_log_kind, from `to`; no field of its own */
    int level;                      /* enum log_level */
    int facility;                   /* LOG_MAIL and the like of <syslog.h> */
};
