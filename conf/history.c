/* history.c - section `history` */
#include "conf/history.h"

#include "conf/check.h"
#include "conf/kinds.h"

#define HISTORYD .roles = ROLE_BIT(ROLE_HISTORYD)
#define MIB      (1024 * 1024)

static const struct conf_field fields[] = {
    FIELD(conf_history, keep, CT_SECONDS, "7d", .min = 0, .max = 366 * 86400, HISTORYD,
          .doc = "How long `mtactl trace` finds a message, a refusal or a login again. 0 is no history and "
                 "no historyd; from 0 to more it takes a restart."),
    FIELD(conf_history, size, CT_BYTES, "256M", .min = 16 * MIB, .max = 65536ll * MIB, HISTORYD,
          .doc = "What it may take of the disk below `processes.state`; the oldest goes first. A message "
                 "takes about 800 bytes. The file gives no room back when this is made smaller."),
    FIELD_END
};

const struct conf_kind conf_history_kind = {
    .name = "history", .fields = fields, .size = sizeof(struct conf_history),
    .offset = offsetof(struct conf, history),
    .doc = "Finished and refused mail that stays searchable: `mtactl trace`, attempts in "
           "`mtactl queue show`.",
};
