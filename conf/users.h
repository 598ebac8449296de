/* users.h - section `users`: the system user of each daemon (only when started by root) */
#pragma once

#include "common/base/role.h"
#include "conf/types.h"

struct conf_users {
    struct conf_head head;
    char *smtpd;
    char *cleanup;
    char *queued;
    char *deliverd;
    char *mapd;                     /* mapd-worker too */
    char *dnsd;
    char *historyd;
    char *drop;                     /* group that postdrop runs with */
};

/* NULL for roles without a fixed user (mtad, agent, mtactl). */
const char *conf_users_of(const struct conf_users *users, enum role role);
