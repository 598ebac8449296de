/* role.c - names of the roles */
#include "common/base/role.h"

static const char *const role_names[ROLE_COUNT] = {
    [ROLE_MTAD] = "mtad",
    [ROLE_SMTPD] = "smtpd",
    [ROLE_CLEANUP] = "cleanup",
    [ROLE_QUEUED] = "queued",
    [ROLE_DELIVERD] = "deliverd",
    [ROLE_MAPD] = "mapd",
    [ROLE_MAPD_WORKER] = "mapd-worker",
    [ROLE_DNSD] = "dnsd",
    [ROLE_HISTORYD] = "historyd",
    [ROLE_AGENT] = "agent",
    [ROLE_MTACTL] = "mtactl",
};

const char *role_name(enum role role)
{
    return (unsigned)role < ROLE_COUNT ? role_names[role] : "unknown";
}

bool role_parse(struct strv name, enum role *out)
{
    for (unsigned i = 0; i < ROLE_COUNT; i++) {
        if (strv_is(name, role_names[i])) {
            *out = (enum role)i;
            return true;
        }
    }
    return false;
}
