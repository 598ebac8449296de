/* log.c - section `log` */
#include "conf/log.h"

#include "common/base/log.h"
#include "conf/check.h"
#include "conf/kinds.h"

#include <syslog.h>

static const struct conf_choice level_choices[] = {
    { "error", LOG_LV_ERROR }, { "warn", LOG_LV_WARN }, { "info", LOG_LV_INFO }, { "debug", LOG_LV_DEBUG },
    { NULL, 0 },
};

static const struct conf_choice facility_choices[] = {
    { "mail", LOG_MAIL }, { "daemon", LOG_DAEMON }, { "local0", LOG_LOCAL0 }, { "local1", LOG_LOCAL1 },
    { "local2", LOG_LOCAL2 }, { "local3", LOG_LOCAL3 }, { "local4", LOG_LOCAL4 }, { "local5", LOG_LOCAL5 },
    { "local6", LOG_LOCAL6 }, { "local7", LOG_LOCAL7 }, { NULL, 0 },
};

static const struct conf_field fields[] = {
    FIELD(conf_log, to, CT_LOG, "syslog", .roles = ROLE_ALL,
          .doc = "Where log lines go: `syslog`, `stderr` or the path of a file."),
    FIELD(conf_log, level, CT_ENUM, "info", .choices = level_choices, .roles = ROLE_ALL,
          .doc = "The least important lines to write."),
    FIELD(conf_log, facility, CT_ENUM, "mail", .choices = facility_choices, .roles = ROLE_ALL,
          .doc = "Syslog's facility."),
    FIELD_END
};

static void check_log(struct conf_check *check, void *section)
{
    struct conf_log *log = section;
    (void)check;
    log->kind = CONF_LOG_FILE;
    if (strcmp(log->to, "syslog") == 0)
        log->kind = CONF_LOG_SYSLOG;
    else if (strcmp(log->to, "stderr") == 0)
        log->kind = CONF_LOG_STDERR;
}

const struct conf_kind conf_log_kind = {
    .name = "log", .fields = fields, .size = sizeof(struct conf_log), .offset = offsetof(struct conf, log),
    .check = check_log,
    .doc = "Where the log goes. `docs/LOGGING.md` lists every event.",
};
