/* role.h - who a process is: the nodes of the peer graph, the columns of every grant table */
#pragma once

#include "common/base/strv.h"

enum role {
    ROLE_MTAD,
    ROLE_SMTPD,
    ROLE_CLEANUP,
    ROLE_QUEUED,
    ROLE_DELIVERD,
    ROLE_MAPD,
    ROLE_MAPD_WORKER,
    ROLE_DNSD,
    ROLE_HISTORYD,
    ROLE_AGENT,
    ROLE_MTACTL,
    ROLE_COUNT
};

/* Sets of roles are masks of these. */
#define ROLE_BIT(role) (1u << (role))
#define ROLE_ALL ((1u << ROLE_COUNT) - 1u)

/* The program's name: "mtad", "smtpd", ..., "mapd-worker", "agent"; "unknown" for anything else. */
const char *role_name(enum role role);
/* Exactly one of these names. */
bool role_parse(struct strv name, enum role *out);
